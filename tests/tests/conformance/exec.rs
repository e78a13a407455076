//! `exec`: a further process of a container.

use super::{capable, idle, same};
use husk_tests::{Bundle, Container, Orphan, Runtime, cgroup, run};
use serde_json::json;

#[test]
fn it_is_in_the_containers_namespaces() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let pid = container.pid();
    for kind in ["pid", "mnt", "net", "ipc", "uts", "cgroup", "user"] {
        let own = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let done = container.exec(&["readlink", &format!("/proc/self/ns/{kind}")]).ok();
        assert_eq!(done.text(), own.to_str().unwrap(), "{kind}");
    }
}

#[test]
fn it_is_in_the_containers_group() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let orphan = Orphan::exec(&container, &[], &["sleep", "100000"]);
    assert_eq!(cgroup::of_process(orphan.pid()), cgroup::of_process(container.pid()));
}

#[test]
fn the_environment_and_directory_are_those_of_the_container() {
    let runtime = Runtime::new();
    let container =
        idle(&runtime, |bundle| bundle.push("/process/env", json!("A=b c")).set("/process/cwd", "/usr"));
    assert_eq!(container.sh("echo $A; pwd; echo $TERM").ok().text(), "b c\n/usr\nxterm");
}

#[test]
fn the_user_is_that_of_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        bundle.set("/process/user", json!({"uid": 1000, "gid": 50, "additionalGids": [7]}))
    });
    assert_eq!(container.sh("id -u; id -g; id -G").ok().text(), "1000\n50\n50 7");
}

#[test]
fn the_capabilities_are_those_of_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| capable(bundle, &["CAP_CHOWN", "CAP_KILL"]));
    let done = container.exec(&["grep", "-E", "Cap(Eff|Bnd)", "/proc/self/status"]).ok();
    assert_eq!(done.stdout.lines().count(), 2, "{done:?}");
    for line in done.stdout.lines() {
        assert!(line.ends_with("0000000000000021"), "{done:?}");
    }
}

#[test]
fn limits_scores_and_no_new_privs_are_those_of_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        bundle
            .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]))
            .set("/process/oomScoreAdj", 300)
    });
    let done = container
        .sh("ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep -c 'NoNewPrivs:.1' /proc/self/status");
    assert_eq!(done.ok().text(), "77\n88\n300\n1");
}

#[test]
fn seccomp_filters_it_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        bundle.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}),
        )
    });
    let done = container.sh("mkdir /x").expect_code(1);
    assert!(done.stderr.contains("Operation not permitted"), "{done:?}");
}

#[test]
fn its_streams_are_the_callers() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"through stdin").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = runtime.command();
    command.args(["exec", &container.id, "sh", "-c", "cat; echo to stderr >&2"]);
    let done = husk_tests::command::run_with_stdin(&mut command, file.into()).ok();
    assert_eq!((done.stdout.as_str(), done.stderr.trim()), ("through stdin", "to stderr"));
}

#[test]
fn arguments_that_look_like_flags_are_the_programs() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    assert_eq!(container.exec(&["echo", "--user", "-d", "--", "x"]).ok().text(), "--user -d -- x");
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let done = container.exec(&["no-such-program"]);
    assert!(done.code != 0 && done.stderr.contains("no-such-program"), "{done:?}");
    assert_eq!(container.status(), "running");
}

#[test]
fn in_a_created_container() {
    // runc's manual: "exec" needs a container that is created or running.
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    assert_eq!(container.sh("echo joined").ok().text(), "joined");
    assert_eq!(container.status(), "created");
}

#[test]
fn in_a_stopped_container_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    assert_ne!(container.exec(&["true"]).code, 0);
}

#[test]
fn in_a_paused_container_is_an_error_and_works_after_resume() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    container.call("pause", &[]).ok();
    assert_ne!(container.exec(&["true"]).code, 0);
    container.call("resume", &[]).ok();
    container.exec(&["true"]).ok();
}

#[test]
fn in_no_container_is_an_error() {
    let runtime = Runtime::new();
    assert_ne!(Container::named(&runtime, "husk-nobody").exec(&["true"]).code, 0);
    assert_ne!(run(runtime.command().arg("exec")).code, 0);
}

#[test]
fn without_a_program_it_is_an_error() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    assert_ne!(container.exec(&[]).code, 0);
}

#[test]
fn the_end_of_the_container_is_its_end() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let mut exec = runtime.command();
    exec.args(["exec", &container.id, "sh", "-c", ": >/joined; exec sleep 100000"])
        .stdin(std::process::Stdio::null());
    let mut exec = exec.spawn().unwrap();
    husk_tests::wait_until("the process runs", || container.sh("test -e /joined").code == 0);
    container.call("kill", &["KILL"]).ok();
    assert_eq!(exec.wait().unwrap().code(), Some(137));
}

#[test]
fn it_leaves_no_trace_in_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    for _ in 0..3 {
        container.exec(&["true"]).ok();
    }
    // init and this shell
    assert_eq!(container.sh("set -- /proc/[0-9]*; echo $#").ok().text(), "2");
    assert_eq!(container.exec(&["ls", "/proc/1/fd"]).ok().stdout.split_whitespace().count(), 3);
}
