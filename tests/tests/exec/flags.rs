//! What each flag of `husk exec` does to the process.

use crate::{Orphan, idle, idle_with};
use husk_tests::{Runtime, cgroup, run, temp_dir};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketType,
};
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

#[test]
fn user_groups_environment_and_directory() {
    let runtime = Runtime::husk();
    let (_bundle, container) = idle(&runtime);
    assert_eq!(container.sh("pwd; echo $TERM").ok().text(), "/\nxterm");
    let flags =
        ["--user", "1000:50", "-g", "7,8", "--cwd", "/tmp", "--env", "A=b c", "-e", "TERM=x", "-e", "E="];
    let done = container.call_with(
        "exec",
        &flags,
        &["sh", "-c", "id -u; id -g; id -G; pwd; echo $A; echo $TERM; env | grep -c ^TERM="],
    );
    assert_eq!(done.ok().text(), "1000\n50\n50 7 8\n/tmp\nb c\nx\n1");
}

#[test]
fn home_is_that_of_the_user() {
    let runtime = Runtime::husk();
    let (_bundle, container) = idle(&runtime);
    let home = |flags: &[&str]| {
        container.call_with("exec", flags, &["sh", "-c", "echo $HOME"]).ok().text().to_owned()
    };
    assert_eq!(home(&[]), "/root");
    assert_eq!(home(&["--user", "1000"]), "/tmp");
    assert_eq!(home(&["--user", "77"]), "/");
    assert_eq!(home(&["--env", "HOME=/mine"]), "/mine");
}

#[test]
fn capabilities_and_no_new_privs() {
    let runtime = Runtime::husk();
    let (_bundle, container) = idle_with(&runtime, |bundle| {
        bundle.set("/process/noNewPrivileges", false);
    });
    let status = "grep -E 'Cap(Eff|Bnd|Amb|Inh)|NoNewPrivs' /proc/self/status | tr -d '\\n\\t'";
    assert_eq!(
        container.sh(status).ok().text(),
        "CapInh:0000000000000000CapEff:0000000020000420CapBnd:0000000020000420CapAmb:0000000000000000NoNewPrivs:0"
    );
    let done =
        container.call_with("exec", &["--cap", "CAP_SYS_CHROOT", "--no-new-privs"], &["sh", "-c", status]);
    assert_eq!(
        done.ok().text(),
        "CapInh:0000000000000000CapEff:0000000020040420CapBnd:0000000020040420CapAmb:0000000000000000NoNewPrivs:1"
    );
}

#[test]
fn a_process_file_says_it_all() {
    let runtime = Runtime::husk();
    let (bundle, container) = idle(&runtime);
    let path = bundle.path().join("process.json");
    std::fs::write(
        &path,
        r#"{"user":{"uid":3,"gid":4,"additionalGids":[5]},"args":["sh","-c","id -u; id -G; env | grep -v -E '^(PWD|SHLVL|OLDPWD|HOME)=' | sort; pwd; ulimit -n"],
            "env":["PATH=/bin","X=y"],"cwd":"/usr","rlimits":[{"type":"RLIMIT_NOFILE","soft":64,"hard":64}]}"#,
    )
    .unwrap();
    let done = container.call_with("exec", &["--process", path.to_str().unwrap()], &[]);
    assert_eq!(done.ok().text(), "3\n4 5\nPATH=/bin\nX=y\n/usr\n64");
    // The directory is all that it must say besides the program.
    std::fs::write(&path, r#"{"args":["/bin/id","-u"],"cwd":"/"}"#).unwrap();
    let done = container.call_with("exec", &["--process", path.to_str().unwrap()], &[]);
    assert_eq!(done.ok().text(), "0");
}

#[test]
fn wrong_flags_are_refused_by_name() {
    let runtime = Runtime::husk();
    let (_bundle, container) = idle(&runtime);
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
        ("--cgroup", "../..", "must stay below"),
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

#[test]
fn the_process_is_in_the_containers_cgroup_and_namespaces() {
    let runtime = Runtime::husk();
    let (bundle, container) = idle(&runtime);
    let pid_file = bundle.path().join("pid");
    Orphan::adopt();
    container
        .call_with("exec", &["--detach", "--pid-file", pid_file.to_str().unwrap()], &["sleep", "100000"])
        .ok();
    let first = Orphan::of(&pid_file);
    let pid = first.pid();
    let init = container.pid();
    assert_eq!(cgroup::of_process(pid), cgroup::of_process(init));
    for kind in ["pid", "mnt", "net", "ipc", "uts", "cgroup", "user"] {
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_eq!(link(pid), link(init), "{kind}");
    }
    let own = cgroup::of_process(init).join("sub");
    std::fs::create_dir(&own).unwrap();
    container
        .call_with(
            "exec",
            &["--detach", "--cgroup", "sub", "--pid-file", pid_file.to_str().unwrap()],
            &["sleep", "100000"],
        )
        .ok();
    let second = Orphan::of(&pid_file);
    assert_eq!(cgroup::of_process(second.pid()), own);
}

#[test]
fn descriptors_go_along_only_where_asked_for() {
    let runtime = Runtime::husk();
    let (bundle, container) = idle(&runtime);
    let text = bundle.path().join("text");
    std::fs::write(&text, "from outside").unwrap();
    let exec = |flags: &str, script: &str| {
        let line =
            format!("exec \"$@\" exec {flags} {} sh -c '{script}' 3<{} 4<&3", container.id, text.display());
        let husk = runtime.command();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &line, "sh"]).arg(husk.get_program()).args(husk.get_args());
        run(&mut command)
    };
    // ls itself has the directory open, as the lowest number that is free.
    assert_eq!(exec("", "ls /proc/self/fd").ok().text(), "0\n1\n2\n3");
    assert_eq!(
        exec("--preserve-fds 1", "ls /proc/self/fd; cat <&3").ok().text(),
        "0\n1\n2\n3\n4\nfrom outside"
    );
    assert_eq!(
        exec("--preserve-fds 2", "ls /proc/self/fd; cat <&4").ok().text(),
        "0\n1\n2\n3\n4\n5\nfrom outside"
    );
}

/// Receives one descriptor on the listening socket, and the text that came with it.
fn receive(listener: &OwnedFd) -> (String, OwnedFd) {
    let socket = rustix::net::accept(listener).unwrap();
    let mut text = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        &socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (String::from_utf8_lossy(&text[..received.bytes]).into_owned(), fd.unwrap())
}

fn listen(path: &Path) -> OwnedFd {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&socket, 1).unwrap();
    socket
}

#[test]
fn the_terminal_and_the_pidfd_are_sent_away() {
    let runtime = Runtime::husk();
    let (_bundle, container) = idle(&runtime);
    let dir = temp_dir();
    let (console, pidfd) = (dir.path().join("console"), dir.path().join("pidfd"));
    let (console_socket, pidfd_socket) = (listen(&console), listen(&pidfd));
    let pid_file = dir.path().join("pid");
    Orphan::adopt();
    let flags = [
        "--pid-file",
        pid_file.to_str().unwrap(),
        "--tty",
        "--detach",
        "--console-socket",
        console.to_str().unwrap(),
        "--pidfd-socket",
        pidfd.to_str().unwrap(),
    ];
    container.call_with("exec", &flags, &["sh", "-c", "tty; read x; echo got $x"]).ok();
    let _orphan = Orphan::of(&pid_file);
    let (_, master) = receive(&console_socket);
    let (_, process) = receive(&pidfd_socket);
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
    let (_bundle, container) = idle(&runtime);
    let done = container.call_with("exec", &["-t"], &["sh", "-c", "tty; exit 5"]).expect_code(5);
    assert!(done.stdout.starts_with("/dev/pts/"), "{}", done.stdout);
    let done = container.call_with("exec", &["-t", "-d"], &["true"]).expect_code(255);
    assert!(done.stderr.contains("needs --console-socket"), "{}", done.stderr);
}
