//! One process per pod that holds its containers, logs and exit records.

fn main() {}
