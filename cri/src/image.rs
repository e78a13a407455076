//! Images in the CRI's words.

use std::path::Path;
use std::sync::Arc;

use husk_cri_api::{
    FilesystemIdentifier, FilesystemUsage, Image as Row, ImageFilter, ImageFsInfoResponse, ImageSpec,
    Int64Value, PullImageRequest, UInt64Value,
};
use husk_image::{Auth, Image, Store, Usage};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::node::Node;

/// The image that a request names.
pub fn wanted(spec: Option<&ImageSpec>) -> Result<&str> {
    let name = spec.map(|spec| spec.image.as_str()).filter(|name| !name.is_empty());
    name.ok_or_else(|| Error::missing("image.image"))
}

/// Images that match the filter.
pub fn list(node: &Node, filter: &ImageFilter) -> Vec<Row> {
    match filter.image.as_ref().map(|spec| spec.image.as_str()).filter(|name| !name.is_empty()) {
        Some(name) => node.images.status(name).iter().map(|image| row(image)).collect(),
        None => node.images.list().iter().map(|image| row(image)).collect(),
    }
}

/// One image.
pub fn row(image: &Image) -> Row {
    let uid = image.config.uid();
    let none = image.config.user.is_empty();
    Row {
        id: image.id.to_string(),
        repo_tags: image.tags.clone(),
        repo_digests: image.digests.clone(),
        size: image.size,
        // An image without a user runs as root.
        uid: uid.map(i64::from).or(none.then_some(0)).map(|value| Int64Value { value }),
        username: image.config.username().unwrap_or_default().to_owned(),
        spec: None,
        pinned: image.pinned,
    }
}

/// Pulls an image and gives its id, by which containers find it.
pub async fn pull(node: &Arc<Node>, request: PullImageRequest) -> Result<String> {
    let name = wanted(request.image.as_ref())?;
    let auth = request.auth.unwrap_or_default();
    let auth = Auth::from_cri(
        &auth.username,
        &auth.password,
        &auth.auth,
        &auth.identity_token,
        &auth.registry_token,
    );
    let auth = auth.map_err(|error| Error::invalid("auth", error.to_string()))?;
    let pulled = node.images.pull(name, &auth, None).await?;
    tracing::info!(image = name, id = %pulled.id, "image is pulled");
    Ok(pulled.id.to_string())
}

/// Space used by images and by containers' own files.
pub async fn fs_info(node: &Arc<Node>) -> Result<ImageFsInfoResponse> {
    let info = node.images.fs_info().await?;
    let usage = |usage: Usage| FilesystemUsage {
        timestamp: crate::id::now(),
        fs_id: Some(FilesystemIdentifier { mountpoint: info.root.display().to_string() }),
        used_bytes: Some(UInt64Value { value: usage.bytes }),
        inodes_used: Some(UInt64Value { value: usage.inodes }),
    };
    Ok(ImageFsInfoResponse {
        image_filesystems: vec![usage(info.images)],
        container_filesystems: vec![usage(info.snapshots)],
    })
}

/// Loads an archive into the store, which no daemon has open, and gives a line per image.
pub async fn load(config: &Config, path: &Path) -> anyhow::Result<String> {
    let store = Store::open(&config.root.join("images"), config.image.clone())?;
    let mut text = String::new();
    for loaded in store.load_archive(path).await? {
        let names =
            store.status(&loaded.id.to_string()).map(|image| image.tags.join(" ")).unwrap_or_default();
        text.push_str(&format!("{} {names}\n", loaded.id));
    }
    Ok(text)
}

impl From<husk_image::Error> for Error {
    fn from(error: husk_image::Error) -> Self {
        use husk_image::Error as E;
        let what = error.to_string();
        match error {
            E::BadReference { .. } => Self::invalid("image.image", what),
            E::NotFound { .. } | E::UnknownImage { .. } => Self::NotPulled { what },
            E::Unauthorized { .. } | E::Forbidden { .. } => Self::Denied { what },
            E::TooManyRequests { .. } | E::DiskFull { .. } => Self::TooMuch { what },
            _ => Self::Runtime { what },
        }
    }
}
