//! `$NOTIFY_SOCKET`: a container tells the service manager that started the runtime that it is ready.

use husk_tests::{Bundle, Container, Runtime, code_of, temp_dir, unique, wait_until};
use std::{
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A service manager.
struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = temp_dir();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, dir }
    }

    /// Starts the runtime as a service.
    fn service(&self, mut command: Command) -> Service {
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        Service(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// All lines until one that begins so.
    fn hear(&self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        wait_until(&format!("the manager hears {last}"), || {
            let mut buffer = [0; 4096];
            // The descriptor of a barrier is dropped unread, which is the answer.
            if let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                lines.extend(text.lines().map(str::to_owned));
            }
            lines.iter().any(|line| line.starts_with(last))
        });
        lines
    }
}

/// The runtime, which ends with the test at the latest.
struct Service(Child);

impl Service {
    fn code(&mut self) -> i32 {
        wait_until("the runtime ends", || self.0.try_wait().unwrap().is_some());
        code_of(self.0.wait().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The socket as the program sees it: by the variable of its environment, in its own mounts. A process that is still to
/// become the program has husk's environment.
fn inside(container: &Container<'_>) -> PathBuf {
    let pid = container.pid();
    let mut path = None;
    wait_until("NOTIFY_SOCKET is in the program's environment", || {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        path = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(b"NOTIFY_SOCKET=/run/notify/"))
            .map(|name| String::from_utf8_lossy(name).into_owned());
        path.is_some()
    });
    PathBuf::from(format!("/proc/{pid}/root/run/notify")).join(path.unwrap())
}

fn say(container: &Container<'_>, text: &str) {
    // The path through /proc is longer than an address may be only with very long names.
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(text.as_bytes(), inside(container)).unwrap();
}

fn command(runtime: &Runtime, verb: &[&str], bundle: &Bundle, id: &str) -> Command {
    bundle.write();
    let mut command = runtime.command();
    command.args(verb).arg("--bundle").arg(bundle.path()).arg(id);
    command
}

#[test]
fn a_detached_run_returns_when_the_container_is_ready() {
    let runtime = Runtime::new();
    let manager = Manager::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = Container::named(&runtime, &unique("notify"));
    let mut run = manager.service(command(&runtime, &["run", "--detach"], &bundle, &container.id));
    wait_until("the container runs", || container.call("state", &[]).stdout.contains("\"running\""));
    say(&container, "STATUS=on its way\n");
    say(&container, "MAINPID=1\n");
    assert!(run.0.try_wait().unwrap().is_none(), "it is not ready yet");
    say(&container, "READY=1\nSTATUS=up\n");
    let lines = manager.hear("MAINPID=");
    assert_eq!(lines, ["READY=1".to_owned(), format!("MAINPID={}", container.pid())]);
    if runtime.name == "husk" {
        // runc has it from 1.2 on.
        manager.hear("BARRIER=1");
    }
    assert_eq!(run.code(), 0);
    assert_eq!(container.status(), "running");
}

#[test]
fn start_waits_for_a_container_that_was_created_so() {
    let runtime = Runtime::new();
    let manager = Manager::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = Container::named(&runtime, &unique("notify"));
    let mut create = manager.service(command(&runtime, &["create"], &bundle, &container.id));
    assert_eq!(create.code(), 0);
    let mut start = runtime.command();
    start.arg("start").arg(&container.id);
    let mut start = manager.service(start);
    wait_until("the container runs", || container.status() == "running");
    say(&container, "READY=1");
    manager.hear("MAINPID=");
    if runtime.name == "husk" {
        // runc has it from 1.2 on.
        manager.hear("BARRIER=1");
    }
    assert_eq!(start.code(), 0);
    // Other commands are not kept waiting, and see nothing of it.
    assert_eq!(container.sh("echo $NOTIFY_SOCKET").ok().text(), "");
}

/// (runc 1.1.5 waits for the end of a process that it has to reap itself, for ever.)
#[test]
fn a_container_that_ends_keeps_nobody_waiting() {
    let runtime = Runtime::husk();
    let manager = Manager::new();
    let container = Container::named(&runtime, &unique("notify"));
    let bundle = Bundle::new(&["true"]);
    let mut run = manager.service(command(&runtime, &["run", "--detach"], &bundle, &container.id));
    assert_eq!(run.code(), 0);
}

/// In the foreground husk is the process to watch: it ends as the container does. (runc waits there before it does anything
/// else, also where the container has ended.)
#[test]
fn a_run_in_the_foreground_is_itself_watched() {
    let runtime = Runtime::husk();
    let manager = Manager::new();
    let bundle = Bundle::script("while [ ! -e /go ]; do sleep 0.1; done; exit 3");
    let container = Container::named(&runtime, &unique("notify"));
    let mut run = manager.service(command(&runtime, &["run"], &bundle, &container.id));
    wait_until("the container runs", || container.call("state", &[]).stdout.contains("\"running\""));
    say(&container, "READY=1\n");
    assert_eq!(manager.hear("MAINPID="), ["READY=1".to_owned(), format!("MAINPID={}", run.0.id())]);
    std::fs::write(bundle.rootfs().join("go"), "").unwrap();
    assert_eq!(run.code(), 3);
}
