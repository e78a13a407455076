//! ContainerStatus.

use std::sync::Arc;

use husk_cri_api::{ContainerStatusRequest, ContainerStatusResponse};
use husk_exit::Found;

use super::info;
use crate::container;
use crate::error::{Context, Result};
use crate::node::Node;
use crate::store::blocking;

/// Key of the exit record in verbose information.
const EXIT_RECORD: &str = "exitRecord";

/// State of one container.
pub async fn container_status(
    node: &Arc<Node>,
    request: ContainerStatusRequest,
) -> Result<ContainerStatusResponse> {
    let record = node.containers.find(&request.container_id)?.entry.get();
    let mut verbose = if request.verbose { info(record.as_ref())? } else { Default::default() };
    if request.verbose && record.ended.is_some() {
        let file = node.paths.exit_record(&record.id);
        let found = blocking(move || Ok(husk_exit::read(&file).ok())).await?;
        if let Some(Found::Record(found)) = found {
            let text = serde_json::to_string(&found).on("encode", "the exit record")?;
            verbose.insert(EXIT_RECORD.to_owned(), text);
        }
    }
    Ok(ContainerStatusResponse { status: Some(container::status(&record)), info: verbose })
}
