//! File descriptors: the standard streams, and those that the caller passes on.

use husk_tests::{Bundle, Runtime, run, unique};
use std::process::Command;

/// A shell that opens descriptors 3, 4 and 5 on three files and then calls the runtime.
fn with_files(bundle: &Bundle, flags: &str, env: &str) -> husk_tests::Done {
    let runtime = Runtime::new();
    bundle.write();
    for name in ["three", "four", "five"] {
        std::fs::write(bundle.path().join(name), name).unwrap();
    }
    let call = runtime.command();
    let id = unique("fds");
    let container = husk_tests::Container::named(&runtime, &id);
    let script = format!("exec 3<three 4<four 5<five; {env} exec \"$@\" run {flags} {}", container.id);
    let mut command = Command::new("bash");
    for (key, value) in call.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.args(["-c", &script, "bash"]).arg(call.get_program()).args(call.get_args());
    run(command.current_dir(bundle.path()))
}

/// Which of the three descriptors the program has.
const SHOW: &str = "for n in 3 4 5; do [ -e /proc/self/fd/$n ] && printf '%s ' $(readlink /proc/$$/fd/$n | sed 's/.*[/]//'); done; echo .";

#[test]
fn a_container_has_its_standard_streams_and_no_more() {
    // Not through a pipe, which the shell itself has open for a moment.
    let done = Runtime::new().run(&Bundle::script("ls /proc/$$/fd >/list; echo $(cat /list)")).ok();
    // 10 is the shell's own copy, where it makes one.
    let others: Vec<_> = done.text().split(' ').filter(|fd| !["0", "1", "2", "10"].contains(fd)).collect();
    assert!(others.is_empty(), "{}", done.text());
}

#[test]
fn what_the_caller_has_open_does_not_leak() {
    let done = with_files(&Bundle::script(SHOW), "", "").ok();
    assert_eq!(done.text(), ".");
}

#[test]
fn preserved_descriptors() {
    let bundle = Bundle::script("cat <&3; cat <&4; cat <&5 2>/dev/null || echo closed");
    assert_eq!(with_files(&bundle, "--preserve-fds 2", "").ok().text(), "threefourclosed");
}

#[test]
fn no_descriptor_is_preserved_by_zero() {
    assert_eq!(with_files(&Bundle::script(SHOW), "--preserve-fds 0", "").ok().text(), ".");
}

#[test]
fn socket_activation() {
    let bundle =
        Bundle::script("cat <&3; echo; echo $LISTEN_FDS $LISTEN_PID; cat <&4 2>/dev/null || echo closed");
    assert_eq!(with_files(&bundle, "", "LISTEN_FDS=1 LISTEN_PID=$$").ok().text(), "three\n1 1\nclosed");
}

#[test]
fn socket_activation_and_preserved_descriptors() {
    let bundle = Bundle::script("cat <&3; cat <&4; echo; echo $LISTEN_FDS $LISTEN_PID");
    let done = with_files(&bundle, "--preserve-fds 1", "LISTEN_FDS=1 LISTEN_PID=$$").ok();
    assert_eq!(done.text(), "threefour\n1 1");
}

#[test]
fn descriptors_that_are_not_open_are_an_error() {
    let done = with_files(&Bundle::new(&["echo", "it ran"]), "--preserve-fds 100", "");
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}

/// Whoever reads from a pipe until its end must not wait for the start of a container that was made meanwhile.
#[test]
fn a_created_container_holds_nothing_of_its_creators() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let id = unique("held");
    bundle.write();
    let container = husk_tests::Container::named(&runtime, &id);
    let (reader, writer) = std::io::pipe().unwrap();
    let command = runtime.command();
    let args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let mut shell = Command::new("sh");
    // The shell's copy of the pipe is husk's descriptor 9.
    shell.args(["-c", "exec 9>&1 >/dev/null 2>&1; exec \"$@\"", "sh"]).arg(command.get_program()).args(args);
    shell.arg("create").arg("--bundle").arg(bundle.path()).arg(&id);
    let status = shell.stdin(std::process::Stdio::null()).stdout(writer).status().unwrap();
    assert!(status.success());
    drop(shell);
    husk_tests::wait_until("the pipe ends", || {
        let mut fds = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default()));
        fds[0].revents().contains(rustix::event::PollFlags::HUP)
    });
    assert_eq!(container.status(), "created");
}
