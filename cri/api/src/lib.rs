//! CRI v1: messages, clients and servers, generated from `proto/`.
//!
//! `runtime_service_client` and `image_service_client` are what a kubelet uses, `runtime_service_server` and
//! `image_service_server` what husk-cri implements.

// Lints are for people's code; this is a compiler's.
#[allow(missing_docs, unused_qualifications, clippy::all)]
mod generated {
    tonic::include_proto!("runtime.v1");
}

pub use generated::*;

/// Largest message that the kubelet takes (its client's receive limit), in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;
