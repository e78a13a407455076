//! husk killed at any of its system calls. strace sends the SIGKILL, so that it comes exactly there.

use crate::{create, nothing_left, sleeper};
use husk_tests::{Bundle, Container, Runtime, run, skip, temp_dir, unique, wait_until};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Every how many calls husk is killed; 1 sweeps all of them (about 700, a few minutes).
fn stride() -> usize {
    std::env::var("TEST_KILL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(13)
}

/// A call by its name and its number among the calls of that name, as strace counts them.
type Point = (String, usize);

struct Case<'a> {
    runtime: &'a Runtime,
    bundle: &'a Bundle,
    /// The command to kill, without the id.
    verb: &'a [&'a str],
    /// Whether the container is created, or also started, beforehand.
    created: bool,
    started: bool,
}

impl Case<'_> {
    /// A container as the command expects to find it.
    fn prepare(&self) -> Container<'_> {
        let container = Container::named(self.runtime, &unique("kill"));
        if self.created {
            create(self.runtime, self.bundle, &container.id).ok();
        }
        if self.started {
            container.call("start", &[]).ok();
        }
        container
    }

    /// The folder of the pid file.
    fn pids(&self) -> PathBuf {
        self.bundle.path().join("pids")
    }

    /// The command under strace. Its streams are nobody's, as what it leaves may hold them open.
    fn trace(&self, strace: &[&str], id: &str) {
        let husk = self.runtime.command();
        let mut command = Command::new("strace");
        command.args(strace).arg("--").arg(husk.get_program()).args(husk.get_args());
        command.args(&self.verb[..1]);
        if !self.created {
            command.arg("--bundle").arg(self.bundle.path()).arg("--pid-file").arg(self.pids().join("pid"));
        }
        command.args(self.verb[1..].iter().take_while(|word| **word != "ID")).arg(id);
        command.args(self.verb.iter().skip_while(|word| **word != "ID").skip(1));
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.expect("strace, from hack/deps");
    }

    /// The calls that the command makes from its last exec of itself on.
    fn points(&self, dir: &Path) -> Vec<Point> {
        let (log, container) = (dir.join("calls"), self.prepare());
        self.trace(&["-o", log.to_str().unwrap()], &container.id);
        let (mut counts, mut points) = (HashMap::new(), Vec::new());
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            let count = counts.entry(name.to_owned()).or_insert(0);
            *count += 1;
            if name == "execve" {
                points.clear();
            }
            points.push((name.to_owned(), *count));
        }
        points.retain(|(name, _)| name != "exit_group");
        assert!(points.len() > 20, "strace saw {} calls", points.len());
        points
    }

    fn sweep(&self) {
        let dir = temp_dir();
        std::fs::create_dir(self.pids()).unwrap();
        let points = self.points(dir.path()).into_iter().enumerate();
        // Those that give a file its name are never left out.
        for (at, (name, count)) in points {
            if at % stride() != 0 && !["linkat", "rename"].contains(&name.as_str()) {
                continue;
            }
            let _ = std::fs::remove_file(self.pids().join("pid"));
            let when = format!("{} killed at {name} number {count}", self.verb[0]);
            let container = self.prepare();
            let inject = format!("inject={name}:signal=KILL:when={count}");
            self.trace(&["-o", "/dev/null", "-e", &inject], &container.id);
            let left = std::fs::read_dir(self.pids()).unwrap().flatten().map(|file| file.file_name());
            assert!(left.into_iter().all(|name| name == "pid"), "{when}: beside the pid file");
            let list = run(self.runtime.command().args(["list", "--format", "json"]));
            assert!(
                list.code != 0 || serde_json::from_str::<serde_json::Value>(&list.stdout).is_ok(),
                "{when}"
            );
            let state = container.call("state", &[]);
            assert!(state.code == 0 || state.stderr.contains("does not exist"), "{when}: {}", state.stderr);
            // A second try works, or says what is in its way.
            let again = create(self.runtime, self.bundle, &container.id);
            assert!(
                again.code == 0 || again.stderr.contains("exists already"),
                "{when}: create again: {}",
                again.stderr
            );
            container.call_with("delete", &["--force"], &[]).ok();
            nothing_left(&container, self.runtime, &when);
            // Who had no time to join the cgroup ends by itself.
            wait_until(&format!("{when}: no process is left"), || !mentioned(&container.id));
        }
    }
}

/// Whether a process has the id on its command line: a husk, or an init that has not become the program yet.
fn mentioned(id: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == id.as_bytes())
    })
}

fn sweep(verb: &[&str], created: bool, started: bool) {
    if husk_tests::in_vm() {
        // Of no use there: the calls are the same, and each takes 25 times as long.
        return;
    }
    if run(Command::new("strace").args(["-o", "/dev/null", "true"])).code != 0 {
        return skip("strace may not trace here");
    }
    let (runtime, bundle) = (Runtime::husk(), sleeper());
    Case { runtime: &runtime, bundle: &bundle, verb, created, started }.sweep();
}

/// A group that has another container's processes is refused; a husk that dies when it looks must not have noted it as its own.
#[test]
fn a_create_killed_over_anothers_group_leaves_that_alone() {
    if run(Command::new("strace").args(["-o", "/dev/null", "true"])).code != 0 {
        return skip("strace may not trace here");
    }
    let (runtime, bundle) = (Runtime::husk(), sleeper());
    let victim = Container::named(&runtime, &unique("victim"));
    create(&runtime, &bundle, &victim.id).ok();
    victim.call("start", &[]).ok();
    let group = husk_tests::cgroup::root().join("husk").join(&victim.id);
    let mut other = Bundle::new(&["true"]);
    other.set("/linux/cgroupsPath", format!("/husk/{}", victim.id));
    other.write();
    let killed = Container::named(&runtime, &unique("kill"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "inject=openat:signal=KILL:when=1", "-P"]);
    let husk = runtime.command();
    strace.arg(group.join("cgroup.procs")).arg("--").arg(husk.get_program()).args(husk.get_args());
    let done = run(strace.args(["create", "--bundle"]).arg(other.path()).arg(&killed.id));
    assert!(!done.stderr.contains("cgroup.procs") && done.code != 0, "it was not killed: {done:?}");
    killed.call_with("delete", &["--force"], &[]).ok();
    assert_eq!(victim.status(), "running");
    let done = create(&runtime, &other, &killed.id);
    assert!(done.code != 0 && done.stderr.contains("process"), "{done:?}");
    assert!(!runtime.root().join(&killed.id).exists(), "{done:?}");
    assert_eq!(victim.status(), "running");
}

#[test]
fn create_can_be_killed_anywhere() {
    sweep(&["create"], false, false);
}

#[test]
fn run_can_be_killed_anywhere() {
    sweep(&["run", "--detach"], false, false);
}

#[test]
fn start_can_be_killed_anywhere() {
    sweep(&["start"], true, false);
}

#[test]
fn exec_can_be_killed_anywhere() {
    sweep(&["exec", "--detach", "ID", "sleep", "1000"], true, true);
}

#[test]
fn delete_can_be_killed_anywhere() {
    sweep(&["delete", "--force"], true, true);
}

#[test]
fn update_can_be_killed_anywhere() {
    sweep(&["update", "--cpu-shares", "512"], true, true);
}
