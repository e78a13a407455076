//! What each flag of `husk exec` does to the process.

use crate::{idle, idle_with};
use husk_tests::{Orphan, Receiver, Runtime, run, temp_dir};
use std::io::{Read, Write};

#[test]
fn home_is_that_of_the_user() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let home = |flags: &[&str]| {
        container.call_with("exec", flags, &["sh", "-c", "echo $HOME"]).ok().text().to_owned()
    };
    assert_eq!(home(&[]), "/root");
    assert_eq!(home(&["--user", "1000"]), "/tmp");
    assert_eq!(home(&["--user", "77"]), "/");
    assert_eq!(home(&["--env", "HOME=/mine"]), "/mine");
}

#[test]
fn wrong_flags_are_refused_by_name() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    for (flag, value, words) in [
        ("--user", "root", "is not a number"),
        ("--user", "4294967296", "is no id"),
        ("--user", "4294967295", "is no id"),
        ("--user", "1000:", "is not a number"),
        ("-g", "1x", "is not a number"),
        ("--cap", "CAP_FLY", "there is no such capability"),
        ("--env", "novalue", "must be NAME=VALUE"),
        ("--cwd", "tmp", "must be an absolute path"),
        ("--process", "/none.json", "No such file"),
        ("--cgroup", "../..", "bad sub cgroup path, must stay below"),
        ("--cgroup", "none", "there is no such group"),
        ("--preserve-fds", "200", "is not open"),
        ("--console-socket", "/none", "--console-socket is of no use without a terminal"),
    ] {
        let done = container.call_with("exec", &[flag, value], &["true"]).expect_code(255);
        assert!(
            done.stderr.contains(words) && done.stderr.contains(flag.trim_start_matches('-')),
            "{flag} {value}: {}",
            done.stderr
        );
    }
    container.call("exec", &[]).expect_code(255);
}

/// Not in the working directory, which is where an empty PATH looks.
#[test]
fn a_program_is_found_without_path_in_the_environment() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let bundle = container.bundle();
    let tool = bundle.rootfs().join("tool");
    std::fs::copy(bundle.rootfs().join("bin/busybox"), &tool).unwrap();
    let dir = temp_dir();
    let path = dir.path().join("process.json");
    for (program, code) in [("true", 0), ("tool", 127)] {
        std::fs::write(&path, format!(r#"{{"args":["{program}"],"cwd":"/"}}"#)).unwrap();
        container.call_with("exec", &["--process", path.to_str().unwrap()], &[]).expect_code(code);
    }
}

/// Where a process begins to run can't be seen by itself, so `--debug` tells of it.
#[test]
fn debug_lines_tell_of_the_initial_cpus() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let dir = temp_dir();
    let path = dir.path().join("process.json");
    std::fs::write(&path, r#"{"args":["true"],"cwd":"/","execCPUAffinity":{"initial":"0"}}"#).unwrap();
    let mut command = runtime.command();
    command.args(["--debug", "exec", "--process"]).arg(&path).arg(&container.id);
    let done = run(&mut command).ok();
    assert!(done.stderr.contains("initial CPU affinity: 0x1\""), "{done:?}");
}

#[test]
fn the_terminal_and_the_pidfd_are_sent_away() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let dir = temp_dir();
    let (console, pidfd) = (Receiver::new(), Receiver::new());
    let pid_file = dir.path().join("pid");
    Orphan::adopt();
    let flags = [
        "--pid-file",
        pid_file.to_str().unwrap(),
        "--tty",
        "--detach",
        "--console-socket",
        &console.text(),
        "--pidfd-socket",
        &pidfd.text(),
    ];
    container.call_with("exec", &flags, &["sh", "-c", "readlink /proc/self/fd/0; read x; echo got $x"]).ok();
    let _orphan = Orphan::of(&pid_file);
    let (_, master) = console.receive();
    let (_, process) = pidfd.receive();
    let mut terminal = std::fs::File::from(master);
    terminal.write_all(b"hello\n").unwrap();
    let mut output = String::new();
    let mut buffer = [0; 512];
    // EIO is the end: the program, which alone has the other side open, has ended.
    while let Ok(length @ 1..) = terminal.read(&mut buffer) {
        output.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(output.contains("/dev/pts/") && output.contains("got hello"), "{output:?}");
    let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut fds, None).unwrap(), 1, "the pidfd tells the end");
}

#[test]
fn a_terminal_without_a_socket_is_copied() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let done = container.call_with("exec", &["-t"], &["sh", "-c", "tty; exit 5"]).expect_code(5);
    assert!(done.stdout.starts_with("/dev/pts/"), "{}", done.stdout);
    let done = container.call_with("exec", &["-t", "-d"], &["true"]).expect_code(255);
    assert!(done.stderr.contains("needs --console-socket"), "{}", done.stderr);
}

/// An ambient capability has to be inheritable, too (capabilities(7)), and what is that is for the configuration to say.
#[test]
fn a_further_capability_is_ambient_where_it_may_be_inherited() {
    let runtime = Runtime::husk();
    let (chown, both) = ("0000000000000001", "0000000400000001");
    for (inheritable, set, ambient) in
        [(&["CAP_CHOWN"][..], chown, chown), (&["CAP_CHOWN", "CAP_SYSLOG"], both, both)]
    {
        let container = idle_with(&runtime, |bundle| {
            bundle.set(
                "/process/capabilities",
                serde_json::json!({"bounding": ["CAP_CHOWN", "CAP_SYSLOG"], "permitted": ["CAP_CHOWN"],
                    "effective": ["CAP_CHOWN"], "inheritable": inheritable, "ambient": ["CAP_CHOWN"]}),
            );
        });
        let done =
            container.call_with("exec", &["--cap", "CAP_SYSLOG"], &["grep", "Cap", "/proc/self/status"]);
        let sets: Vec<_> = done.ok().stdout.split_whitespace().map(str::to_owned).collect();
        let wanted = ["CapInh:", set, "CapPrm:", both, "CapEff:", both, "CapBnd:", both, "CapAmb:", ambient];
        assert_eq!(sets, wanted, "{inheritable:?}");
    }
}
