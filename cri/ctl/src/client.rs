//! The connection to a CRI server.

use std::path::PathBuf;
use std::time::Duration;

use husk_cri_api::image_service_client::ImageServiceClient;
use husk_cri_api::runtime_service_client::RuntimeServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// Connecting to a local socket either works at once or not at all.
const CONNECT: Duration = Duration::from_secs(10);

/// A call that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server answers at the socket.
    #[error("connect {}: {why}; is the runtime up, and is --endpoint right?", socket.display())]
    Connect { socket: PathBuf, why: String },
    /// The endpoint is not the path of a socket.
    #[error("{0:?} is not the path of a socket (like unix:///run/husk/cri.sock)")]
    Endpoint(String),
    /// The server said no.
    #[error("{call}: {}{}", status.message(), if status.message().is_empty() { status.code().description() } else { "" })]
    Rpc { call: &'static str, status: Status },
    /// The server's answer lacks what it must have.
    #[error("{call}: the answer has no {field}")]
    Incomplete { call: &'static str, field: &'static str },
}

impl Error {
    /// The gRPC code of a refusal.
    pub fn code(&self) -> Option<tonic::Code> {
        match self {
            Self::Rpc { status, .. } => Some(status.code()),
            _ => None,
        }
    }
}

/// Both services of one server.
#[derive(Debug, Clone)]
pub struct Client {
    pub runtime: RuntimeServiceClient<Channel>,
    pub images: ImageServiceClient<Channel>,
}

impl Client {
    /// Connects to `endpoint`: a path, with or without `unix://`.
    pub async fn connect(endpoint: &str) -> Result<Self, Error> {
        let path =
            endpoint.strip_prefix("unix://").or_else(|| endpoint.strip_prefix("unix:")).unwrap_or(endpoint);
        if !path.starts_with('/') {
            return Err(Error::Endpoint(endpoint.to_owned()));
        }
        let target =
            Endpoint::from_shared(format!("unix://{path}")).map_err(|_| Error::Endpoint(endpoint.into()))?;
        let channel = target.connect_timeout(CONNECT).connect().await;
        let channel = channel.map_err(|e| Error::Connect { socket: path.into(), why: root_cause(&e) })?;
        // The kubelet's limit; a node with some thousand containers has lists of more than tonic's 4 MiB.
        let max = husk_cri_api::MAX_MESSAGE;
        Ok(Self {
            runtime: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(max),
            images: ImageServiceClient::new(channel).max_decoding_message_size(max),
        })
    }
}

fn root_cause(e: &(dyn std::error::Error + 'static)) -> String {
    let mut last = e;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// Awaits a call and names it in its error.
pub async fn rpc<T>(
    call: &'static str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Error> {
    answer.await.map(Response::into_inner).map_err(|status| Error::Rpc { call, status })
}

/// A message field that must be there.
pub fn present<T>(call: &'static str, field: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::Incomplete { call, field })
}
