//! What config.json and the command line of create, start and run ask for, against the real kernel. `RUNTIME=runc` runs
//! the same on a peer.

mod exits;
mod files;
mod hooks;
mod ids;
mod life;
mod mounts;
mod namespaces;
mod netdev;
mod process;
mod terminal;
