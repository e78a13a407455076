//! What goes wrong leaves the container as it was, and says why.

use crate::programs::with_perl;
use crate::world::{World, count, counter, counts_on, criu, is_mounted_below};
use husk_tests::{Bundle, Container, run, wait_until};
use serde_json::json;
use std::process::Stdio;

#[test]
fn states_flags_and_programs_that_are_wrong() {
    let world = World::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = world.runtime.create(&bundle);
    let created = world.checkpoint(&container, &[]);
    assert!(created.code == 1 && created.stderr.contains("in the created state"), "{created:?}");
    container.call("start", &[]).ok();
    let mut command = world.runtime.command();
    command.args(["--criu", "/no/such/criu", "checkpoint", "--image-path"]).arg(world.path("images"));
    let missing = run(command.arg(&container.id));
    assert!(missing.code == 1 && missing.stderr.contains("/no/such/criu was not found"), "{missing:?}");
    assert!(missing.stderr.contains("version 3.16 or later"), "{missing:?}");
    for (flags, words) in [
        (["--empty-ns", "pid"], "--empty-ns \"pid\""),
        (["--page-server", "nowhere"], "--page-server \"nowhere\" is not ADDRESS:PORT"),
        (["--status-fd", "99"], "--status-fd 99"),
        (["--manage-cgroups-mode", "hard"], "'hard'"),
    ] {
        let done = world.checkpoint(&container, &flags);
        assert!(done.code == 1 && done.stderr.contains(words), "{done:?}");
    }
    assert_eq!(container.status(), "running");
    let taken = world.restore(&bundle, &container, &[]);
    assert!(taken.code == 1 && taken.stderr.contains("--image-path"), "no images yet: {taken:?}");
    let none = Container::named(&world.runtime, "none");
    assert!(world.checkpoint(&none, &[]).stderr.contains("does not exist"));
}

#[test]
fn a_program_that_is_not_criu_is_told_as_such() {
    let world = World::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = world.start(&bundle);
    let mut command = world.runtime.command();
    command.args(["--criu", "/bin/false", "checkpoint", "--image-path"]).arg(world.path("images"));
    let done = run(command.arg(&container.id));
    assert!(done.code == 1 && done.stderr.contains("/bin/false does not work on this kernel"), "{done:?}");
    assert_eq!(container.status(), "running");
}

/// criu takes no locks of files along unless it is told to, and says so after it has stopped the processes.
#[test]
fn a_failed_checkpoint_leaves_the_container_running() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let bundle = Bundle::new(&["perl", "-e", COUNTER_WITH_A_LOCK]);
    with_perl(&bundle);
    let container = world.start(&bundle);
    let at = counts_on(&bundle, 2);
    let pid = container.pid();
    let refused = world.checkpoint(&container, &[]);
    assert!(refused.code == 1 && refused.stderr.contains("criu"), "{refused:?}");
    assert_eq!((container.pid(), container.status().as_str()), (pid, "running"));
    counts_on(&bundle, at);
    world.checkpoint(&container, &["--file-locks"]).ok();
    let at = count(&bundle);
    world.restore(&bundle, &container, &["--file-locks"]).ok();
    counts_on(&bundle, at);
}

/// As [`counter`], with a lock of a file in its hands.
const COUNTER_WITH_A_LOCK: &str = r#"
open my $lock, ">", "/tmp/lock"; flock $lock, 2;
while (1) {
    open my $file, ">", "/tmp/new"; print $file ++$i; close $file;
    rename "/tmp/new", "/tmp/count"; select undef, undef, undef, 0.1;
}"#;

#[test]
fn an_idmapped_mount_is_refused() {
    let world = World::husk();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    let dir = husk_tests::temp_dir();
    let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 1000}]);
    bundle.push(
        "/mounts",
        json!({"destination": "/mnt", "source": dir.path(), "options": ["bind"],
            "uidMappings": mapping, "gidMappings": mapping}),
    );
    let container = world.start(&bundle);
    let done = world.checkpoint(&container, &[]);
    assert!(done.code == 1 && done.stderr.contains("mounts[7] (/mnt) is id-mapped"), "{done:?}");
}

#[test]
fn a_failed_restore_leaves_nothing() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let bundle = counter();
    let container = world.start(&bundle);
    counts_on(&bundle, 2);
    world.checkpoint(&container, &[]).ok();
    let nothing = |done: husk_tests::Done, words: &str| {
        assert!(done.code == 1 && done.stderr.contains(words), "{done:?}");
        assert!(!world.runtime.root().join(&container.id).exists());
        let group = husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(&container.id);
        assert!(!group.exists());
        assert!(!is_mounted_below(&world.runtime.root()));
    };
    let images = world.path("images");
    std::fs::rename(images.join("inventory.img"), images.join("kept")).unwrap();
    nothing(world.restore(&bundle, &container, &[]), "no inventory.img");
    std::fs::rename(images.join("kept"), images.join("inventory.img")).unwrap();
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no such day >&2; exit 3"]}]);
    bundle.write_with(&[("/hooks", json!({"createRuntime": hook}))]);
    nothing(world.restore(&bundle, &container, &[]), "no such day");
    bundle.write();
    let at = count(&bundle);
    world.restore(&bundle, &container, &[]).ok();
    counts_on(&bundle, at);
}

#[test]
fn what_a_killed_restore_leaves_can_be_deleted() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let bundle = counter();
    let container = world.start(&bundle);
    counts_on(&bundle, 2);
    world.checkpoint(&container, &[]).ok();
    // Holds the restore up for as long as the test needs.
    let began = world.path("began");
    let script = format!("echo $$ >{}; exec sleep 1000", began.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    bundle.write_with(&[("/hooks", json!({"createRuntime": hook}))]);
    let mut restore = world.restore_command(&bundle, &container);
    let mut husk = restore.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let hook = || std::fs::read_to_string(&began).ok()?.trim().parse::<u32>().ok();
    wait_until("the hook runs", || hook().is_some());
    husk.kill().unwrap();
    husk.wait().unwrap();
    container.call_with("delete", &["--force"], &[]).ok();
    let _ = run(std::process::Command::new("kill").args(["-KILL", &hook().unwrap().to_string()]));
    let group = husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(&container.id);
    assert!(!group.exists());
    assert!(!world.runtime.root().join(&container.id).exists());
    assert!(!is_mounted_below(&world.runtime.root()));
    wait_until("criu is gone", || !anyone_has(&world.path("work")));
}

/// Whether a process has the directory as its own.
fn anyone_has(dir: &std::path::Path) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == dir))
}

#[test]
fn a_killed_checkpoint_is_no_end_of_the_container() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let bundle = counter();
    let container = world.start(&bundle);
    counts_on(&bundle, 2);
    let mut command = world.runtime.command();
    command.args(["checkpoint", "--image-path"]).arg(world.path("images"));
    let mut husk = command.arg(&container.id).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("criu is at work", || world.path("images").join("dump.log").exists());
    husk.kill().unwrap();
    husk.wait().unwrap();
    wait_until("criu is gone", || !anyone_has(&world.path("images")));
    // It had no one to tell that it was done, so it lets the processes go on.
    assert_eq!(container.status(), "running");
    counts_on(&bundle, count(&bundle));
    container.call_with("delete", &["--force"], &[]).ok();
    assert!(!world.runtime.root().join(&container.id).exists());
}
