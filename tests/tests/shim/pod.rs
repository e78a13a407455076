//! A shim of the test's own, its containers, and their bundles.

use husk_exit::{ExitRecord, Found};
use husk_shim_api::{
    Call, Client, ContainerState, Create, Event, Exec, Exit, Kill, Reply, SOCKET_NAME, State, Status,
    StopReason,
};
use husk_tests::{Bundle, Runtime};
use serde_json::json;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Waits no longer than this for an event.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A shim; dropping the value ends it with everything in it.
pub struct Pod {
    pub id: String,
    pub client: Client,
    pub pid: i32,
    top: tempfile::TempDir,
    /// Owns the runtime's state directory.
    _runtime: Runtime,
    bundles: Vec<Bundle>,
}

impl Pod {
    pub fn new() -> Self {
        let (id, top, runtime) = (husk_tests::unique("pod"), husk_tests::temp_dir(), Runtime::new());
        let mut command = Command::new(husk_tests::bin("husk-shim"));
        command.args(["start", "--id", &id, "--dir"]).arg(top.path().join("shim"));
        let words: Vec<String> = {
            let line = runtime.command();
            std::iter::once(line.get_program())
                .chain(line.get_args())
                .map(|w| w.to_str().unwrap().into())
                .collect()
        };
        command.args(["--runtime", &words[0]]);
        for word in &words[1..] {
            command.args(["--runtime-arg", word]);
        }
        husk_tests::run(&mut command).ok();
        let client = Client::connect(&top.path().join("shim").join(SOCKET_NAME)).unwrap();
        let mut pod = Self { id, client, pid: 0, top, _runtime: runtime, bundles: Vec::new() };
        pod.pid = pod.state().pid;
        pod
    }

    /// A folder for logs and records.
    pub fn path(&self) -> &Path {
        self.top.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.top.path().join("shim").join(SOCKET_NAME)
    }

    /// A new connection in place of the old one.
    pub fn reconnect(&mut self) {
        self.client = Client::connect(&self.socket()).unwrap();
    }

    pub fn state(&mut self) -> State {
        match self.client.call(Call::State).unwrap() {
            Reply::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub fn container_state(&mut self, id: &str) -> ContainerState {
        self.state().containers.into_iter().find(|c| c.id == id).unwrap()
    }

    /// What `create` needs for a bundle. The cgroup's path ends in the id, as husk-cri has it.
    /// The bundle is kept as long as the pod.
    pub fn request(&mut self, mut bundle: Bundle) -> Create {
        let id = husk_tests::unique("c");
        bundle.set("/linux/cgroupsPath", json!(format!("/{}/{id}", self.id)));
        bundle.write();
        let path = bundle.path().into();
        self.bundles.push(bundle);
        Create {
            container: id.clone(),
            bundle: path,
            log: Some(self.path().join(format!("{id}.log"))),
            record: self.path().join(format!("{id}.exit")),
            ..Create::default()
        }
    }

    /// Creates a container; its id.
    #[track_caller]
    pub fn create(&mut self, bundle: Bundle) -> String {
        let create = self.request(bundle);
        let id = create.container.clone();
        match self.client.call(Call::Create(create)).unwrap() {
            Reply::Created { pid } if pid > 0 => id,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn start(&mut self, id: &str) {
        match self.client.call(Call::Start { container: id.into() }).unwrap() {
            Reply::Started { started_at } if started_at > 0 => {}
            other => panic!("{other:?}"),
        }
    }

    /// Creates and starts a container that runs a script.
    #[track_caller]
    pub fn run(&mut self, script: &str) -> String {
        let id = self.create(Bundle::script(script));
        self.start(&id);
        id
    }

    #[track_caller]
    pub fn kill(&mut self, id: &str, signal: u8, why: StopReason) {
        let kill = Kill { container: id.into(), exec: None, signal, all: false, why };
        assert_eq!(self.client.call(Call::Kill(kill)).unwrap(), Reply::Done);
    }

    /// Waits for the end of a container, passing over events of others.
    #[track_caller]
    pub fn wait(&mut self, id: &str) -> Exit {
        self.wait_exec(id, None)
    }

    #[track_caller]
    pub fn wait_exec(&mut self, id: &str, exec_id: Option<&str>) -> Exit {
        loop {
            match self.client.event(PATIENCE).unwrap() {
                Some(Event::Exited { container, exec, exit })
                    if container == id && exec.as_deref() == exec_id =>
                {
                    return exit;
                }
                Some(_) => {}
                None => panic!("no event: {:?}", self.state()),
            }
        }
    }

    /// Starts an exec of a script with a given time limit; descriptors: stdout, if any.
    #[track_caller]
    pub fn exec(
        &mut self,
        id: &str,
        script: &str,
        timeout_ms: u64,
        stdout: Option<BorrowedFd<'_>>,
    ) -> String {
        let exec_id = husk_tests::unique("e");
        let exec = Exec {
            container: id.into(),
            exec: exec_id.clone(),
            process: process(&["sh", "-c", script]),
            stdout: stdout.is_some(),
            timeout_ms,
            ..Exec::default()
        };
        let fds: Vec<_> = stdout.into_iter().collect();
        match self.client.call_with(Call::Exec(exec), &fds).unwrap() {
            (Reply::Exec { pid, .. }, _) if pid > 0 => exec_id,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn delete(&mut self, id: &str, force: bool) {
        let delete = Call::Delete { container: id.into(), force };
        assert_eq!(self.client.call(delete).unwrap(), Reply::Done);
    }

    /// The record of a container.
    #[track_caller]
    pub fn record(&self, id: &str) -> ExitRecord {
        record(&self.path().join(format!("{id}.exit")))
    }

    /// The text of the log without time, stream and tag; parts put together.
    #[track_caller]
    pub fn log(&self, id: &str) -> String {
        text_of(&std::fs::read(self.path().join(format!("{id}.log"))).unwrap())
    }

    /// Lines in the log so far.
    pub fn log_lines(&self, id: &str) -> usize {
        let log = std::fs::read(self.path().join(format!("{id}.log"))).unwrap();
        log.iter().filter(|b| **b == b'\n').count()
    }

    /// Waits until the container is stopped by asking for the state.
    pub fn wait_stopped(&mut self, id: &str) -> ContainerState {
        let mut last = None;
        husk_tests::wait_until("the container stops", || {
            let state = self.container_state(id);
            let stopped = state.status == Status::Stopped && state.exit.is_some();
            last = Some(state);
            stopped
        });
        last.unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = Client::connect(&self.socket()).map(|client| self.client = client);
        if let Err(e) = self.client.call(Call::Shutdown { force: true }) {
            eprintln!("the shim did not shut down: {e}");
            if self.pid > 0
                && let Some(pid) = rustix::process::Pid::from_raw(self.pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let group = husk_tests::cgroup::root().join(&self.id);
        let _ = std::fs::remove_dir(group);
        for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            // runc works with version 1 where that is mounted; only the test's own empty group is meant.
            let _ = std::fs::remove_dir(controller.path().join(&self.id));
        }
    }
}

/// Reads a record.
#[track_caller]
pub fn record(path: &Path) -> ExitRecord {
    match husk_exit::read(path).unwrap() {
        Found::Record(record) => record,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// The OCI process of an exec.
pub fn process(args: &[&str]) -> serde_json::Value {
    json!({
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "args": args,
        "env": ["PATH=/bin"],
        "cwd": "/",
    })
}

/// Text of log lines; every one must have the form of the CRI log.
#[track_caller]
pub fn text_of(log: &[u8]) -> String {
    let mut out = Vec::new();
    for line in log.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\n").expect("a torn line at the end of the log");
        let mut fields = line.splitn(4, |b| *b == b' ');
        let (time, stream, tag, text) =
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        assert!(time.len() == 30 && time.ends_with(b"Z"), "{:?}", String::from_utf8_lossy(line));
        assert!(stream == b"stdout" || stream == b"stderr");
        out.extend_from_slice(text);
        match tag {
            b"F" => out.push(b'\n'),
            b"P" => {}
            other => panic!("tag {other:?}"),
        }
    }
    String::from_utf8(out).unwrap()
}
