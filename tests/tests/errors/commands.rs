//! Ids, flags and states that a command cannot take.

use super::{container, refused};
use husk_tests::{Bundle, Container, Runtime, run};

#[test]
fn ids() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let long = "x".repeat(1025);
    for id in ["", "a/b", "../x", ".", "..", "a b", "ü", "a\nb", &long] {
        let done = run(runtime.command().arg("run").arg("--bundle").arg(bundle.path()).arg(id));
        refused(&runtime, &format!("id {id:?}"), &done, &["id"]);
        for verb in ["state", "start", "delete", "kill"] {
            let done = run(runtime.command().arg(verb).arg(id));
            refused(&runtime, &format!("{verb} {id:?}"), &done, &[]);
        }
    }
}

#[test]
fn containers_that_are_not_there() {
    let runtime = Runtime::husk();
    for verb in ["state", "start", "delete", "kill", "ps", "pause", "resume", "update", "events"] {
        let done = run(runtime.command().args([verb, "husk-nobody"]));
        refused(&runtime, verb, &done, &["husk-nobody"]);
    }
    let done = run(runtime.command().args(["exec", "husk-nobody", "true"]));
    refused(&runtime, "exec", &done, &["husk-nobody"]);
    // What runc does: nothing to delete is no error where force is asked for.
    run(runtime.command().args(["delete", "--force", "husk-nobody"])).ok();
}

#[test]
fn flags() {
    let runtime = Runtime::husk();
    let cases: &[(&[&str], &str)] = &[
        (&["no-such-command"], "no-such-command"),
        (&["run", "--no-such-flag", "x"], "--no-such-flag"),
        (&["run"], "ID"),
        (&["run", "a", "b"], "b"),
        (&["kill", "x", "SIGNOPE"], "SIGNOPE"),
        (&["list", "--format", "xml"], "xml"),
        (&["exec", "x"], "x"),
        (&["--log-format", "xml", "list"], "xml"),
        (&["update", "--memory", "much", "x"], "much"),
    ];
    for (arguments, word) in cases {
        let done = run(runtime.command().args(*arguments));
        assert_ne!(done.code, 0, "{arguments:?} was taken");
        assert!(
            done.stderr.contains(word),
            "{arguments:?}: the message does not name {word:?}\n{}",
            done.stderr
        );
        assert_eq!(done.stdout, "", "{arguments:?}");
    }
}

#[test]
fn states() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    let running = container(&runtime, &bundle);
    let name = running.id.clone();
    let wrong = |done: husk_tests::Done, word: &str| {
        assert_ne!(done.code, 0, "was taken: {done:#?}");
        assert!(done.stderr.contains(&name) || done.stderr.contains(word), "names nothing: {done:#?}");
    };
    wrong(running.call("start", &[]), "running");
    wrong(running.call("delete", &[]), "running");
    wrong(running.call("resume", &[]), "running");
    wrong(running.call("kill", &["SIGNOPE"]), "SIGNOPE");
    wrong(running.call("kill", &["4096"]), "4096");
    wrong(run(runtime.command().arg("run").arg("--bundle").arg(bundle.path()).arg(&running.id)), "exists");
    wrong(running.call_with("exec", &["--cwd", "relative"], &["true"]), "relative");
    wrong(running.call_with("exec", &["--cwd", "/no/such"], &["true"]), "/no/such");
    wrong(running.call_with("exec", &["--cap", "CAP_NOPE"], &["true"]), "CAP_NOPE");
    wrong(running.call_with("exec", &["--process", "/no/such/process.json"], &[]), "/no/such/process.json");
    assert_eq!(running.status(), "running");
    running.call("kill", &["KILL"]).ok();
    running.wait_for("stopped");
    wrong(running.call("exec", &["true"]), "stopped");
    wrong(running.call("start", &[]), "stopped");
    wrong(running.call("pause", &[]), "stopped");
    running.call("delete", &[]).ok();
    let gone = Container::named(&runtime, &running.id);
    wrong(gone.call("state", &[]), "not exist");
}

#[test]
fn terminals_and_files() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["echo", "it ran"]);
    bundle.set("/process/terminal", true);
    bundle.write();
    let create = |flags: &[&str]| {
        let container = Container::named(&runtime, &husk_tests::unique("tty"));
        run(runtime.command().arg("create").args(flags).arg("--bundle").arg(bundle.path()).arg(&container.id))
    };
    refused(&runtime, "a terminal and no socket", &create(&[]), &["terminal"]);
    refused(
        &runtime,
        "no such socket",
        &create(&["--console-socket", "/no/such/socket"]),
        &["/no/such/socket"],
    );
    bundle.set("/process/terminal", false);
    bundle.write();
    refused(
        &runtime,
        "no such folder",
        &create_flag(&runtime, &bundle, "/no/such/folder/pid"),
        &["/no/such/folder/pid"],
    );
}

fn create_flag(runtime: &Runtime, bundle: &Bundle, pid_file: &str) -> husk_tests::Done {
    let container = Container::named(runtime, &husk_tests::unique("pid"));
    let mut command = runtime.command();
    command.args(["create", "--pid-file", pid_file, "--bundle"]).arg(bundle.path()).arg(&container.id);
    run(&mut command)
}
