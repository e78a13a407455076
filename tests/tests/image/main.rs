//! husk-image against Debian's docker-registry, against servers that lie, and against hostile layers.

mod archives;
mod crash;
mod fake;
mod hostile;
mod lies;
mod pulls;
mod snapshots;
mod tls;
mod world;
