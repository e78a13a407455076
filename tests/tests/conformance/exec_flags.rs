//! The flags of `exec`, as runc's manual has them.

use super::{capable, idle, same};
use husk_tests::{Orphan, Runtime, cgroup, run};

#[test]
fn user_and_group() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let show = ["sh", "-c", "id -u; id -g"];
    assert_eq!(container.call_with("exec", &["--user", "1000:50"], &show).ok().text(), "1000\n50");
    assert_eq!(container.call_with("exec", &["-u", "7"], &show).ok().text(), "7\n0");
}

#[test]
fn additional_groups() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let done = container.call_with("exec", &["-g", "7", "-g", "8"], &["id", "-G"]);
    assert_eq!(done.ok().text(), "0 7 8");
}

#[test]
fn environment() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let flags = ["--env", "A=b c", "--env", "TERM=x", "--env", "EMPTY="];
    let done = container.call_with(
        "exec",
        &flags,
        &["sh", "-c", "echo $A; echo $TERM; env | grep -c ^TERM=; env | grep ^EMPTY"],
    );
    assert_eq!(done.ok().text(), "b c\nx\n1\nEMPTY=");
}

#[test]
fn directory() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    assert_eq!(container.call_with("exec", &["--cwd", "/tmp"], &["pwd"]).ok().text(), "/tmp");
}

#[test]
fn capability() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| capable(bundle, &["CAP_KILL"]));
    let done = container
        .call_with("exec", &["--cap", "CAP_SYS_CHROOT"], &["grep", "-E", "Cap(Eff|Bnd)", "/proc/self/status"])
        .ok();
    assert_eq!(done.stdout.lines().count(), 2, "{done:?}");
    for line in done.stdout.lines() {
        assert!(line.ends_with("0000000000040020"), "{done:?}");
    }
}

#[test]
fn no_new_privs() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| bundle.set("/process/noNewPrivileges", false));
    let show = ["grep", "-c", "NoNewPrivs:.1", "/proc/self/status"];
    assert_eq!(container.call_with("exec", &["--no-new-privs"], &show).ok().text(), "1");
    assert_eq!(container.call("exec", &show).text(), "0");
}

#[test]
fn a_process_file() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    let path = bundle.path().join("process.json");
    std::fs::write(
        &path,
        r#"{"user":{"uid":3,"gid":4,"additionalGids":[5]},"cwd":"/usr","env":["PATH=/bin","X=y"],
            "args":["sh","-c","id -u; id -G; echo $X; pwd; ulimit -n"],
            "rlimits":[{"type":"RLIMIT_NOFILE","soft":64,"hard":64}]}"#,
    )
    .unwrap();
    let done = container.call_with("exec", &["--process", path.to_str().unwrap()], &[]);
    assert_eq!(done.ok().text(), "3\n4 5\ny\n/usr\n64");
    // The directory is all that it must say besides the program.
    std::fs::write(&path, r#"{"args":["/bin/id","-u"],"cwd":"/"}"#).unwrap();
    let done = container.call_with("exec", &["--process", path.to_str().unwrap()], &[]);
    assert_eq!(done.ok().text(), "0");
}

#[test]
fn detach() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    let _orphan = Orphan::exec(&container, &[], &["sh", "-c", ": >/joined; exec sleep 100000"]);
    husk_tests::wait_until("the process runs", || bundle.rootfs().join("joined").exists());
}

#[test]
fn a_group_below_the_containers() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() || !cgroup::needs("pids") {
        return;
    }
    let container = idle(&runtime, same);
    let own = cgroup::of_process(container.pid()).join("sub");
    std::fs::create_dir(&own).unwrap();
    let orphan = Orphan::exec(&container, &["--cgroup", "sub"], &["sleep", "100000"]);
    assert_eq!(cgroup::of_process(orphan.pid()), own);
}

#[test]
fn a_group_that_does_not_exist_is_an_error() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    assert_ne!(container.call_with("exec", &["--cgroup", "none"], &["true"]).code, 0);
    assert_ne!(container.call_with("exec", &["--cgroup", "../.."], &["true"]).code, 0);
}

#[test]
fn ignore_paused_waits_for_resume() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    container.call("pause", &[]).ok();
    let mut command = runtime.command();
    command
        .args(["exec", "--ignore-paused", &container.id, "sh", "-c", ": >/ran"])
        .stdin(std::process::Stdio::null());
    let mut exec = command.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let early = bundle.rootfs().join("ran").exists();
    container.call("resume", &[]).ok();
    assert!(exec.wait().unwrap().success());
    assert!(!early && bundle.rootfs().join("ran").exists());
}

/// A shell that opens descriptors 3 and 4, and calls exec with these flags.
fn with_files(flags: &str, script: &str) -> husk_tests::Done {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    std::fs::write(bundle.path().join("three"), "three").unwrap();
    std::fs::write(bundle.path().join("four"), "four").unwrap();
    let line = format!("exec \"$@\" exec {flags} {} sh -c '{script}' 3<three 4<four", container.id);
    let call = runtime.command();
    let mut command = std::process::Command::new("sh");
    for (key, value) in call.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.args(["-c", &line, "sh"]).arg(call.get_program()).args(call.get_args());
    run(command.current_dir(bundle.path()))
}

#[test]
fn no_descriptor_goes_along_unasked() {
    assert_eq!(
        with_files("", "[ -e /proc/self/fd/4 ] && echo four; cat <&3 2>/dev/null || echo closed").ok().text(),
        "closed"
    );
}

#[test]
fn preserved_descriptors() {
    assert_eq!(
        with_files("--preserve-fds 1", "cat <&3; cat <&4 2>/dev/null || echo closed").ok().text(),
        "threeclosed"
    );
    assert_eq!(with_files("--preserve-fds 2", "cat <&3; cat <&4").ok().text(), "threefour");
}

#[test]
fn values_that_are_none_are_errors() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    for flags in [["--user", "1x"], ["--process", "/no/such/file"], ["--cwd", "/etc/passwd"]] {
        assert_ne!(container.call_with("exec", &flags, &["true"]).code, 0, "{flags:?}");
    }
}
