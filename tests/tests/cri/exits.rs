//! Exit codes, exact, through ContainerStatus and ExecSync; logs; limits.

use husk_cri_api::ReopenContainerLogRequest;
use husk_tests::{cgroup, wait_until};
use tonic::Code;

use crate::node::Node;
use crate::pods::{command, host_pod, script};

const ENDS: [(&str, i32); 9] = [
    ("exit 0", 0),
    ("exit 1", 1),
    ("exit 3", 3),
    ("exit 255", 255),
    ("awk 'BEGIN { exit -1 }'", 255),
    ("kill -TERM $$", 143),
    ("kill -KILL $$", 137),
    ("kill -SEGV $$", 139),
    ("exec /bin/not-there", 127),
];

#[test]
fn codes_of_containers_are_exact() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let mut ids = Vec::new();
    for (index, (text, code)) in ENDS.into_iter().enumerate() {
        // PID 1 gets no signal that it has no handler for; its child ends with it, and PID 1 passes that on as a shell does.
        let text =
            if text.starts_with("kill") { format!("sh -c '{text}'; exit $?") } else { text.to_owned() };
        ids.push((node.run(&pod, &script(&format!("c{index}"), &text), &config), code));
    }
    for (id, code) in ids {
        let status = node.end(&id);
        assert_eq!(status.exit_code, code, "{status:?}");
        assert_eq!(status.reason, if code == 0 { "Completed" } else { "Error" });
        assert!(
            status.created_at > 0
                && status.started_at >= status.created_at
                && status.finished_at >= status.started_at,
            "{status:?}"
        );
    }
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn codes_of_commands_are_exact() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("a", "sleep 1000"), &config);
    for (text, code) in ENDS {
        let done = node.exec(&id, &["sh", "-c", text]);
        assert_eq!(done.exit_code, code, "{text}: {done:?}");
    }
    let done = node.exec(&id, &["sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!((&done.stdout[..], &done.stderr[..], done.exit_code), (&b"out\n"[..], &b"err\n"[..], 5));
    for (program, code) in [("not-there", 127), ("/bin/not-executable", 126)] {
        let done = node.exec(&id, &[program]);
        assert_eq!(done.exit_code, code, "{done:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains(program), "{done:?}");
    }
    node.remove_pod(&pod);
}

#[test]
fn a_program_that_is_missing_ends_its_container_with_127() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    for (program, code) in
        [("/bin/not-there", 127), ("/bin/not-executable", 126), ("/bin/not-a-program", 126)]
    {
        let name = program.rsplit('/').next().unwrap();
        let id = node.create(&pod, &command(name, &[program]), &config);
        let refused = node.try_start(&id).unwrap_err();
        assert!(refused.message().contains(program), "{refused:?}");
        let status = node.end(&id);
        assert_eq!((status.exit_code, status.reason.as_str()), (code, "ContainerCannotRun"), "{status:?}");
        assert!(status.message.contains(program), "{status:?}");
    }
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("a", "sleep 1000"), &config);
    let late =
        node.try_exec(&id, &["sh", "-c", "(setsid sleep 777 &); sleep 777 & sleep 777"], 1).unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late:?}");
    wait_until("the command's processes to be gone", || !node.sh(&id, "ps").contains("sleep 777"));
    node.remove_pod(&pod);
}

#[test]
fn output_is_kept_to_its_limit() {
    let node = Node::configured("[limits]\nexec_output = 100000\n");
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("a", "sleep 1000"), &config);
    let done = node.exec(&id, &["sh", "-c", "head -c 3000000 /dev/zero; exit 4"]);
    assert_eq!((done.stdout.len(), done.exit_code), (100_000, 4));
    // What a background process holds open is not waited for.
    let done = node.exec(&id, &["sh", "-c", "sleep 1000 & echo done"]);
    assert_eq!(done.stdout, b"done\n");
    node.remove_pod(&pod);
}

#[test]
fn no_line_is_lost_at_a_rotation() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let id = node.run(
        &pod,
        &script("a", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo end"),
        &config,
    );
    let log = node.path().join("logs/a.log");
    wait_until("the first lines", || std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0));
    let mut old = Vec::new();
    for round in 0..3 {
        let name = node.path().join(format!("logs/a.log.{round}"));
        std::fs::rename(&log, &name).unwrap();
        let mut client = node.runtime.clone();
        let request = ReopenContainerLogRequest { container_id: id.clone() };
        match node.wait(async move { client.reopen_container_log(request).await }) {
            Ok(_) => {}
            // It has ended meanwhile.
            Err(status) => {
                assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
                old.push(name);
                break;
            }
        }
        old.push(name);
    }
    node.end(&id);
    let mut lines = Vec::new();
    for path in old.iter().chain([&log]) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        lines.extend(text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()));
    }
    let expected: Vec<String> = (0..3000).map(|i| format!("line {i}")).chain(["end".to_owned()]).collect();
    assert_eq!(lines, expected);
    node.remove_pod(&pod);
}

#[test]
fn a_container_over_its_memory_limit_is_told_as_oom_killed() {
    if !cgroup::needs("memory") {
        return;
    }
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let limited = |name: &str, text: &str| {
        let mut container = script(name, text);
        let resources = container.linux.get_or_insert_default().resources.get_or_insert_default();
        resources.memory_limit_in_bytes = 32 << 20;
        resources.memory_swap_limit_in_bytes = 32 << 20;
        container
    };
    let own = node.run(&pod, &limited("own", "exec dd if=/dev/zero of=/dev/null bs=200M count=1"), &config);
    let status = node.end(&own);
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"), "{status:?}");
    let child = node.run(
        &pod,
        &limited("child", "dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?; exit 4"),
        &config,
    );
    let status = node.end(&child);
    assert_eq!((status.exit_code, status.reason.as_str()), (4, "Error"), "{status:?}");
    assert!(status.message.to_lowercase().contains("oom"), "{status:?}");
    node.remove_pod(&pod);
}
