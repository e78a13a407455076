//! Talks to registries (OCI distribution spec 1.1): manifests, blobs with resume, tokens, mirrors.

mod answer;
mod challenge;
mod endpoint;
mod session;
mod token;

pub(crate) use endpoint::Clients;
pub(crate) use session::Session;
