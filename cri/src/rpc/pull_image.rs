//! PullImage.

use std::sync::Arc;

use husk_cri_api::{PullImageRequest, PullImageResponse};

use crate::error::Result;
use crate::image;
use crate::node::Node;

/// Pulls an image.
pub async fn pull_image(node: &Arc<Node>, request: PullImageRequest) -> Result<PullImageResponse> {
    Ok(PullImageResponse { image_ref: image::pull(node, request).await? })
}
