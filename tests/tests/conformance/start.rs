//! `start`: the program of a created container.

use husk_tests::{Bundle, Container, Runtime};

#[test]
fn it_runs_the_program() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("echo ran >/ran; sleep 100000");
    let container = runtime.create(&bundle);
    container.call("start", &[]).ok();
    container.wait_for("running");
    husk_tests::wait_until("the program has written", || bundle.rootfs().join("ran").exists());
}

#[test]
fn of_a_running_container_is_an_error_without_effect() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.start(&bundle);
    let pid = container.pid();
    assert_ne!(container.call("start", &[]).code, 0);
    assert_eq!((container.status().as_str(), container.pid()), ("running", pid));
}

#[test]
fn of_a_stopped_container_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    let container = runtime.start(&bundle);
    container.wait_for("stopped");
    assert_ne!(container.call("start", &[]).code, 0);
    assert_eq!(container.status(), "stopped");
}

#[test]
fn of_no_container_is_an_error() {
    let runtime = Runtime::new();
    let container = Container::named(&runtime, "husk-nobody");
    assert_ne!(container.call("start", &[]).code, 0);
    assert_ne!(husk_tests::run(runtime.command().arg("start")).code, 0);
}

#[test]
fn it_returns_while_the_program_runs() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    container.call("start", &[]).ok();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_of_create_or_start() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["/no/such/program"]);
    let (container, done) = runtime.try_create(&bundle);
    assert!(done.code != 0 || container.call("start", &[]).code != 0);
}
