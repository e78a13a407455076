//! ImageStatus.

use std::sync::Arc;

use husk_cri_api::{ImageStatusRequest, ImageStatusResponse};

use super::info;
use crate::error::Result;
use crate::image;
use crate::node::Node;

/// One image; none where it is not present.
pub async fn image_status(node: &Arc<Node>, request: ImageStatusRequest) -> Result<ImageStatusResponse> {
    let found = node.images.status(image::wanted(request.image.as_ref())?);
    Ok(ImageStatusResponse {
        info: match found.as_ref().filter(|_| request.verbose) {
            Some(found) => info(found.as_ref())?,
            None => Default::default(),
        },
        image: found.map(|found| image::row(&found)),
    })
}
