//! What a process of the container may see of one that joins it.

use crate::idle_with;
use husk_tests::Runtime;

/// CVE-2016-9962 and CVE-2024-21626: a process of the container that may trace others looks into each new process by
/// /proc, as fast as it can, for descriptors and directories of the host.
#[test]
fn a_joining_process_shows_nothing_of_the_host() {
    const SPY: &str = "while :; do for p in /proc/[0-9]*; do \
        for f in $p/fd/[0-9]* $p/cwd $p/root; do readlink $f; done; done 2>/dev/null >>/seen; done";
    let runtime = Runtime::husk();
    let container = idle_with(&runtime, |bundle| {
        bundle.set("/process/args", serde_json::json!(["sh", "-c", SPY]));
        let caps = serde_json::json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
        for set in ["bounding", "effective", "permitted"] {
            bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
        }
    });
    let bundle = container.bundle();
    for _ in 0..30 {
        container.exec(&["true"]).ok();
    }
    let seen = std::fs::read_to_string(bundle.rootfs().join("seen")).unwrap();
    assert!(seen.lines().any(|line| line == "/"), "the spy saw nothing: {seen:.300}");
    let state = runtime.root();
    let host = |line: &&str| {
        line.starts_with("/proc") && !line.starts_with("/proc/") && line.len() == 5
            || line.contains("cgroup")
            || line.contains("state.json")
            || line.starts_with(&*state.to_string_lossy())
            || line.contains("(unreachable)")
    };
    let found: Vec<&str> = seen.lines().filter(host).collect();
    assert!(found.is_empty(), "{:?}", &found[..found.len().min(5)]);
}

/// The program that runs is the container's, and husk's own file is not there to be written to (CVE-2019-5736).
#[test]
fn the_executable_of_husk_cannot_be_written() {
    const ATTACK: &str = "while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/self) continue;; esac; \
        x=$(readlink $p/exe) && echo $x >>/seen && case $x in */busybox) ;; *) echo ruined 2>>/errors >>$p/exe && echo $x >>/written;; esac; \
        done; done 2>/dev/null";
    let runtime = Runtime::husk();
    let husk = husk_tests::bin("husk");
    let before = std::fs::metadata(&husk).unwrap();
    let container = idle_with(&runtime, |bundle| {
        bundle.set("/process/args", serde_json::json!(["sh", "-c", ATTACK]));
        let caps = serde_json::json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
        for set in ["bounding", "effective", "permitted"] {
            bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
        }
    });
    let bundle = container.bundle();
    for _ in 0..30 {
        container.exec(&["true"]).ok();
    }
    let after = std::fs::metadata(&husk).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
    assert!(!bundle.rootfs().join("written").exists(), "a write to husk's file went through");
}
