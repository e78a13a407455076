//! `process.execCPUAffinity`.

use super::{idle, refused};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// The processors on which a process of `exec` may run.
fn allowed(affinity: Value) -> String {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| bundle.set("/process/execCPUAffinity", affinity));
    let done = container.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]).ok();
    done.text().split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn the_final_one_is_that_of_exec() {
    assert_eq!(allowed(json!({"initial": "0-1", "final": "1"})), "1");
    assert_eq!(allowed(json!({"final": "0"})), "0");
}

/// The processors that a process of this machine has where nobody has taken any from it.
fn all() -> String {
    list(&["taskset", "--cpu-list", "0-1023", "cat", "/proc/self/status"])
}

fn list(command: &[&str]) -> String {
    let done = husk_tests::run(std::process::Command::new(command[0]).args(&command[1..])).ok();
    let line = done.stdout.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Runs with the processors of this thread, which its children inherit, reduced to the first.
fn on_the_first<T>(run: impl FnOnce() -> T) -> T {
    let old = rustix::thread::sched_getaffinity(None).unwrap();
    let mut first = rustix::thread::CpuSet::new();
    first.set((0..1024).find(|cpu| old.is_set(*cpu)).unwrap());
    rustix::thread::sched_setaffinity(None, &first).unwrap();
    let result = run();
    rustix::thread::sched_setaffinity(None, &old).unwrap();
    result
}

const SHOW: &str = "grep Cpus_allowed_list /proc/self/status | grep -o '[0-9].*'";

#[test]
fn init_is_not_concerned() {
    let shown = super::output(SHOW, |bundle| {
        bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}))
    });
    assert_eq!(shown, all());
}

#[test]
fn what_the_caller_is_bound_to_does_not_bind_the_program() {
    let shown = on_the_first(|| super::output(SHOW, super::same));
    assert_eq!(shown, all());
}

#[test]
fn what_the_caller_is_bound_to_does_not_bind_a_process_of_exec() {
    let runtime = Runtime::new();
    let container = idle(&runtime, super::same);
    let shown = on_the_first(|| container.exec(&["sh", "-c", SHOW]).ok());
    assert_eq!(shown.text(), all());
}

#[test]
fn a_cpuset_holds_for_who_is_bound_elsewhere() {
    if !husk_tests::cgroup::needs("cpuset") {
        return;
    }
    let runtime = Runtime::new();
    let mut bundle = Bundle::script(SHOW);
    bundle.set("/linux/resources/cpu", json!({"cpus": "1"}));
    assert_eq!(on_the_first(|| runtime.run(&bundle).ok()).text(), "1");
}

#[test]
fn a_list_that_is_none_is_an_error() {
    refused(|bundle| bundle.set("/process/execCPUAffinity", json!({"initial": "some"})));
}
