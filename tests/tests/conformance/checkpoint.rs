//! `checkpoint` and `restore`. With criu only where it works; what is an error is one without it, too.

use husk_tests::{Bundle, Container, Done, Runtime, run, temp_dir, unique, wait_until};
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether criu works here; skips the test where it does not.
fn criu() -> bool {
    if husk_tests::cgroup::root() != Path::new("/sys/fs/cgroup") {
        husk_tests::skip(
            "criu would restore the groups of cgroup v1, too, which are not the tests' to change",
        );
        return false;
    }
    let works = run(Command::new("sh").args(["-c", "exec criu check"])).code == 0;
    if !works {
        husk_tests::skip("criu does not work here");
    }
    works
}

/// Runs a command without the test's own files as its streams, which no image could hold.
fn quiet(command: &mut Command) -> i32 {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    husk_tests::code_of(status)
}

/// A container that counts in a file, with its bundle.
fn counting(runtime: &Runtime) -> Container<'_> {
    let bundle = Bundle::script("n=0; while :; do n=$((n + 1)); echo $n >/count; sleep 0.05; done");
    bundle.write();
    let container = Container::named(runtime, &unique("cr"));
    let mut command = runtime.command();
    command.args(["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&container.id);
    assert_eq!(quiet(&mut command), 0);
    wait_until("it counts", || count(&bundle) > 2);
    container.keeping(bundle)
}

fn count(bundle: &Bundle) -> u64 {
    let text = std::fs::read_to_string(bundle.rootfs().join("count")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn checkpoint(runtime: &Runtime, container: &Container<'_>, images: &Path, flags: &[&str]) -> Done {
    let work = images.parent().unwrap().join("work");
    let mut command = runtime.command();
    command.arg("checkpoint").arg("--image-path").arg(images).arg("--work-path").arg(work);
    run(command.args(flags).arg(&container.id))
}

#[test]
fn a_container_goes_on_where_it_was() {
    if !criu() {
        return;
    }
    let (runtime, dir) = (Runtime::new(), temp_dir());
    let images = dir.path().join("images");
    let container = counting(&runtime);
    let bundle = container.bundle();
    checkpoint(&runtime, &container, &images, &[]).ok();
    assert_ne!(container.call("state", &[]).code, 0, "it is still there");
    let before = count(bundle);
    std::fs::write(bundle.rootfs().join("count"), "").unwrap();
    let mut command = runtime.command();
    command
        .arg("restore")
        .arg("--detach")
        .arg("--image-path")
        .arg(&images)
        .arg("--bundle")
        .arg(bundle.path());
    command.arg("--work-path").arg(dir.path().join("work")).arg(&container.id);
    assert_eq!(quiet(&mut command), 0);
    assert_eq!(container.status(), "running");
    wait_until("it goes on", || count(bundle) > before);
}

#[test]
fn left_running_it_runs_on() {
    if !criu() {
        return;
    }
    let (runtime, dir) = (Runtime::new(), temp_dir());
    let container = counting(&runtime);
    let bundle = container.bundle();
    checkpoint(&runtime, &container, &dir.path().join("images"), &["--leave-running"]).ok();
    assert_eq!(container.status(), "running");
    let before = count(bundle);
    wait_until("it goes on", || count(bundle) > before);
}

#[test]
fn of_a_stopped_container_is_an_error() {
    let (runtime, dir) = (Runtime::new(), temp_dir());
    let container = runtime.start_owned(Bundle::new(&["true"]));
    container.wait_for("stopped");
    assert_ne!(checkpoint(&runtime, &container, &dir.path().join("images"), &[]).code, 0);
}

#[test]
fn of_no_container_is_an_error() {
    let (runtime, dir) = (Runtime::new(), temp_dir());
    let nobody = Container::named(&runtime, "husk-nobody");
    assert_ne!(checkpoint(&runtime, &nobody, &dir.path().join("images"), &[]).code, 0);
}

#[test]
fn a_restore_without_images_is_an_error_and_leaves_nothing() {
    let (runtime, dir) = (Runtime::new(), temp_dir());
    let bundle = Bundle::new(&["echo", "it ran"]);
    bundle.write();
    let container = Container::named(&runtime, &unique("restore"));
    let mut command = runtime.command();
    command
        .arg("restore")
        .arg("--image-path")
        .arg(dir.path().join("none"))
        .arg("--bundle")
        .arg(bundle.path());
    command.arg("--work-path").arg(dir.path().join("work")).arg(&container.id);
    let done = run(&mut command);
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
    assert_ne!(container.call("state", &[]).code, 0, "a container is left");
}
