//! ExecSync: a command in a container, with its output kept to a limit.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use husk_cri_api::{ExecSyncRequest, ExecSyncResponse};
use husk_shim_api::{Call, Exec, Exit, Kill, StopReason};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::error::{Context, Error, Result};
use crate::node::{Node, Sandbox};
use crate::spec;
use crate::store::{ContainerPhase, ContainerRecord};

/// Time that the shim has after an exec's own time, before husk-cri answers in its place.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a command and waits for its end.
pub async fn exec_sync(node: &Arc<Node>, request: ExecSyncRequest) -> Result<ExecSyncResponse> {
    if request.cmd.is_empty() {
        return Err(Error::missing("cmd"));
    }
    let seconds = u64::try_from(request.timeout)
        .map_err(|_| Error::invalid("timeout", format!("{} is negative", request.timeout)))?;
    let record = node.containers.find(&request.container_id)?.entry.get();
    if record.phase != ContainerPhase::Running {
        let what = format!("container {:?} is {:?}, not Running", record.id, record.phase);
        return Err(Error::State { what });
    }
    let sandbox = node.sandboxes.find(&record.sandbox)?;
    let mut id = crate::id::fresh()?;
    id.truncate(16);
    // The call is dropped when the client goes away; the command is not to run on without anyone.
    let mut guard =
        Guard { sandbox: sandbox.clone(), container: record.id.clone(), exec: id.clone(), armed: false };
    let result = run(node, &sandbox, &record, &id, &request.cmd, seconds, &mut guard).await;
    guard.armed = false;
    sandbox.execs.forget(&id);
    result
}

async fn run(
    node: &Node,
    sandbox: &Sandbox,
    record: &ContainerRecord,
    id: &str,
    command: &[String],
    seconds: u64,
    guard: &mut Guard,
) -> Result<ExecSyncResponse> {
    let (out, out_end) = pipe_end()?;
    let (err, err_end) = pipe_end()?;
    let shim = sandbox.need_shim()?;
    let exit = sandbox.execs.expect(id);
    let exec = Exec {
        container: record.id.clone(),
        exec: id.to_owned(),
        process: spec::exec_process(&init_process(node, &record.id).await?, command, false),
        stdout: true,
        stderr: true,
        timeout_ms: seconds.saturating_mul(1000),
        ..Exec::default()
    };
    guard.armed = true;
    let ends = [out_end, err_end];
    let started = shim.call_with(Call::Exec(exec), &ends).await;
    // The pipes end when the command's own copies are closed.
    drop(ends);
    if let Err(error) = started {
        return not_started(error);
    }
    let limit = node.config.limits.exec_output;
    let late = async {
        match seconds {
            0 => std::future::pending().await,
            seconds => tokio::time::sleep(Duration::from_secs(seconds) + GRACE).await,
        }
    };
    let mut outputs = (Output::new(out, limit), Output::new(err, limit));
    let exit = tokio::select! {
        exit = watch(exit, &mut outputs) => exit,
        () = late => return Err(too_late(seconds)),
    };
    let exit = exit.ok_or_else(|| Error::State { what: "husk-shim died while the command ran".into() })?;
    if exit.timed_out {
        return Err(too_late(seconds));
    }
    let code = exit.code();
    let unknown = || Error::State { what: "the end of the command was not seen".into() };
    Ok(ExecSyncResponse {
        stdout: outputs.0.kept,
        stderr: outputs.1.kept,
        exit_code: code.ok_or_else(unknown)?,
    })
}

fn too_late(seconds: u64) -> Error {
    Error::Deadline { what: "the command".into(), seconds }
}

/// A command that can't be executed ends as it would in a shell: 127 or 126, and the reason on stderr.
fn not_started(error: Error) -> Result<ExecSyncResponse> {
    match error {
        Error::CannotRun { code, what } => Ok(ExecSyncResponse {
            stdout: Vec::new(),
            stderr: format!("{what}\n").into_bytes(),
            exit_code: code,
        }),
        other => Err(other),
    }
}

/// `process` of the container's own config.json.
async fn init_process(node: &Node, id: &str) -> Result<Value> {
    let path = node.paths.bundle(id).join("config.json");
    let text = tokio::fs::read(&path).await.on("read", path.display().to_string())?;
    let mut config: Value = serde_json::from_slice(&text).on("parse", path.display().to_string())?;
    Ok(config["process"].take())
}

fn pipe_end() -> Result<(pipe::Receiver, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).on("pipe2", "for a command's output")?;
    rustix::io::ioctl_fionbio(&read, true).on("set up", "a pipe")?;
    Ok((pipe::Receiver::from_owned_fd(read).on("watch", "a pipe")?, write))
}

/// Reads both streams until the command's end. What a child of it goes on writing is not waited for.
async fn watch(exit: tokio::sync::oneshot::Receiver<Exit>, outputs: &mut (Output, Output)) -> Option<Exit> {
    let (out, err) = outputs;
    let reading = async {
        tokio::join!(out.read_all(), err.read_all());
        std::future::pending::<()>().await
    };
    let exit = tokio::select! {
        exit = exit => exit.ok(),
        () = reading => None,
    };
    // What the command itself wrote is in the pipes by now.
    out.read_rest();
    err.read_rest();
    exit
}

struct Output {
    pipe: pipe::Receiver,
    kept: Vec<u8>,
    limit: usize,
}

impl Output {
    fn new(pipe: pipe::Receiver, limit: usize) -> Self {
        Self { pipe, kept: Vec::new(), limit }
    }

    async fn read_all(&mut self) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(count @ 1..) = self.pipe.read(&mut chunk).await {
            self.keep(&chunk[..count]);
        }
    }

    fn read_rest(&mut self) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(count @ 1..) = self.pipe.try_read(&mut chunk) {
            self.keep(&chunk[..count]);
        }
    }

    /// Beyond the limit it is read, so that the command goes on, and dropped.
    fn keep(&mut self, chunk: &[u8]) {
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
}

/// Kills a command whose caller has gone.
struct Guard {
    sandbox: Arc<Sandbox>,
    container: String,
    exec: String,
    armed: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        self.sandbox.execs.forget(&self.exec);
        let (Some(shim), Ok(reactor)) = (self.sandbox.shim(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let kill = Kill {
            container: self.container.clone(),
            exec: Some(self.exec.clone()),
            signal: 9,
            all: true,
            why: StopReason::Request,
        };
        reactor.spawn(async move {
            let _ = shim.call(Call::Kill(kill)).await;
        });
    }
}
