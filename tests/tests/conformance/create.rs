//! `create`: a container whose program waits.

use husk_tests::{Bundle, Container, Runtime, run, unique, wait_until};
use serde_json::json;

#[test]
fn the_program_waits_for_start() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("echo ran >/ran; sleep 100000");
    let container = runtime.create(&bundle);
    assert_eq!(container.status(), "created");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!bundle.rootfs().join("ran").exists());
    container.call("start", &[]).ok();
    wait_until("the program runs", || bundle.rootfs().join("ran").exists());
}

#[test]
fn a_change_of_the_spec_after_it_means_nothing() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("hostname >/name; pwd >>/name; exec sleep 100000");
    bundle.set("/hostname", "before").set("/process/cwd", "/usr");
    let container = runtime.create(&bundle);
    bundle.write_with(&[
        ("/hostname", json!("after")),
        ("/process/cwd", json!("/var")),
        ("/process/args", json!(["false"])),
    ]);
    container.call("start", &[]).ok();
    let read = || std::fs::read_to_string(bundle.rootfs().join("name")).unwrap_or_default();
    wait_until("the program has written", || read().ends_with("/usr\n"));
    assert_eq!(read(), "before\n/usr\n");
}

#[test]
fn the_spec_may_even_go() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    std::fs::remove_file(bundle.path().join("config.json")).unwrap();
    container.call("start", &[]).ok();
    container.wait_for("running");
}

#[test]
fn an_id_is_taken_once() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    for verb in ["create", "run"] {
        let again = run(runtime.command().args([verb, "--bundle"]).arg(bundle.path()).arg(&container.id));
        assert_ne!(again.code, 0, "{verb}");
    }
    assert_eq!(container.status(), "created", "the failed create did no harm");
}

#[test]
fn an_id_can_be_used_again_after_delete() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    bundle.write();
    let id = unique("again");
    for _ in 0..2 {
        let container = Container::named(&runtime, &id);
        run(runtime.command().args(["create", "--bundle"]).arg(bundle.path()).arg(&id)).ok();
        container.call_with("delete", &["--force"], &[]).ok();
    }
}

#[test]
fn ids_of_every_allowed_letter() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    for id in ["a", "A.b_c+d-e", "0", "x.y"] {
        let container = Container::named(&runtime, id);
        run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id)).ok();
    }
}

#[test]
fn ids_that_would_be_paths_are_errors() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    for id in ["", ".", "..", "a/b", "../x"] {
        let done = run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(id));
        assert!(done.code != 0 && done.stdout.is_empty(), "{id:?}: {done:?}");
    }
}

#[test]
fn the_bundle_is_the_current_folder_where_none_is_named() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("cwd"));
    let done = run(runtime.command().current_dir(bundle.path()).arg("run").arg(&container.id));
    assert_eq!(done.ok().text(), "it ran");
}

#[test]
fn a_relative_bundle_is_shown_as_an_absolute_one() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("rel"));
    let name = bundle.path().file_name().unwrap();
    run(runtime
        .command()
        .current_dir(bundle.path().parent().unwrap())
        .args(["create", "--bundle"])
        .arg(name)
        .arg(&container.id))
    .ok();
    assert_eq!(container.state()["bundle"].as_str(), bundle.path().to_str());
}

#[test]
fn without_an_id_or_a_bundle_it_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    assert_ne!(run(runtime.command().args(["create", "--bundle"]).arg(bundle.path())).code, 0);
    let container = Container::named(&runtime, &unique("nobundle"));
    assert_ne!(
        run(runtime.command().args(["create", "--bundle", "/no/such/bundle"]).arg(&container.id)).code,
        0
    );
}

#[test]
fn one_that_fails_leaves_nothing() {
    let runtime = Runtime::new();
    for (pointer, value) in [
        ("/linux/sysctl", json!({"net.no.such": "1"})),
        ("/root/path", json!("none")),
        ("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]})),
    ] {
        let bundle = Bundle::new(&["true"]);
        bundle.write_with(&[(pointer, value)]);
        let container = Container::named(&runtime, &unique("again"));
        let create =
            || run(runtime.command().args(["create", "--bundle"]).arg(bundle.path()).arg(&container.id));
        assert_ne!(create().code, 0, "{pointer}");
        assert_ne!(container.call("state", &[]).code, 0, "{pointer}: a container is left");
        bundle.write();
        create().ok();
    }
}

#[test]
fn run_creates_starts_waits_and_deletes() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("echo it ran; exit 7");
    bundle.write();
    let container = Container::named(&runtime, &unique("run"));
    let done =
        run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id)).expect_code(7);
    assert_eq!(done.text(), "it ran");
    assert_ne!(container.call("state", &[]).code, 0);
}

#[test]
fn run_detached_goes_on_after_the_runtime() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("det"));
    run(runtime.command().args(["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&container.id)).ok();
    container.wait_for("running");
    assert!(std::path::Path::new(&format!("/proc/{}", container.pid())).exists());
}

#[test]
fn run_keeps_what_it_is_told_to_keep() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("exit 7");
    bundle.write();
    let container = Container::named(&runtime, &unique("keep"));
    run(runtime.command().args(["run", "--keep", "--bundle"]).arg(bundle.path()).arg(&container.id))
        .expect_code(7);
    assert_eq!(container.status(), "stopped");
    container.call("delete", &[]).ok();
}

#[test]
fn several_at_a_time_do_not_disturb_each_other() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    bundle.write();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let container = runtime.start(&bundle);
                    container.call("kill", &["KILL"]).ok();
                    container.wait_for("stopped");
                    container.call("delete", &[]).ok();
                }
            });
        }
    });
}

#[test]
fn the_pause_between_create_and_start_may_be_used_to_look_around() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.create(&bundle);
    let pid = container.pid();
    assert_ne!(
        std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap(),
        std::fs::read_link("/proc/self/ns/net").unwrap()
    );
    container.call("start", &[]).ok();
    assert_eq!(container.pid(), pid);
}
