//! CRI v1 server on husk and husk-shim.

fn main() {}
