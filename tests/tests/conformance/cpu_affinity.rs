//! `process.execCPUAffinity`.

use super::{idle, refused};
use husk_tests::Runtime;
use serde_json::{Value, json};

/// The processors on which a process of `exec` may run.
fn allowed(affinity: Value) -> String {
    let runtime = Runtime::new();
    let (_bundle, container) = idle(&runtime, |bundle| bundle.set("/process/execCPUAffinity", affinity));
    let done = container.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]).ok();
    done.text().split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn the_final_one_is_that_of_exec() {
    assert_eq!(allowed(json!({"initial": "0-1", "final": "1"})), "1");
    assert_eq!(allowed(json!({"final": "0"})), "0");
}

#[test]
fn init_is_not_concerned() {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    let shown = super::output("grep Cpus_allowed_list /proc/self/status", |bundle| {
        bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}))
    });
    assert_eq!(shown, own);
}

#[test]
fn a_list_that_is_none_is_an_error() {
    refused(|bundle| bundle.set("/process/execCPUAffinity", json!({"initial": "some"})));
}
