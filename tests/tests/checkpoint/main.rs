//! `checkpoint` and `restore` through criu. Runs in the VM where the machine's kernel is too new for the criu at hand.

mod errors;
mod life;
mod mounts;
mod programs;
mod world;
