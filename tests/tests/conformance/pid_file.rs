//! `--pid-file` of create, run and exec.

use super::{idle, same};
use husk_tests::{Bundle, Container, Orphan, Runtime, run, unique};

/// What `create` or `run` writes is the pid in its state.
fn is_that_of_the_state(verb: &[&str]) {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    bundle.write();
    let file = bundle.path().join("pid");
    let container = Container::named(&runtime, &unique("pid"));
    let mut command = runtime.command();
    command.args(verb).arg("--pid-file").arg(&file).arg("--bundle").arg(bundle.path()).arg(&container.id);
    run(&mut command).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), container.pid().to_string());
}

#[test]
fn of_create() {
    is_that_of_the_state(&["create"]);
}

#[test]
fn of_run_detached() {
    is_that_of_the_state(&["run", "--detach"]);
}

#[test]
fn of_exec_detached() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let orphan = Orphan::exec(&container, &[], &["sleep", "100000"]);
    let pid = orphan.pid();
    // exec may return a moment before its process has become the program.
    husk_tests::wait_until("the pid is the program's", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n"
    });
    assert_ne!(pid, container.pid());
    drop(orphan);
}

#[test]
fn a_folder_that_does_not_exist_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("pid"));
    let mut command = runtime.command();
    command
        .args(["run", "--pid-file", "/no/such/folder/pid", "--bundle"])
        .arg(bundle.path())
        .arg(&container.id);
    let done = run(&mut command);
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}
