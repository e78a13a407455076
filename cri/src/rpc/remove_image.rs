//! RemoveImage.

use std::sync::Arc;

use husk_cri_api::{RemoveImageRequest, RemoveImageResponse};

use crate::error::Result;
use crate::image;
use crate::node::Node;

/// Removes an image.
pub async fn remove_image(node: &Arc<Node>, request: RemoveImageRequest) -> Result<RemoveImageResponse> {
    node.images.remove(image::wanted(request.image.as_ref())?).await?;
    Ok(RemoveImageResponse {})
}
