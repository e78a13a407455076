//! `list`: all containers of a state folder.

use super::{document, idle, same};
use husk_tests::{Bundle, Runtime, run};

#[test]
fn as_a_table() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let done = run(runtime.command().arg("list")).ok();
    let mut lines = done.stdout.lines();
    let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let row: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(row[..3], [container.id.as_str(), &container.pid().to_string(), "running"]);
}

#[test]
fn as_json() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let bundle = container.bundle();
    let list = document(&run(runtime.command().args(["list", "--format", "json"])).ok());
    let one = &list.as_array().unwrap()[0];
    assert_eq!(one["id"].as_str(), Some(container.id.as_str()));
    assert_eq!(one["status"], "running");
    assert_eq!(one["bundle"].as_str(), bundle.path().to_str());
    assert_eq!(one["pid"].as_u64(), Some(u64::from(container.pid())));
}

#[test]
fn ids_alone() {
    let runtime = Runtime::new();
    let first = idle(&runtime, same);
    let second = idle(&runtime, same);
    let done = run(runtime.command().args(["list", "-q"])).ok();
    let mut ids: Vec<_> = done.stdout.lines().collect();
    ids.sort_unstable();
    let mut expected = [first.id.as_str(), second.id.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[test]
fn stopped_containers_are_in_it() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    let list = document(&run(runtime.command().args(["list", "--format", "json"])).ok());
    assert_eq!(list[0]["status"], "stopped");
}

#[test]
fn where_there_are_none_it_is_empty() {
    let runtime = Runtime::new();
    std::fs::create_dir(runtime.root()).unwrap();
    assert_eq!(run(runtime.command().args(["list", "-q"])).ok().text(), "");
    assert_eq!(run(runtime.command().arg("list")).ok().stdout.lines().count(), 1);
}

#[test]
fn a_format_that_there_is_not_is_an_error() {
    let runtime = Runtime::new();
    let _container = idle(&runtime, same);
    assert_ne!(run(runtime.command().args(["list", "--format", "xml"])).code, 0);
}
