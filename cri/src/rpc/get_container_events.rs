//! GetContainerEvents.

use std::sync::Arc;

use husk_cri_api::ContainerEventResponse;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use tonic::Status;
use tonic::codegen::BoxStream;

use crate::node::Node;

/// What happens from now on. A client that falls too far behind is told so, and lists anew.
pub fn get_container_events(node: &Arc<Node>) -> BoxStream<ContainerEventResponse> {
    let events = BroadcastStream::new(node.events.subscribe());
    Box::pin(events.map(|event| event.map_err(|behind| Status::data_loss(behind.to_string()))))
}
