//! `ps`: the processes of a container.

use super::{document, idle, same};
use husk_tests::{Bundle, Container, Orphan, Runtime, wait_until};

fn pids(container: &Container<'_>) -> Vec<u64> {
    let list = document(&container.call_with("ps", &["--format", "json"], &[]).ok());
    list.as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect()
}

/// A container of two processes.
fn two(runtime: &Runtime) -> Container<'_> {
    let container = runtime.start_owned(Bundle::script("sleep 601 & exec sleep 602"));
    wait_until("both run", || pids(&container).len() == 2);
    container
}

#[test]
fn as_json() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = two(&runtime);
    assert!(pids(&container).contains(&u64::from(container.pid())));
}

#[test]
fn as_a_table() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = two(&runtime);
    let done = container.call("ps", &[]).ok();
    assert_eq!(done.stdout.lines().count(), 3, "{done:?}");
    assert!(done.stdout.contains("sleep 601") && done.stdout.contains("sleep 602"), "{done:?}");
}

#[test]
fn with_options_of_ps() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let done = container.call("ps", &["-eo", "pid,comm"]).ok();
    let rows: Vec<Vec<_>> = done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [vec!["PID", "COMMAND"], vec![&container.pid().to_string(), "sleep"]]);
}

#[test]
fn processes_of_exec_are_in_it() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    let container = idle(&runtime, same);
    let orphan = Orphan::exec(&container, &[], &["sleep", "100000"]);
    assert!(pids(&container).contains(&u64::from(orphan.pid())));
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    assert_ne!(Container::named(&runtime, "husk-nobody").call("ps", &[]).code, 0);
}
