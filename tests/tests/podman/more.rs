//! What podman's users do less often, and what goes through other ways of the runtime.

use crate::engine::Podman;
use husk_tests::terminal::{in_resized_terminal, resize_watcher};
use husk_tests::wait_until;

#[test]
fn interactive_terminals() {
    let podman = Podman::new();
    let flags = ["run", "-it", "--rm", "--network=none", "--cgroup-parent", podman.parent()];
    let script = "test -t 0 && test -t 1 && tty; stty size; exit 6";
    let done = podman.with_terminal(&[&flags[..], &["busybox", "sh", "-c", script]].concat()).expect_code(6);
    assert!(done.stdout.contains("/dev/pts/0"), "{done:?}");
    podman.start("box", &["busybox", "sleep", "1000"]);
    let done = podman.with_terminal(&["exec", "-it", "box", "tty"]).ok();
    assert!(done.text().ends_with("/dev/pts/0"), "{done:?}");
}

#[test]
fn a_terminal_that_changes_its_size() {
    let podman = Podman::new();
    let shared = podman.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let bind = format!("{}:/s", shared.display());
    let run = ["run", "-it", "--network=none", "--cgroup-parent", podman.parent(), "-v", &bind, "busybox"];
    let watcher = resize_watcher("/s/first");
    let command = podman.command(&[&run[..], &["sh", "-c", &watcher]].concat());
    let done = in_resized_terminal(&command, &shared.join("first")).expect_code(6);
    assert!(done.stdout.contains("changed"), "{done:?}");
    podman.start("box", &["-v", &bind, "busybox", "sleep", "1000"]);
    let command = podman.command(&["exec", "-it", "box", "sh", "-c", &resize_watcher("/s/second")]);
    let done = in_resized_terminal(&command, &shared.join("second")).expect_code(6);
    assert!(done.stdout.contains("changed"), "{done:?}");
}

#[test]
fn init_stop_signals_restart_policies_and_rm() {
    let podman = Podman::new();
    let done =
        podman.run(&["--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/comm; exit 4"]).expect_code(4);
    assert_eq!(done.text(), "podman-init");
    let script = "trap 'exit 6' USR1; echo up; while :; do sleep 0.1; done";
    podman.start("box", &["--stop-signal=USR1", "--stop-timeout=50", "busybox", "sh", "-c", script]);
    let is_up = || wait_until("the trap is set", || podman.podman(&["logs", "box"]).stdout.contains("up"));
    is_up();
    podman.podman(&["stop", "box"]).ok();
    assert_eq!(podman.inspect("box", "{{.State.ExitCode}}"), "6");
    podman.start("again", &["--restart=on-failure:2", "busybox", "sh", "-c", "exit 3"]);
    let state = || podman.inspect("again", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}");
    wait_until("podman has given up", || state() == "2 exited 3");
    podman.start("gone", &["--rm", "busybox", "true"]);
    wait_until("podman has removed it", || podman.podman(&["container", "exists", "gone"]).code == 1);
}

/// podman has the exit code, husk knows who sent the signal; the id is the short one of `podman ps`.
#[test]
fn husk_explains_what_podman_has_cleaned_up() {
    let podman = Podman::new();
    podman.start("box", &["busybox", "sleep", "1000"]);
    let id = podman.inspect("box", "{{.Id}}");
    podman.podman(&["kill", "box"]).ok();
    podman.podman(&["wait", "box"]).ok();
    podman.podman(&["rm", "box"]).ok();
    let Some(done) = podman.explain(&id[..12]) else { return };
    let told = done.ok().stdout;
    assert!(told.contains(&id) && told.contains("husk sent SIGKILL at"), "{told}");
}

#[test]
fn hooks_kernel_settings_devices_and_a_folder_as_root() {
    let podman = Podman::new();
    let at = |name: &str| podman.path().join(name).display().to_string();
    std::fs::create_dir(at("hooks")).unwrap();
    let hook = format!(
        r#"{{"version": "1.0.0", "when": {{"always": true}}, "stages": ["createRuntime", "poststop"],
            "hook": {{"path": "/bin/sh", "args": ["sh", "-c", "cat >>{}"], "env": ["PATH=/usr/bin:/bin"]}}}}"#,
        at("told")
    );
    std::fs::write(at("hooks/one.json"), hook).unwrap();
    let flags =
        ["--hooks-dir", &at("hooks"), "run", "--rm", "--network=none", "--cgroup-parent", podman.parent()];
    podman.podman(&[&flags[..], &["busybox", "true"]].concat()).ok();
    let told = std::fs::read_to_string(at("told")).unwrap();
    for status in ["creat", "stopped"] {
        assert!(told.contains(&format!(r#""status":"{status}"#)), "{status}: {told}");
    }

    let script =
        "ulimit -c; cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj; umask; stat -c %t,%T /dev/it";
    let done = podman.run(&[
        "--rm",
        "--ulimit=core=0:0",
        "--ulimit=nofile=512:512",
        "--ulimit=nproc=512:512",
        "--sysctl=kernel.msgmax=1234",
        "--oom-score-adj=300",
        "--umask=0027",
        "--device=/dev/full:/dev/it:r",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(done.ok().text(), "0\n1234\n300\n0027\n1,7");

    let bundle = husk_tests::Bundle::new(&["true"]);
    let root = bundle.rootfs();
    let done = podman.run(&["--rm", "--rootfs", root.to_str().unwrap(), "/bin/echo", "a folder"]).ok();
    assert_eq!(done.text(), "a folder");
}

#[test]
fn copies_commits_and_created_containers() {
    let podman = Podman::new();
    podman.start("box", &["busybox", "sleep", "1000"]);
    let (there, back) = (podman.path().join("there"), podman.path().join("back"));
    std::fs::write(&there, "copied\n").unwrap();
    podman.podman(&["cp", there.to_str().unwrap(), "box:/tmp/x"]).ok();
    podman.podman(&["cp", "box:/tmp/x", back.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "copied\n");
    podman.podman(&["commit", "-q", "box", "snap"]).ok();
    assert_eq!(podman.run(&["--rm", "snap", "cat", "/tmp/x"]).ok().text(), "copied");
    podman.podman(&["create", "--name=late", "--network=none", "busybox", "echo", "late"]).ok();
    podman.podman(&["init", "late"]).ok();
    assert_eq!(podman.inspect("late", "{{.State.Status}}"), "initialized");
    assert_eq!(podman.podman(&["start", "--attach", "late"]).ok().text(), "late");
}

#[test]
fn namespaces_of_the_host_and_of_another_container() {
    let podman = Podman::new();
    podman.start("one", &["busybox", "sleep", "1000"]);
    let script = ["busybox", "sh", "-c", "for n in net ipc pid uts; do readlink /proc/self/ns/$n; done"];
    let names = |args: &[&str]| {
        let all = [&["run", "--rm", "--cgroup-parent", podman.parent()], args, &script[..]].concat();
        podman.podman(&all).ok().text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let one = podman.podman(&[&["exec", "one"], &script[1..]].concat()).ok();
    let one: Vec<_> = one.text().lines().collect();
    let joined = ["--net=container:one", "--ipc=container:one", "--pid=container:one", "--uts=container:one"];
    assert_eq!(names(&joined), one);
    let host = names(&["--net=host", "--ipc=host", "--pid=host", "--uts=host"]);
    assert!(one.iter().all(|own| !host.iter().any(|name| name == own)), "{one:?} {host:?}");
    // In the host's cgroup namespace a program finds its group where /proc/self/cgroup says that it is.
    let script = "test -e /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/cgroup.events && ! mkdir /sys/fs/cgroup/x";
    podman.run(&["--rm", "--cgroupns=host", "busybox", "sh", "-c", script]).ok();
}

#[test]
fn systemd_finds_what_it_needs() {
    let podman = Podman::new();
    let script =
        "mkdir /sys/fs/cgroup/init && touch /run/x /run/lock/x /tmp/x /var/log/journal/x && echo $container";
    let done = podman.run(&["--rm", "--systemd=always", "busybox", "sh", "-c", script]).ok();
    assert_eq!(done.text(), "podman");
}

#[test]
fn a_pod_of_a_kubernetes_manifest() {
    let podman = Podman::new();
    let manifest = podman.path().join("pod.yaml");
    let text = "apiVersion: v1
kind: Pod
metadata: {name: kube}
spec:
  hostNetwork: true
  containers:
  - name: one
    image: localhost/busybox:latest
    imagePullPolicy: Never
    command: [sleep, '1000']
    env: [{name: A, value: b}]
    securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
";
    std::fs::write(&manifest, text).unwrap();
    let manifest = manifest.to_str().unwrap();
    podman.podman(&["play", "kube", manifest]).ok();
    let script =
        "id -u; echo $A; sed -n 's/^CapEff:.//p' /proc/self/status; touch /x 2>/dev/null || echo read-only";
    let done = podman.podman(&["exec", "kube-one", "sh", "-c", script]).ok();
    assert_eq!(done.text(), "1000\nb\n0000000000000000\nread-only");
    podman.podman(&["pod", "pause", "kube"]).ok();
    podman.podman(&["pod", "unpause", "kube"]).ok();
    podman.podman(&["play", "kube", "--down", manifest]).ok();
}

/// husk has destroyed the container by the time podman looks, runc leaves it stopped: all the same to podman.
#[test]
fn a_start_that_a_hook_ends() {
    let podman = Podman::new();
    let hooks = podman.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    let hooks = hooks.to_str().unwrap();
    // runc's start succeeds where a startContainer hook has failed.
    let peer = std::env::var_os("RUNTIME").is_some();
    for stage in ["poststart", "startContainer"].into_iter().take(if peer { 1 } else { 2 }) {
        let hook = serde_json::json!({
            "version": "1.0.0",
            "hook": {"path": "/bin/sh", "args": ["sh", "-c", "echo the reason >&2; exit 3"]},
            "when": {"always": true},
            "stages": [stage],
        });
        std::fs::write(format!("{hooks}/hook.json"), hook.to_string()).unwrap();
        let flags = ["--hooks-dir", hooks, "run", "--network=none", "--cgroup-parent", podman.parent()];
        let run = |more: &[&str]| podman.podman(&[&flags[..], more].concat());
        for name in [&["-d", "--name", "box"][..], &["--name", "box"], &["--rm", "--name", "box"]] {
            let done = run(&[name, &["busybox", "sleep", "1000"]].concat());
            assert!(done.code != 0 && done.stderr.contains("the reason"), "{stage} {name:?}: {done:?}");
            if name.contains(&"--rm") {
                wait_until("it is removed", || podman.podman(&["container", "exists", "box"]).code == 1);
                continue;
            }
            let status = podman.inspect("box", "{{.State.Status}} {{.State.Running}}");
            assert!(!status.ends_with("true"), "{stage} {name:?}: {status}");
            podman.podman(&["stop", "box"]).ok();
            podman.podman(&["rm", "box"]).ok();
        }
    }
    assert_eq!(podman.podman(&["ps", "-aq"]).ok().text(), "");
}
