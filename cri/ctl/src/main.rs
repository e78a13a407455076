//! CRI client for people.

fn main() {}
