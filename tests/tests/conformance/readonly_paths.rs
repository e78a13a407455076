//! `linux.readonlyPaths`.

use super::{at, folder, mounts, output, refused, text};
use serde_json::json;

#[test]
fn a_folder() {
    let shown = output("ls /etc/passwd; touch /etc/x 2>&1; true", |bundle| {
        bundle.push("/linux/readonlyPaths", json!("/etc"))
    });
    assert!(shown.starts_with("/etc/passwd") && shown.contains("Read-only file system"), "{shown}");
}

#[test]
fn a_file() {
    let shown = output(
        "head -c 4 /etc/passwd; (echo x >>/etc/passwd) 2>&1; touch /etc/new && echo ' new'",
        |bundle| bundle.push("/linux/readonlyPaths", json!("/etc/passwd")),
    );
    assert!(
        shown.starts_with("root") && shown.contains("Read-only file system") && shown.ends_with("new"),
        "{shown}"
    );
}

#[test]
fn kernel_parameters() {
    let script =
        "for f in sys/kernel/domainname irq/default_smp_affinity; do (echo x >/proc/$f) 2>&1; done; true";
    let shown = output(script, |bundle| super::capable(bundle, &["CAP_SYS_ADMIN"]));
    assert_eq!(shown.matches("Read-only file system").count(), 2, "{shown}");
}

#[test]
fn what_does_not_exist_is_no_error() {
    assert_eq!(output("echo done", |bundle| bundle.push("/linux/readonlyPaths", json!("/no/such"))), "done");
}

#[test]
fn options_that_were_there_stay() {
    let dir = folder(&[("in/file", "")]);
    let all = mounts(|bundle| {
        bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"]);
        bundle.mount("/mnt/in", "bind", text(&dir), &["bind", "nosuid", "nodev", "noexec"]);
        bundle.push("/linux/readonlyPaths", json!("/mnt/in"))
    });
    let mount = at(&all, "/mnt/in");
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mount.has(option), "{option}: {mount:?}");
    }
}

#[test]
fn where_none_is_named_none_is() {
    let shown = output("echo inside >/proc/sys/kernel/hostname && hostname", |bundle| {
        super::capable(bundle, &["CAP_SYS_ADMIN"]).set("/linux/readonlyPaths", json!([]))
    });
    assert_eq!(shown, "inside");
}

#[test]
fn a_relative_path_is_an_error() {
    refused(|bundle| bundle.set("/linux/readonlyPaths", json!(["proc/sys"])));
}
