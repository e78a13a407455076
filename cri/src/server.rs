//! The daemon: its lock, its socket, its end.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use husk_cri_api::MAX_MESSAGE;
use husk_cri_api::image_service_server::ImageServiceServer;
use husk_cri_api::runtime_service_server::RuntimeServiceServer;
use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::config::Config;
use crate::node::Node;
use crate::recover;
use crate::rpc::Service;

/// Time that calls under way have when husk-cri is asked to end. Their work is on disk as intents.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    let listen = config.listen.clone();
    let root = config.root.clone();
    let node = Node::open(config).context("open the node")?;
    let _lock = lock(&root)?;
    recover::recover(&node).await.context("recover")?;
    let listener = bind(&listen)?;
    tracing::info!(listen = %listen.display(), "ready");

    let service = Service::new(node.clone());
    let runtime = RuntimeServiceServer::new(service.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let images = ImageServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE);
    let (quit, quitting) = tokio::sync::oneshot::channel::<()>();
    let serving = Server::builder().add_service(runtime).add_service(images).serve_with_incoming_shutdown(
        UnixListenerStream::new(listener),
        async {
            let _ = quitting.await;
        },
    );
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = &mut serving => return served.context("serve"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending; containers go on");
    let _ = quit.send(());
    let _ = tokio::time::timeout(FAREWELL, serving).await;
    leave(&node, &listen);
    Ok(())
}

fn leave(node: &Arc<Node>, listen: &Path) {
    node.stop();
    node.cgroups.remove_parent();
    let _ = std::fs::remove_file(listen);
}

/// One daemon per root.
fn lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("another husk-cri uses {}", root.display()),
        Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// Binds the socket, for root alone. An old one of a daemon that is gone is replaced.
fn bind(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {shown}"))?
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("bind {shown}"))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("chmod {shown}"))?;
    Ok(listener)
}
