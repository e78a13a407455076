//! `huskctl pull`, and the pulls of `run`.

use std::io::IsTerminal;
use std::io::Write;
use std::time::Duration;

use husk_cri_api as cri;
use indicatif::{ProgressBar, ProgressStyle};

use super::auth::Credentials;
use crate::bytes::size;
use crate::cli::PullArgs;
use crate::client::{Client, Error, rpc};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Pulls one image and prints its reference.
pub async fn pull(client: &Client, args: &PullArgs) -> anyhow::Result<()> {
    let auth = Credentials::read(&args.auth)?.of(&args.image)?;
    writeln!(std::io::stdout(), "{}", with_progress(client, &args.image, auth, None).await?)?;
    Ok(())
}

/// Pulls an image and gives its reference; on a terminal with a bar. CRI tells nothing of a pull's
/// progress, so the bar shows what grows: the bytes of the image filesystem.
pub async fn with_progress(
    client: &Client,
    image: &str,
    auth: Option<cri::AuthConfig>,
    sandbox: Option<cri::PodSandboxConfig>,
) -> Result<String, Error> {
    let request = cri::PullImageRequest { image: Some(spec(image)), auth, sandbox_config: sandbox };
    let mut images = client.images.clone();
    let pulling = rpc("PullImage", images.pull_image(request));
    if !std::io::stderr().is_terminal() {
        return Ok(pulling.await?.image_ref);
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    let before = used(client).await;
    tokio::pin!(pulling);
    loop {
        tokio::select! {
            done = &mut pulling => {
                bar.finish_and_clear();
                return Ok(done?.image_ref);
            }
            () = tokio::time::sleep(TICK) => {
                let grown = used(client).await.saturating_sub(before);
                bar.set_message(format!("pulling {image}, {} so far,", size(grown)));
                bar.tick();
            }
        }
    }
}

/// ImageSpec of a reference.
pub fn spec(image: &str) -> cri::ImageSpec {
    cri::ImageSpec { image: image.to_owned(), ..cri::ImageSpec::default() }
}

/// Bytes on the image filesystem; what can't be told is no reason to fail.
async fn used(client: &Client) -> u64 {
    let mut images = client.images.clone();
    let answer = rpc("ImageFsInfo", images.image_fs_info(cri::ImageFsInfoRequest {})).await;
    let usage = answer.map(|a| a.image_filesystems).unwrap_or_default();
    usage.into_iter().filter_map(|fs| fs.used_bytes).map(|b| b.value).sum()
}
