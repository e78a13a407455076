//! The real husk-cri, with husk-shim and husk, over its socket.

mod crash;
mod exits;
mod hostile;
mod loss;
mod node;
mod pods;
mod registry;
mod sharing;
mod stop;
