//! PID 1 of a pod that shares its PID namespace: waits and reaps.

fn main() {}
