//! Terminals: of `run`, and by a console socket.

use husk_tests::{Bundle, Container, Runtime, run, unique, wait_until};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::json;
use std::{
    io::{IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::unix::net::{UnixListener, UnixStream},
};

#[test]
fn run_copies_between_its_streams_and_the_terminal() {
    let runtime = Runtime::husk();
    let mut bundle =
        Bundle::script("tty; stat -c %t,%T /dev/console > /tmp/rdev; stty size; echo err >&2; exit 4");
    bundle.set("/process/terminal", true).set("/process/consoleSize", json!({"height": 30, "width": 100}));
    let done = runtime.run(&bundle).expect_code(4);
    assert_eq!(done.text().replace('\r', ""), "/dev/pts/0\n30 100\nerr");
    assert_eq!(done.stderr, "");
}

fn receive(socket: &UnixStream) -> std::fs::File {
    let mut text = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .unwrap();
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.expect("a descriptor").into()
}

#[test]
fn a_console_socket_gets_the_master() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("read line; echo \"got $line\"; tty < /dev/console; sleep 1000");
    bundle.set("/process/terminal", true).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.write();
    let path = bundle.path().join("console");
    let listener = UnixListener::bind(&path).unwrap();
    let container = Container::named(&runtime, &unique("tty"));
    let mut create = runtime.command();
    create
        .args(["create", "--console-socket"])
        .arg(&path)
        .arg("--bundle")
        .arg(bundle.path())
        .arg(&container.id);
    let mut master = std::thread::scope(|scope| {
        let created = scope.spawn(|| run(&mut create).ok());
        let (socket, _) = listener.accept().unwrap();
        let master = receive(&socket);
        created.join().unwrap();
        master
    });
    container.call("start", &[]).ok();
    master.write_all(b"hello\n").unwrap();
    let mut seen = String::new();
    wait_until("the program answers", || {
        let mut buffer = [0; 256];
        let length = master.read(&mut buffer).unwrap_or(0);
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        seen.contains("got hello") && seen.contains("/dev/console")
    });
}

#[test]
fn contradictions_are_refused() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/process/terminal", true);
    let (_container, done) = runtime.try_create(&bundle);
    assert!(done.code != 0 && done.stderr.contains("--console-socket"), "{}", done.stderr);
}
