//! The checks themselves: a check that cannot fail checks nothing.

use husk_tests::{Done, run, temp_dir};
use std::path::Path;
use std::process::Command;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// What the runner is tried on: it does what the test below tells it by the environment.
#[test]
fn obedient() {
    let order = std::env::var("HUSK_TEST_ORDER").unwrap_or_default();
    match order.split_once('=') {
        None if order == "fail" => panic!("as told"),
        None if order == "hang" => std::thread::sleep(std::time::Duration::from_secs(600)),
        None if order == "skip" => println!("\nSKIPPED house::obedient: as told"),
        Some(("fail-once", file)) => {
            let first = !Path::new(file).exists();
            std::fs::write(file, "").expect("a file");
            assert!(!first, "as told, once");
        }
        _ => {}
    }
}

/// The runner, on this very program, with the test above alone.
fn runner(order: &str, counts: &Path) -> Done {
    let own = std::env::current_exe().expect("this program");
    run(Command::new(env!("CARGO_BIN_EXE_husk-test"))
        .args(["--limit", "5", "--counts"])
        .arg(counts)
        .arg(format!("house={}=obedient", own.display()))
        .env("HUSK_TEST_ORDER", order)
        .env_remove("HUSK_VM"))
}

#[test]
fn the_runner_tells_passed_failed_flaky_and_skipped_apart() {
    let dir = temp_dir();
    let counts = dir.path().join("counts");
    let count = || std::fs::read_to_string(&counts).expect("counts");

    assert!(runner("", &counts).ok().stdout.contains("1 passed, 0 failed, 0 skipped"));
    assert_eq!(count(), "1 0 0 0\n");

    let done = runner("fail", &counts).expect_code(1);
    assert!(done.stdout.contains("FAILED: house::obedient") && done.stdout.contains("as told"), "{done:?}");
    assert_eq!(count(), "0 1 0 0\n");

    let order = format!("fail-once={}", dir.path().join("mark").display());
    let done = runner(&order, &counts).ok();
    assert!(done.stdout.contains("FLAKY: house::obedient"), "{done:?}");
    assert_eq!(count(), "1 0 0 1\n");

    let done = runner("skip", &counts).ok();
    assert!(done.stdout.contains("SKIPPED house::obedient: as told"), "{done:?}");
    assert_eq!(count(), "0 0 1 0\n");
    let skipped = std::fs::read_to_string(dir.path().join("counts.skipped")).expect("the skipped tests");
    assert_eq!(skipped, "house obedient\n");

    let done = runner("hang", &counts).expect_code(1);
    assert!(done.stdout.contains("stopped at its limit of 5 s"), "{done:?}");
}

/// The check for leftovers finds one of each kind, made in namespaces of its own.
#[test]
fn alone_leftovers_are_found() {
    let done = run(Command::new(top().join("hack/leftovers")).arg("selftest")).ok();
    for kind in ["cgroup", "mount", "interface", "file", "process"] {
        assert!(done.stdout.contains(&format!("found: {kind}")), "{done:?}");
    }
}

/// `make install` and `make uninstall` leave a folder as it was.
#[test]
fn install_and_uninstall() {
    let dir = temp_dir();
    let call = |action: &str| {
        run(Command::new(top().join("hack/install")).arg(action).arg(dir.path())).ok();
        std::fs::read_dir(dir.path().join("bin")).expect("bin").count()
    };
    let files = || run(Command::new("find").arg(dir.path()).args(["-type", "f"])).ok().stdout;
    if !top().join("target/bin/husk-cri").exists() {
        husk_tests::skip("not all programs are built");
        return;
    }
    assert_eq!(call("install"), 5);
    assert_eq!(run(Command::new(dir.path().join("bin/husk")).arg("--version")).ok().code, 0);
    if top().join("target/share").exists() {
        let files = files();
        for file in ["man/man8/husk-run.8", "man/man1/huskctl.1", "bash-completion/completions/husk"] {
            assert!(files.contains(&format!("share/{file}")), "{file} is not among {files}");
        }
    }
    assert_eq!(call("uninstall"), 0);
    assert_eq!(files(), "", "left after uninstall");
}

/// The scripts parse, and know when they are called wrongly.
#[test]
fn scripts_refuse_wrong_arguments() {
    for (script, arguments) in [
        ("hack/test", vec!["nonsense"]),
        ("hack/deps", vec!["nonsense"]),
        ("hack/install", vec!["nonsense"]),
        ("hack/leftovers", vec!["nonsense"]),
        ("hack/vm/run", vec![]),
    ] {
        let done = run(Command::new(top().join(script)).args(&arguments));
        assert_ne!(done.code, 0, "{script} {arguments:?}: {done:?}");
        assert_ne!(done.stderr, "", "{script} {arguments:?} says nothing");
    }
}
