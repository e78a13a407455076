//! OCI container runtime that tells the truth about exits.

fn main() {}
