//! ImageFsInfo.

use std::sync::Arc;

use husk_cri_api::{ImageFsInfoRequest, ImageFsInfoResponse};

use crate::error::Result;
use crate::image;
use crate::node::Node;

/// Space used.
pub async fn image_fs_info(node: &Arc<Node>, _request: ImageFsInfoRequest) -> Result<ImageFsInfoResponse> {
    image::fs_info(node).await
}
