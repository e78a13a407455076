//! The root filesystem at its own path, for hooks and mounts, and without pivot_root.

use husk_tests::{Bundle, Runtime};
use serde_json::json;

#[test]
fn a_source_may_be_what_another_mount_brought() {
    let runtime = Runtime::new();
    let shared = husk_tests::temp_dir();
    std::fs::create_dir(shared.path().join("inner")).unwrap();
    std::fs::write(shared.path().join("inner/file"), "text").unwrap();
    let mut bundle = Bundle::new(&["cat", "/b/file"]);
    let inner = bundle.rootfs().join("mnt/inner");
    bundle.mount("/mnt", "bind", shared.path().to_str().unwrap(), &["bind"]);
    bundle.mount("/b", "bind", inner.to_str().unwrap(), &["bind"]);
    assert_eq!(runtime.run(&bundle).ok().text(), "text");
}

/// As long as a procfs without masks is in the mount namespace, a user namespace may mount another one.
#[test]
fn no_pivot_leaves_no_bare_procfs_behind() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("unshare -mrpf mount -t proc none /mnt || echo refused; ls /mnt /proc/1");
    for set in ["bounding", "permitted", "effective"] {
        bundle.push(&format!("/process/capabilities/{set}"), "CAP_SETFCAP".into());
    }
    bundle.write();
    let run = |flags: &[&str]| {
        let mut command = runtime.command();
        command.arg("run").args(flags).arg("--bundle").arg(bundle.path());
        husk_tests::run(command.arg(husk_tests::unique("bare"))).ok()
    };
    if !run(&[]).stdout.starts_with("refused") {
        // The machine's initramfs has left its own procfs behind, out of everybody's reach (as that of hack/vm does).
        return;
    }
    let done = run(&["--no-pivot"]);
    assert!(done.stderr.contains("mount") && done.stdout.starts_with("refused"), "{done:?}");
    assert!(done.stdout.contains("mountinfo") && !done.stdout.contains("sysrq-trigger"), "{done:?}");
    assert!(std::path::Path::new("/proc/self/stat").exists(), "the machine's own is still there");
}

/// As engines' hooks do that bring devices and libraries in: they enter the mount namespace and know the root by its path.
#[test]
fn what_a_hook_mounts_into_the_root_by_its_path_is_there() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("grep ^by-hook /proc/self/mounts");
    let script = format!(
        "pid=$(tr -d ' \\n' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); exec nsenter -t $pid -m mount -t tmpfs by-hook {}/mnt",
        bundle.rootfs().display()
    );
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]);
    let here = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo here > ./tmp/by-directory"]}]);
    bundle.set("/hooks", json!({"createRuntime": hook, "createContainer": here}));
    assert!(runtime.run(&bundle).ok().text().starts_with("by-hook /mnt tmpfs"));
    assert!(bundle.rootfs().join("tmp/by-directory").exists());
}

#[test]
fn names_of_properties_may_be_in_another_case() {
    // As with runc: passed over, this would be a root that can be written to.
    let mut bundle = Bundle::script("touch /x 2>/dev/null || echo read-only; hostname");
    bundle.spec["root"].as_object_mut().unwrap().remove("readonly");
    bundle.set("/root/readOnly", true).set("/Hostname", "here");
    bundle.spec.as_object_mut().unwrap().remove("hostname");
    let runtimes = std::iter::once(Runtime::husk()).chain(Runtime::peer("runc"));
    for runtime in runtimes {
        assert_eq!(runtime.run(&bundle).ok().text(), "read-only\nhere", "{runtime:?}");
    }
}

/// Later commands read husk's own copy, in which the names are corrected.
#[test]
fn commands_after_create_know_properties_in_another_case() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    let log = bundle.path().join("log");
    let hook = |word: &str| {
        let script = format!("echo {word} >>{}", log.display());
        json!([{"Path": "/bin/sh", "ARGS": ["sh", "-c", script]}])
    };
    bundle.spec["process"].as_object_mut().unwrap().remove("noNewPrivileges");
    bundle.set("/process/NoNewPrivileges", true);
    bundle.set("/Hooks", json!({"PostStart": hook("poststart"), "POSTSTOP": hook("poststop")}));
    let container = runtime.start(&bundle);
    let shown = container.exec(&["grep", "NoNewPrivs", "/proc/self/status"]).ok();
    assert_eq!(shown.text(), "NoNewPrivs:\t1");
    container.call_with("delete", &["--force"], &[]).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "poststart\npoststop\n");
}
