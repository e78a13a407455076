//! `process.terminal`: of `run`, and by a console socket.

use super::same;
use husk_tests::{Bundle, Container, Orphan, Receiver, Runtime, run, unique, wait_until};
use serde_json::json;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

fn terminal(bundle: &mut Bundle) -> &mut Bundle {
    bundle.set("/process/terminal", true)
}

/// A container by `create` or `run`, with the path of its console socket.
fn with_socket<'a>(
    runtime: &'a Runtime,
    verb: &[&str],
    bundle: &Bundle,
    socket: &Path,
) -> (Container<'a>, Command) {
    bundle.write();
    let container = Container::named(runtime, &unique("tty"));
    let mut command = runtime.command();
    command.args(verb).arg("--console-socket").arg(socket);
    command.arg("--bundle").arg(bundle.path()).arg(&container.id);
    (container, command)
}

/// The same, and the terminal's master that came by the socket.
fn made<'a>(runtime: &'a Runtime, verb: &[&str], bundle: &Bundle) -> (Container<'a>, File) {
    let console = Receiver::new();
    let (container, mut command) = with_socket(runtime, verb, bundle, &console.path());
    (container, console.receive_from(&mut command))
}

/// What a script writes to its terminal, whose master came by a console socket.
fn shown(script: &str, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> String {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script(script);
    change(terminal(&mut bundle));
    let (container, mut master) = made(&runtime, &["create"], &bundle);
    container.call("start", &[]).ok();
    let mut seen = Vec::new();
    // EIO is the end of a terminal.
    let _ = master.read_to_end(&mut seen);
    String::from_utf8_lossy(&seen).replace('\r', "").trim().to_owned()
}

#[test]
fn all_three_streams_are_the_terminal() {
    let shown = shown("for n in 0 1 2; do readlink /proc/$$/fd/$n; done", same);
    assert_eq!(shown, "/dev/pts/0\n/dev/pts/0\n/dev/pts/0");
}

#[test]
fn the_console_is_the_terminal() {
    assert_eq!(
        shown("stat -c '%F' /dev/console; echo by console >/dev/console", same),
        "character special file\nby console"
    );
}

#[test]
fn the_terminal_controls_the_session() {
    let shown = shown("echo by tty >/dev/tty; cut -d' ' -f7,8 /proc/1/stat | grep -v '^0'", same);
    assert!(shown.starts_with("by tty") && shown.lines().count() == 2, "{shown}");
}

#[test]
fn the_size_is_that_of_the_spec() {
    assert_eq!(
        shown("stty size", |bundle| bundle.set("/process/consoleSize", json!({"height": 30, "width": 100}))),
        "30 100"
    );
}

#[test]
fn the_terminal_belongs_to_the_user() {
    let shown =
        shown("stat -c %u $(tty)", |bundle| bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})));
    assert_eq!(shown, "1000");
}

#[test]
fn a_terminal_in_a_user_namespace() {
    assert_eq!(shown("tty; echo by console >/dev/console", super::mapped), "/dev/pts/0\nby console");
}

fn read_until(master: &mut File, text: &str) {
    let mut seen = String::new();
    wait_until(text, || {
        let mut buffer = [0; 256];
        let length = master.read(&mut buffer).unwrap_or(0);
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        seen.contains(text)
    });
}

#[test]
fn a_console_socket_gets_the_master() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("read line; echo \"got $line\"; sleep 100000");
    terminal(&mut bundle);
    let (container, mut master) = made(&runtime, &["create"], &bundle);
    container.call("start", &[]).ok();
    master.write_all(b"hello\n").unwrap();
    read_until(&mut master, "got hello");
}

#[test]
fn the_master_resizes_the_terminal() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("read line; stty size; sleep 100000");
    terminal(&mut bundle);
    let (container, mut master) = made(&runtime, &["create"], &bundle);
    container.call("start", &[]).ok();
    let size = rustix::termios::Winsize { ws_row: 11, ws_col: 22, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    master.write_all(b"now\n").unwrap();
    read_until(&mut master, "11 22");
}

#[test]
fn the_end_of_the_container_is_seen_on_the_master() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    terminal(&mut bundle);
    let (container, mut master) = made(&runtime, &["run", "--detach"], &bundle);
    container.call("kill", &["KILL"]).ok();
    container.wait_for("stopped");
    let mut rest = Vec::new();
    // EIO is the end of a terminal.
    let end = master.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|error| error.raw_os_error() == Some(5)));
}

#[test]
fn exec_sends_its_terminal_to_a_socket() {
    let runtime = Runtime::new();
    let container = super::idle(&runtime, same);
    let bundle = container.bundle();
    let console = Receiver::new();
    let pid = bundle.path().join("pid");
    Orphan::adopt();
    let mut command = runtime.command();
    command
        .args(["exec", "--tty", "--detach", "--console-socket"])
        .arg(console.path())
        .arg("--pid-file")
        .arg(&pid)
        .arg(&container.id);
    command.args(["sh", "-c", "read line; echo \"got $line\"; sleep 100000"]);
    let mut master = console.receive_from(&mut command);
    let _orphan = Orphan::of(&pid);
    master.write_all(b"hello\n").unwrap();
    read_until(&mut master, "got hello");
}

#[test]
fn create_with_a_terminal_needs_a_socket() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["true"]);
    terminal(&mut bundle);
    let (_container, done) = runtime.try_create(&bundle);
    assert_ne!(done.code, 0, "{done:?}");
}

#[test]
fn a_socket_without_a_terminal_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let console = Receiver::new();
    let (_container, mut create) = with_socket(&runtime, &["create"], &bundle, &console.path());
    assert_ne!(run(&mut create).code, 0);
}

#[test]
fn a_socket_that_does_not_exist_is_an_error() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["true"]);
    terminal(&mut bundle);
    let (_container, mut create) = with_socket(&runtime, &["create"], &bundle, Path::new("/no/such/socket"));
    assert_ne!(run(&mut create).code, 0);
}

/// As the kernel makes it: whoever has the master decides whether a carriage return is added to a line's end.
#[test]
fn a_terminal_that_is_sent_away_has_the_kernels_modes() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("echo line; sleep 100000");
    terminal(&mut bundle);
    let (container, mut master) = made(&runtime, &["create"], &bundle);
    container.call("start", &[]).ok();
    read_until(&mut master, "line\r\n");
}
