//! `linux.maskedPaths`.

use super::{at, mounts, output, refused, run};
use serde_json::json;

#[test]
fn a_masked_file_is_empty() {
    let shown = output("cat /secret; wc -c </secret", |bundle| {
        std::fs::write(bundle.rootfs().join("secret"), "told").unwrap();
        bundle.push("/linux/maskedPaths", json!("/secret"))
    });
    assert_eq!(shown, "0");
}

#[test]
fn a_masked_folder_is_empty_and_takes_nothing() {
    let shown = output("ls -A /var; touch /var/x 2>&1; true", |bundle| {
        std::fs::write(bundle.rootfs().join("var/file"), "told").unwrap();
        super::capable(bundle, &[]).push("/linux/maskedPaths", json!("/var"))
    });
    assert!(!shown.contains("file\n") && shown.contains("Read-only file system"), "{shown}");
}

#[test]
fn files_of_proc_and_sys_are_masked() {
    let shown = output("wc -c </proc/version; ls /sys/kernel", |bundle| {
        bundle
            .push("/linux/maskedPaths", json!("/proc/version"))
            .push("/linux/maskedPaths", json!("/sys/kernel"))
    });
    assert_eq!(shown, "0");
}

#[test]
fn what_does_not_exist_needs_no_mask() {
    assert_eq!(
        output("ls /no 2>/dev/null; echo done", |bundle| bundle
            .push("/linux/maskedPaths", json!("/no/such"))),
        "done"
    );
}

#[test]
fn what_is_mounted_is_masked_too() {
    let dir = super::folder(&[("in/file", "told")]);
    let shown = output("ls /mnt /mnt/in", |bundle| {
        bundle
            .mount("/mnt", "bind", super::text(&dir), &["bind"])
            .push("/linux/maskedPaths", json!("/mnt/in"))
    });
    assert_eq!(shown, "/mnt:\nin\n\n/mnt/in:");
}

#[test]
fn a_mask_cannot_be_taken_off_without_privilege() {
    let done = run("umount /proc/version; wc -c </proc/version", |bundle| {
        bundle.push("/linux/maskedPaths", json!("/proc/version"))
    });
    assert_eq!(done.text(), "0", "{done:?}");
}

#[test]
fn where_nothing_is_masked_nothing_is() {
    let all = mounts(|bundle| bundle.set("/linux/maskedPaths", json!([])));
    assert!(
        !all.iter().any(|mount| mount.point == "/proc/keys" || mount.point == "/sys/firmware"),
        "{all:#?}"
    );
    assert_eq!(at(&all, "/proc").kind, "proc");
}

#[test]
fn a_relative_path_is_an_error() {
    refused(|bundle| bundle.set("/linux/maskedPaths", json!(["proc/version"])));
}

#[test]
fn a_link_at_dev_null_is_not_what_masks() {
    // CVE-2025-31133: the image's /dev/null is a link to a file that the container may read and write.
    let done = run("wc -c </proc/version; wc -c </proc/cpuinfo", |bundle| {
        if let Some(mounts) = bundle.spec["mounts"].as_array_mut() {
            mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
        }
        std::fs::write(bundle.rootfs().join("etc/bait"), "bait bait bait").unwrap();
        std::os::unix::fs::symlink("/etc/bait", bundle.rootfs().join("dev/null")).unwrap();
        bundle.set("/linux/maskedPaths", json!(["/proc/version", "/proc/cpuinfo"]))
    });
    // An error is right, too: then nothing is shown.
    let lines: Vec<_> = done.stdout.split_whitespace().collect();
    assert!(lines.is_empty() || lines == ["0", "0"], "{done:?}");
    // Without the trap the same spec runs.
    let shown =
        output("wc -c </proc/version", |bundle| bundle.set("/linux/maskedPaths", json!(["/proc/version"])));
    assert_eq!(shown, "0");
}
