//! `pause` and `resume`.

use super::{idle, same};
use husk_tests::{Bundle, Container, Runtime, wait_until};

macro_rules! groups {
    ($runtime:ident) => {
        let $runtime = Runtime::new();
        if !$runtime.needs_groups() {
            return;
        }
    };
}

#[test]
fn a_paused_container_does_nothing() {
    groups!(runtime);
    let bundle = Bundle::script("while :; do echo >>/counter; done");
    let container = runtime.start(&bundle);
    let size = || std::fs::metadata(bundle.rootfs().join("counter")).map_or(0, |meta| meta.len());
    wait_until("the counter runs", || size() > 0);
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    let stopped = size();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(size(), stopped);
    container.call("resume", &[]).ok();
    assert_eq!(container.status(), "running");
    wait_until("the counter runs again", || size() > stopped);
}

#[test]
fn every_process_is_paused() {
    groups!(runtime);
    let bundle =
        Bundle::script("(while :; do echo >>/child; done) & while :; do echo >>/counter; sleep 0.01; done");
    let container = runtime.start(&bundle);
    let size = || std::fs::metadata(bundle.rootfs().join("child")).map_or(0, |meta| meta.len());
    wait_until("the child runs", || size() > 0);
    container.call("pause", &[]).ok();
    let stopped = size();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(size(), stopped);
}

#[test]
fn resume_of_what_is_not_paused_is_an_error() {
    groups!(runtime);
    let container = idle(&runtime, same);
    assert_ne!(container.call("resume", &[]).code, 0);
}

#[test]
fn pause_of_a_stopped_container_is_an_error() {
    groups!(runtime);
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    assert_ne!(container.call("pause", &[]).code, 0);
    assert_ne!(container.call("resume", &[]).code, 0);
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    for verb in ["pause", "resume"] {
        assert_ne!(Container::named(&runtime, "husk-nobody").call(verb, &[]).code, 0);
        assert_ne!(husk_tests::run(runtime.command().arg(verb)).code, 0);
    }
}

#[test]
fn a_paused_container_can_be_deleted_by_force() {
    groups!(runtime);
    let container = idle(&runtime, same);
    container.call("pause", &[]).ok();
    container.call_with("delete", &["--force"], &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0);
}

#[test]
fn a_created_container_can_be_paused() {
    groups!(runtime);
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    container.call("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    container.call("resume", &[]).ok();
    assert_eq!(container.status(), "created");
}
