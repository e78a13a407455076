//! Exit codes, and the states in which a container can be joined.

use crate::{idle, idle_with};
use husk_tests::{Bundle, Runtime, cgroup, run};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_program_that_cannot_be_started_is_127_or_126_and_one_sentence() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let bundle = container.bundle();
    let file = |name: &str, text: &str, mode: u32| {
        let path = bundle.rootfs().join("bin").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "x", 0o644);
    file("crlf", "#!/bin/sh\r\necho\r\n", 0o755);
    file("orphan", "#!/opt/python\n", 0o755);
    file("noise", "echo no line says who is to read this\n", 0o755);
    for (program, code, sentence) in [
        ("nope", 127, "there is no nope in any directory of PATH"),
        ("/bin/nope", 127, "/bin/nope does not exist in the container"),
        ("/bin/plain", 126, "/bin/plain has no execute permission"),
        ("/etc", 126, "/etc is a directory, which can't be executed: permission denied"),
        ("/bin/crlf", 127, "ends in CR LF"),
        ("orphan", 127, "names /opt/python, which does not exist"),
        ("noise", 126, "is no program of this machine and has no #! line"),
    ] {
        let done = container.exec(&[program]).expect_code(code);
        assert!(done.stderr.contains(sentence), "{program}: {}", done.stderr);
        assert_eq!(done.stderr.trim().lines().count(), 1, "{}", done.stderr);
    }
    let done = container.call_with("exec", &["--cwd", "/none"], &["true"]).expect_code(126);
    assert!(done.stderr.contains("the working directory /none does not exist"), "{}", done.stderr);
    // Nothing of the failed ones stays.
    assert_eq!(container.sh("set -- /proc/[0-9]*; echo $#").ok().text(), "2", "init and this shell");
}

#[test]
fn a_container_that_is_gone_or_stopped_or_paused_says_so() {
    let runtime = Runtime::husk();
    let mut command = runtime.command();
    let done = run(command.args(["exec", "nobody", "true"])).expect_code(255);
    assert!(done.stderr.contains("container \"nobody\" does not exist"), "{}", done.stderr);

    let stopped = runtime.start_owned(Bundle::new(&["true"]));
    stopped.wait_for("stopped");
    let done = stopped.exec(&["true"]).expect_code(255);
    assert!(done.stderr.contains("cannot exec in a stopped container"), "{}", done.stderr);

    let paused = idle(&runtime);
    paused.call("pause", &[]).ok();
    let done = paused.exec(&["true"]).expect_code(255);
    assert!(done.stderr.contains("cannot exec in a paused container"), "{}", done.stderr);
    paused.call("resume", &[]).ok();
    paused.exec(&["true"]).ok();
}

/// A container that hands controllers on to groups of its own, as one with systemd in it does, takes no processes in its
/// own group any more ("no internal processes", cgroup-v2.rst): the new one goes to where init is.
#[test]
fn a_container_with_groups_of_its_own_can_be_joined() {
    if !cgroup::needs("memory") {
        return;
    }
    let runtime = Runtime::husk();
    let container = idle_with(&runtime, |bundle| {
        bundle.set("/linux/resources/memory", serde_json::json!({"limit": 64 << 20}));
    });
    let group = cgroup::of_process(container.pid());
    let inner = group.join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("cgroup.procs"), container.pid().to_string()).unwrap();
    std::fs::write(group.join("cgroup.subtree_control"), "+memory").unwrap();
    container.sh("exit 3").expect_code(3);
    container.exec(&["nope"]).expect_code(127);
}

/// systemd, or an administrator, may move a container's init and remove the group that it was made in.
#[test]
fn a_container_that_was_moved_to_another_group_can_be_joined() {
    let runtime = Runtime::husk();
    let container = idle(&runtime);
    let group = cgroup::of_process(container.pid());
    let other = cgroup::Group::reserve("moved");
    std::fs::create_dir(other.dir()).unwrap();
    std::fs::write(other.dir().join("cgroup.procs"), container.pid().to_string()).unwrap();
    std::fs::remove_dir(&group).unwrap();
    container.sh("exit 3").expect_code(3);
    container.call("delete", &["--force"]).ok();
}
