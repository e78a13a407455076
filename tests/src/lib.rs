//! What husk's integration tests share: bundles, runtimes, containers that clean up after themselves, waiting, skipping.
//!
//! Every test has folders, ids and a state directory of its own and leaves nothing behind, even where it fails. Tests
//! wait for conditions and never measure time: the VM is 25 times slower than the machine.

pub mod bundle;
pub mod cgroup;
pub mod command;
pub mod fds;
pub mod image;
pub mod netns;
pub mod orphan;
pub mod registry;
pub mod runtime;
pub mod terminal;
pub mod view;

pub use bundle::Bundle;
pub use command::{Done, code_of, run, run_with_stdin};
pub use fds::Receiver;
pub use netns::NetNs;
pub use orphan::Orphan;
pub use runtime::{Container, Runtime};

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether the test runs in the VM that `hack/vm/run` starts: pure cgroup v2, every controller.
pub fn in_vm() -> bool {
    std::env::var_os("HUSK_VM").is_some()
}

/// Says that the running test cannot be done here; the caller then returns. In the VM, where everything that husk needs
/// is there, this fails the test.
pub fn skip(reason: &str) {
    let test = std::env::var("HUSK_TEST")
        .unwrap_or_else(|_| std::thread::current().name().unwrap_or("test").to_owned());
    assert!(!in_vm(), "{test} must not be skipped in the VM: {reason}");
    // The runner looks for a line that begins so; libtest may have begun one.
    println!("\nSKIPPED {test}: {reason}");
}

/// Whether criu works here; skips the test where it does not: `if !criu() { return; }`.
#[must_use]
pub fn criu() -> bool {
    if cgroup::root() != Path::new("/sys/fs/cgroup") {
        skip("criu would restore the groups of cgroup v1, too, which are not the tests' to change");
        return false;
    }
    let done = run(Command::new("sh").args(["-c", "exec criu check"]));
    if done.code != 0 {
        let why = done.stderr.lines().next().unwrap_or("it says nothing");
        skip(&format!("criu does not work here: {why}"));
    }
    done.code == 0
}

/// Whether systemd runs this machine; the test is skipped where it doesn't, or where the machine is not ours.
#[must_use]
pub fn has_systemd() -> bool {
    if in_vm() && Path::new("/run/systemd/system").exists() {
        return true;
    }
    skip("needs a machine of its own with systemd as PID 1");
    false
}

/// Waits until `condition` holds, a minute at most (five in the VM).
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Duration::from_secs(if in_vm() { 300 } else { 60 });
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A name that no other test uses, valid as a container id and short enough for a host name or a socket path.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("husk-test-{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where a program of husk's is: in `$HUSK_BIN_DIR`, or in `target/bin` of the workspace, which `hack/build` fills.
pub fn bin(name: &str) -> PathBuf {
    let dir = match std::env::var_os("HUSK_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bin"),
    };
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing: run hack/build first", path.display());
    path.canonicalize().expect("a path of a program")
}

/// A temporary directory that goes away with the value. It can be entered by other users, as containers with a user
/// namespace must reach their root filesystem through it.
pub fn temp_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("husk-test-").tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    dir
}
