//! podman of an ordinary user, who has ids of his own to map and no rights on cgroups.

use crate::engine::Podman;
use husk_tests::wait_until;

#[test]
fn run_with_ids_of_the_users_own() {
    let Some(podman) = Podman::of_a_user() else { return };
    let map = podman.run(&["--rm", "busybox", "sh", "-c", "cat /proc/self/uid_map; exit 4"]).expect_code(4);
    let words: Vec<_> = map.text().split_whitespace().collect();
    assert_eq!(words, ["0", "54321", "1", "1", "200000", "65536"]);
    let ids = ["busybox", "sh", "-c", "id -u; id -g; touch /dev/shm/x && stat -c %u /dev/shm/x"];
    let as_user = |flags: &[&str]| podman.run(&[&["--rm"], flags, &ids].concat()).ok().text().to_owned();
    assert_eq!(as_user(&["--user=ann:50"]), "1000\n50\n1000");
    assert_eq!(as_user(&["--userns=keep-id"]), "54321\n54321\n54321");
    assert_eq!(as_user(&["--userns=nomap"]), "0\n0\n0");
    podman.run(&["--rm", "busybox", "no-such-program"]).expect_code(127);
    podman.run(&["--rm", "busybox", "/etc/passwd"]).expect_code(126);
    assert_eq!(podman.podman(&["ps", "-aq"]).ok().text(), "");
}

#[test]
fn exec_logs_copies_stop_and_restart() {
    let Some(podman) = Podman::of_a_user() else { return };
    let script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done";
    podman.start("box", &["busybox", "sh", "-c", script]);
    let is_up = |times: usize| {
        wait_until("the trap is set", || {
            podman.podman(&["logs", "box"]).stdout.matches("up").count() == times
        });
    };
    is_up(1);
    let args = ["exec", "-u", "ann", "-w", "/tmp", "box", "sh", "-c", "id -u; pwd; exit 9"];
    assert_eq!(podman.podman(&args).expect_code(9).text(), "1000\n/tmp");
    assert_eq!(podman.podman(&["exec", "-t", "box", "tty"]).ok().text(), "/dev/pts/0");
    podman.podman(&["exec", "box", "no-such-program"]).expect_code(127);
    assert!(podman.podman(&["top", "box", "pid", "comm"]).ok().text().contains("sh"));
    let copy = podman.path().join("home/passwd");
    podman.podman(&["cp", "box:/etc/passwd", copy.to_str().unwrap()]).ok();
    assert!(std::fs::read_to_string(&copy).unwrap().contains("ann"));
    // What can't be done without a cgroup is said, and is podman's error.
    let done = podman.podman(&["pause", "box"]).expect_code(125);
    assert!(done.stderr.contains("cgroup"), "{done:?}");
    podman.podman(&["stop", "--time=50", "box"]).ok();
    assert_eq!(podman.inspect("box", "{{.State.ExitCode}}"), "5");
    podman.podman(&["start", "box"]).ok();
    is_up(2);
    podman.podman(&["kill", "box"]).ok();
    assert_eq!(podman.podman(&["wait", "box"]).ok().text(), "137");
    podman.podman(&["rm", "box"]).ok();
}

#[test]
fn rights_mounts_init_and_the_hosts_namespaces() {
    let Some(podman) = Podman::of_a_user() else { return };
    let status = |flags: &[&str]| {
        let command = ["busybox", "sh", "-c", "grep -E 'CapEff|Seccomp:' /proc/self/status | cut -f2"];
        podman.run(&[&["--rm"], flags, &command].concat()).ok().text().to_owned()
    };
    assert_eq!(status(&["--cap-drop=all"]), "0000000000000000\n2");
    assert!(status(&["--privileged"]).ends_with("\n0"));
    podman.run(&["--rm", "--read-only", "busybox", "touch", "/x"]).expect_code(1);
    let home = podman.path().join("home");
    let volume = format!("{}:/h", home.display());
    podman.run(&["--rm", "-v", &volume, "busybox", "touch", "/h/file"]).ok();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&home.join("file").metadata().unwrap()), 54321);
    let script = "cat /proc/1/comm /proc/sys/kernel/msgmax; stat -c %t,%T /dev/nothing";
    let flags = ["--rm", "--init", "--sysctl=kernel.msgmax=1234", "--device=/dev/null:/dev/nothing"];
    let done = podman.run(&[&flags[..], &["busybox", "sh", "-c", script]].concat()).ok();
    assert_eq!(done.text(), "podman-init\n1234\n1,3");
    // CVE-2023-25809: the host's groups are not shown, let alone to be written.
    let done = podman.run(&["--rm", "--cgroupns=host", "busybox", "sh", "-c", "ls /sys/fs/cgroup; exit 7"]);
    let shown = done.expect_code(7);
    if std::env::var_os("RUNTIME").is_none() {
        assert_eq!(shown.text(), "");
    }
    let flags = ["run", "--rm", "--network=host", "--uts=host", "--pid=host"];
    podman.podman(&[&flags[..], &["busybox", "true"]].concat()).ok();
}

#[test]
fn a_network_by_slirp4netns_and_a_published_port() {
    let Some(podman) = Podman::of_a_user() else { return };
    if !std::path::Path::new("/dev/net/tun").exists() {
        return husk_tests::skip("there is no /dev/net/tun");
    }
    let script = "mkdir /www; echo served >/www/index.html; exec httpd -f -h /www";
    let flags = ["run", "-d", "--name=web", "--network=slirp4netns", "-p", "18080:80"];
    podman.podman(&[&flags[..], &["busybox", "sh", "-c", script]].concat()).ok();
    let devices = podman.podman(&["exec", "web", "ip", "-o", "addr", "show", "tap0"]).ok();
    assert!(devices.text().contains("10.0.2.100"), "{devices:?}");
    wait_until("the port is served", || {
        let line = ["busybox", "wget", "-qO-", "http://127.0.0.1:18080/"];
        podman.host(&line).text() == "served"
    });
}

#[test]
fn a_pod() {
    let Some(podman) = Podman::of_a_user() else { return };
    let infra = ["--infra-image=busybox", "--infra-command=sleep 1000", "--network=none"];
    podman.podman(&[&["pod", "create", "--name=pod", "--share=net,uts,ipc"], &infra[..]].concat()).ok();
    for name in ["a", "b"] {
        podman.podman(&["run", "-d", "--pod=pod", "--name", name, "busybox", "sleep", "1000"]).ok();
    }
    let namespace = |name: &str, kind: &str| {
        podman.podman(&["exec", name, "readlink", &format!("/proc/self/ns/{kind}")]).ok().text().to_owned()
    };
    for kind in ["net", "uts", "ipc"] {
        assert_eq!(namespace("a", kind), namespace("b", kind), "{kind}");
    }
    podman.podman(&["pod", "stop", "--time=0", "pod"]).ok();
    podman.podman(&["pod", "rm", "--force", "pod"]).ok();
}
