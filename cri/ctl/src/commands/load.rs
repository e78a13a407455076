//! `huskctl load`: an archive as an image. CRI has no call for it; husk-cri takes the archive's path as a
//! reference, and another server says that it is none.

use std::path::Path;

use anyhow::Context;

use super::pull::with_progress;
use crate::client::Client;

/// Imports an OCI archive, an OCI layout or a `docker save` file, and prints the image's reference.
pub async fn load(client: &Client, file: &Path) -> anyhow::Result<()> {
    // The server's working directory is another one.
    let path = file.canonicalize().with_context(|| format!("open {}", file.display()))?;
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    println!("{}", with_progress(client, &format!("oci-archive:{text}"), None, None).await?);
    Ok(())
}
