//! docker with husk as its default runtime: what docker's users do every day. `RUNTIME=/usr/sbin/runc` runs the same on a
//! peer.

mod checkpoint;
mod engine;
mod limits;
mod rights;
mod systemd;

use engine::Docker;
use husk_tests::terminal::{in_resized_terminal, resize_watcher};
use husk_tests::{run_with_stdin, wait_until};

#[test]
fn output_and_exit_codes_of_run() {
    let docker = Docker::new();
    assert_eq!(docker.run(&["--rm", "busybox", "echo", "hello"]).ok().text(), "hello");
    for code in [3, 255] {
        docker.run(&["--rm", "busybox", "sh", "-c", &format!("exit {code}")]).expect_code(code);
    }
    // docker reads these two from the words of the runtime's error.
    docker.run(&["--rm", "busybox", "no-such-program"]).expect_code(127);
    docker.run(&["--rm", "busybox", "/no/such/program"]).expect_code(127);
    docker.run(&["--rm", "busybox", "/etc/passwd"]).expect_code(126);
    docker.run(&["--rm", "busybox", "/etc"]).expect_code(126);
    let script = "pwd; id -u; echo $A; hostname";
    let done = docker.run(&[
        "--rm",
        "--user=ann",
        "--workdir=/new/dir",
        "--env=A=b c",
        "--hostname=kiwi",
        "--entrypoint=/bin/sh",
        "busybox",
        "-c",
        script,
    ]);
    assert_eq!(done.ok().text(), "/new/dir\n1000\nb c\nkiwi");
    assert_eq!(docker.docker(&["ps", "-aq"]).ok().text(), "");
    assert!(
        !docker.log().contains("failed to parse"),
        "dockerd reads the runtime's version: {}",
        docker.log()
    );
}

#[test]
fn terminals_and_standard_input() {
    let docker = Docker::new();
    let run = ["run", "-it", "--rm", "--network=none", "busybox", "sh", "-c"];
    let done =
        docker.with_terminal(&[&run[..], &["tty; test -t 0 && test -t 1 && echo terminal; exit 6"]].concat());
    // script(1) passes its own end of input on before that.
    let said = done.expect_code(6).text().replace('\r', "");
    assert!(said.ends_with("/dev/pts/0\nterminal"), "{said}");
    docker.start("box", &["busybox", "sleep", "1000"]);
    let done = docker.with_terminal(&["exec", "-it", "box", "tty"]).ok();
    assert!(done.text().ends_with("/dev/pts/0"), "{done:?}");

    let shared = docker.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let bind = format!("{}:/s", shared.display());
    let watcher = resize_watcher("/s/first");
    let run = ["run", "-it", "--rm", "--network=none", "-v", &bind, "busybox", "sh", "-c", &watcher];
    let done = in_resized_terminal(&docker.command(&run), &shared.join("first")).expect_code(6);
    assert!(done.stdout.contains("changed"), "{done:?}");

    let file = docker.path().join("input");
    std::fs::write(&file, "a\nb\n").unwrap();
    let input = || std::fs::File::open(&file).unwrap().into();
    let args = ["run", "-i", "--rm", "--network=none", "busybox", "cat"];
    assert_eq!(run_with_stdin(&mut docker.command(&args), input()).ok().stdout, "a\nb\n");
    let args = ["exec", "-i", "box", "wc", "-l"];
    assert_eq!(run_with_stdin(&mut docker.command(&args), input()).ok().text(), "2");
}

#[test]
fn exec_in_a_running_container() {
    let docker = Docker::new();
    docker.start("box", &["--cap-drop=all", "busybox", "sleep", "1000"]);
    let exec = |args: &[&str]| docker.docker(&[&["exec"], args].concat());
    assert_eq!(exec(&["box", "echo", "inside"]).ok().text(), "inside");
    exec(&["box", "sh", "-c", "exit 9"]).expect_code(9);
    let done = exec(&["box", "no-such-program"]).expect_code(126);
    assert!(done.stdout.contains("no-such-program"), "{done:?}");
    exec(&["-w", "/none", "box", "true"]).expect_code(126);
    let args =
        ["-u", "1000:50", "-w", "/tmp", "-e", "A=b c", "box", "sh", "-c", "id -u; id -g; pwd; echo $A"];
    assert_eq!(exec(&args).ok().text(), "1000\n50\n/tmp\nb c");
    assert_eq!(
        exec(&["box", "grep", "CapEff", "/proc/self/status"]).ok().text(),
        "CapEff:\t0000000000000000"
    );
    exec(&["-d", "box", "touch", "/tmp/in-the-background"]).ok();
    wait_until("the file is there", || exec(&["box", "test", "-e", "/tmp/in-the-background"]).code == 0);
}

#[test]
fn stop_kill_pause_restart_and_wait() {
    let docker = Docker::new();
    let polite = "trap 'exit 5' TERM; trap 'exit 6' USR1; echo up; while :; do sleep 0.1; done";
    docker.start("polite", &["busybox", "sh", "-c", polite]);
    let is_up = |times: usize| {
        wait_until("the trap is set", || {
            docker.docker(&["logs", "polite"]).stdout.matches("up").count() == times
        });
    };
    is_up(1);
    docker.docker(&["pause", "polite"]).ok();
    assert_eq!(docker.inspect("polite", "{{.State.Status}}"), "paused");
    docker.docker(&["unpause", "polite"]).ok();
    docker.docker(&["stop", "--time=50", "polite"]).ok();
    assert_eq!(docker.inspect("polite", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "5 false");
    docker.docker(&["start", "polite"]).ok();
    is_up(2);
    docker.docker(&["kill", "--signal=USR1", "polite"]).ok();
    assert_eq!(docker.docker(&["wait", "polite"]).ok().text(), "6");
    docker.docker(&["restart", "polite"]).ok();
    is_up(3);
    docker.docker(&["rm", "--force", "polite"]).ok();

    docker.start(
        "deaf",
        &["--stop-signal=HUP", "busybox", "sh", "-c", "trap '' HUP; while :; do sleep 0.1; done"],
    );
    docker.docker(&["stop", "--time=1", "deaf"]).ok();
    assert_eq!(docker.inspect("deaf", "{{.State.ExitCode}}"), "137");
}

#[test]
fn logs_top_copies_events_and_commits() {
    let docker = Docker::new();
    docker.start("box", &["busybox", "sh", "-c", "echo out; echo err >&2; sleep 1000"]);
    wait_until("the log is there", || {
        let logs = docker.docker(&["logs", "box"]).ok();
        logs.stdout == "out\n" && logs.stderr == "err\n"
    });
    let top = docker.docker(&["top", "box", "-o", "pid,comm"]).ok();
    assert!(top.stdout.contains("sleep"), "{top:?}");
    let stats = docker.docker(&["stats", "--no-stream", "--format={{.Name}}", "box"]).ok();
    assert_eq!(stats.text(), "box");

    let (there, back) = (docker.path().join("there"), docker.path().join("back"));
    std::fs::write(&there, "copied\n").unwrap();
    docker.docker(&["cp", there.to_str().unwrap(), "box:/tmp/x"]).ok();
    assert_eq!(docker.docker(&["exec", "box", "cat", "/tmp/x"]).ok().text(), "copied");
    docker.docker(&["cp", "box:/tmp/x", back.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "copied\n");
    docker.docker(&["commit", "box", "snap"]).ok();
    assert_eq!(docker.run(&["--rm", "snap", "cat", "/tmp/x"]).ok().text(), "copied");

    docker.docker(&["kill", "box"]).ok();
    assert_eq!(docker.docker(&["wait", "box"]).ok().text(), "137");
    let actions = || {
        let filter = ["--since=0", "--until=0s", "--filter=container=box", "--format={{.Action}}"];
        docker.docker(&[&["events"], &filter[..]].concat()).ok().stdout
    };
    wait_until("the end is told", || actions().lines().any(|action| action == "die"));
    let actions = actions();
    for action in ["create", "start", "exec_start: cat /tmp/x", "exec_die", "kill", "die"] {
        assert!(actions.contains(action), "{action}: {actions}");
    }
}

#[test]
fn health_checks_and_restart_policies() {
    let docker = Docker::new();
    let check = ["--health-cmd=test -e /tmp/well", "--health-interval=1s", "--health-retries=1"];
    docker.start("box", &[&check[..], &["busybox", "sleep", "1000"]].concat());
    let health =
        |state: &str| wait_until(state, || docker.inspect("box", "{{.State.Health.Status}}") == state);
    health("unhealthy");
    docker.docker(&["exec", "box", "touch", "/tmp/well"]).ok();
    health("healthy");

    docker.start("again", &["--restart=on-failure:2", "busybox", "sh", "-c", "exit 3"]);
    let state = || docker.inspect("again", "{{.RestartCount}} {{.State.ExitCode}} {{.State.Status}}");
    wait_until("docker has given up", || state() == "2 3 exited");

    // Restarted when it has ended, but not when it was stopped.
    let script = "until [ -e /tmp/end ]; do sleep 0.1; done; rm /tmp/end";
    docker.start("always", &["--restart=always", "busybox", "sh", "-c", script]);
    docker.docker(&["exec", "always", "touch", "/tmp/end"]).ok();
    let state = || docker.inspect("always", "{{.RestartCount}} {{.State.Status}}");
    wait_until("it runs again", || state() == "1 running");
    docker.docker(&["stop", "--time=0", "always"]).ok();
    assert_eq!(state(), "1 exited");
}

#[test]
fn namespaces_of_the_host_and_of_another_container() {
    let docker = Docker::new();
    docker.start("one", &["--ipc=shareable", "busybox", "sleep", "1000"]);
    let of = |args: &[&str]| {
        let script = "for n in net ipc pid uts; do readlink /proc/self/ns/$n; done";
        docker.docker(&[args, &["sh", "-c", script]].concat()).ok().text().to_owned()
    };
    let one = of(&["exec", "one"]);
    let joined =
        of(&["run", "--rm", "--net=container:one", "--ipc=container:one", "--pid=container:one", "busybox"]);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&one)[..3], lines(&joined)[..3]);
    assert_ne!(lines(&one)[3], lines(&joined)[3]);
    let host = of(&["run", "--rm", "--net=host", "--ipc=host", "--pid=host", "--uts=host", "busybox"]);
    assert!(lines(&one).iter().all(|own| !lines(&host).contains(own)), "{one}\n{host}");
}
