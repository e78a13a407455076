//! `--systemd-cgroup`: scopes that systemd makes. In the VM with systemd as PID 1 (`hack/vm/run --systemd`).

mod failures;
mod life;
mod limits;
mod machine;
mod user;
