//! One connection to a shim: calls and their answers by id, and what it tells by itself.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use husk_shim_api::{
    Call, Connection, Event, FailureKind, Message, PacketError, Reply, Request, State, VERSION,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Context, Error, Result};

/// What a shim tells by itself.
#[derive(Debug)]
pub enum Notice {
    /// An event.
    Event(Event),
    /// The connection is gone: the shim ended or died.
    Lost,
}

/// Answer to a call, with its descriptors.
type Answer = std::result::Result<(Reply, Vec<OwnedFd>), Error>;

/// A connected shim.
pub struct Shim {
    link: Arc<Link>,
    /// The shim's process.
    pub pid: i32,
    timeout: Duration,
}

struct Link {
    connection: AsyncFd<Connection>,
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    next: AtomicU64,
}

/// The longest that a shim may think about a call that starts no runtime.
const QUICK: Duration = Duration::from_secs(10);

impl Shim {
    /// Connects to the shim at `socket` and says hello. From then on `notices` gets what it tells.
    pub async fn connect(
        socket: &Path,
        runtime_timeout: Duration,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Result<Self> {
        let shown = socket.display().to_string();
        let connection = husk_shim_api::connect(socket).on("connect to", &shown)?;
        connection.set_nonblocking(true).on("set up", &shown)?;
        let link = Arc::new(Link {
            connection: super::watched(connection).on("watch", &shown)?,
            waiting: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
        });
        tokio::spawn(Link::read(link.clone(), notices));
        // A runtime has its time, and the shim some to kill it after that.
        let mut shim = Self { link, pid: 0, timeout: runtime_timeout + QUICK };
        match shim.call_within(Call::Hello { version: VERSION }, &[], QUICK).await? {
            (Reply::Hello { pid, .. }, _) => shim.pid = pid,
            (other, _) => return Err(unexpected("hello", &other)),
        }
        Ok(shim)
    }

    /// A call without descriptors.
    pub async fn call(&self, call: Call) -> Result<Reply> {
        Ok(self.call_with(call, &[]).await?.0)
    }

    /// A call.
    pub async fn call_with(&self, call: Call, fds: &[OwnedFd]) -> Answer {
        self.call_within(call, fds, self.timeout).await
    }

    /// Everything that the shim knows.
    pub async fn state(&self) -> Result<State> {
        match self.call_within(Call::State, &[], QUICK).await?.0 {
            Reply::State(state) => Ok(state),
            other => Err(unexpected("state", &other)),
        }
    }

    async fn call_within(&self, call: Call, fds: &[OwnedFd], limit: Duration) -> Answer {
        let id = self.link.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        match self.link.waiting().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(gone()),
        };
        let _forget = Forget { link: &self.link, id };
        let work = async {
            self.link.send(&Request { id, call }, fds).await?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        };
        let late = || Error::Deadline { what: "husk-shim's answer".into(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        self.link.waiting().is_none()
    }
}

/// A caller that goes away leaves no entry behind.
struct Forget<'a> {
    link: &'a Link,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.link.waiting().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // The reader holds the link, too: shutting the socket down ends it.
        let _ = rustix::net::shutdown(self.link.connection.get_ref(), rustix::net::Shutdown::Both);
    }
}

impl Link {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &Request, fds: &[OwnedFd]) -> Result<()> {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        loop {
            let mut ready = self.connection.writable().await.on("wait for", "husk-shim")?;
            match self.connection.get_ref().try_send(request, &fds) {
                Err(PacketError::Full) => ready.clear_ready(),
                sent => return sent.on("send to", "husk-shim"),
            }
        }
    }

    async fn read(self: Arc<Self>, notices: mpsc::UnboundedSender<Notice>) {
        loop {
            let Ok(mut ready) = self.connection.readable().await else { break };
            match self.connection.get_ref().try_recv() {
                Err(PacketError::Empty) => ready.clear_ready(),
                Err(error) => {
                    if !matches!(error, PacketError::Closed) {
                        tracing::warn!(%error, "husk-shim's connection failed");
                    }
                    break;
                }
                Ok(packet) => match packet.parse::<Message>() {
                    Ok(Message::Event(event)) => {
                        let _ = notices.send(Notice::Event(event));
                    }
                    Ok(Message::Reply { id, reply }) => self.answer(id, Ok((reply, packet.fds))),
                    Ok(Message::Failed { id, failure }) => self.answer(id, Err(failed(failure))),
                    Err(error) => tracing::warn!(%error, "husk-shim sent what is no message"),
                },
            }
        }
        // Nobody answers any more: every caller hears it by its sender's end.
        *self.waiting() = None;
        let _ = notices.send(Notice::Lost);
    }

    fn answer(&self, id: u64, answer: Answer) {
        let sender = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(sender) = sender {
            let _ = sender.send(answer);
        }
    }
}

fn failed(failure: husk_shim_api::Failure) -> Error {
    match failure.kind {
        FailureKind::State => Error::State { what: failure.message },
        FailureKind::NotFound => Error::NotFound { kind: "container", id: failure.message },
        FailureKind::Timeout => Error::Deadline { what: failure.message, seconds: 0 },
        FailureKind::Invalid => Error::invalid("config", failure.message),
        FailureKind::Runtime if matches!(failure.code, Some(126 | 127)) => {
            Error::CannotRun { code: failure.code.unwrap_or_default(), what: failure.message }
        }
        _ => Error::Runtime { what: failure.message },
    }
}

fn gone() -> Error {
    Error::State { what: "husk-shim of this sandbox is gone".into() }
}

/// The shim answered something that does not belong to the call.
pub fn unexpected(call: &'static str, reply: &Reply) -> Error {
    Error::State { what: format!("husk-shim answered {call} by {reply:?}") }
}
