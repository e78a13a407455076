//! Descriptors that a container gets, and those that it must not get.

use husk_tests::{Bundle, Runtime, run, unique};
use std::process::Command;

#[test]
fn a_container_has_its_standard_streams_and_no_more() {
    let runtime = Runtime::new();
    let done = runtime.run(&Bundle::script("ls /proc/$$/fd | tr '\\n' ' '")).ok();
    // 10 is the shell's own copy, where it makes one.
    let others: Vec<_> = done.text().split(' ').filter(|fd| !["0", "1", "2", "10"].contains(fd)).collect();
    assert!(others.is_empty(), "{}", done.text());
}

/// A shell that opens descriptors 3, 4 and 5 on three files and then calls husk.
fn with_files(runtime: &Runtime, bundle: &Bundle, flags: &str, env: &str) -> husk_tests::Done {
    bundle.write();
    for name in ["three", "four", "five"] {
        std::fs::write(bundle.path().join(name), name).unwrap();
    }
    let command = runtime.command();
    let program = command.get_program().to_string_lossy().into_owned();
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let script = format!(
        "exec 3<three 4<four 5<five; {env} exec {program} {} run {flags} {}",
        args.join(" "),
        unique("fds")
    );
    run(Command::new("bash").args(["-c", &script]).current_dir(bundle.path()))
}

#[test]
fn preserved_descriptors() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("cat <&3; cat <&4; cat <&5 2>/dev/null || echo closed");
    let done = with_files(&runtime, &bundle, "--preserve-fds 2", "").ok();
    assert_eq!(done.text(), "threefourclosed");
}

#[test]
fn socket_activation() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("cat <&3; cat <&4; echo; echo $LISTEN_FDS $LISTEN_PID $$");
    let done = with_files(&runtime, &bundle, "", "LISTEN_FDS=1 LISTEN_PID=$$").code;
    // 4 is not passed on: the shell ends with an error there.
    assert_ne!(done, 255);
    let done = with_files(&runtime, &bundle, "--preserve-fds 1", "LISTEN_FDS=1 LISTEN_PID=$$").ok();
    assert_eq!(done.text(), "threefour\n1 1 1");
}

#[test]
fn descriptors_that_are_not_open_are_refused() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["true"]);
    let done = with_files(&runtime, &bundle, "--preserve-fds 100", "").expect_code(1);
    assert!(done.stderr.contains("--preserve-fds 100: descriptor"), "{}", done.stderr);
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
