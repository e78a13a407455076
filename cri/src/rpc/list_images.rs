//! ListImages.

use std::sync::Arc;

use husk_cri_api::{ListImagesRequest, ListImagesResponse};

use crate::error::Result;
use crate::image;
use crate::node::Node;

/// Images that match.
pub async fn list_images(node: &Arc<Node>, request: ListImagesRequest) -> Result<ListImagesResponse> {
    Ok(ListImagesResponse { images: image::list(node, &request.filter.unwrap_or_default()) })
}
