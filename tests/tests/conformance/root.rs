//! `root`: the path of the root filesystem, and whether it is read-only.

use super::{output, refused, run, same};
use husk_tests::{Bundle, Runtime};
use serde_json::Value;

/// A bundle that shows a file of its root, which was moved to a path below the bundle.
fn moved(to: &str, path: &str) -> String {
    let mut bundle = Bundle::new(&["cat", "/mark"]);
    std::fs::write(bundle.rootfs().join("mark"), "here").unwrap();
    let place = bundle.path().join(to);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::rename(bundle.rootfs(), &place).unwrap();
    let path = path.replace("BUNDLE", bundle.path().to_str().unwrap());
    bundle.set("/root/path", path);
    Runtime::new().run(&bundle).ok().text().to_owned()
}

#[test]
fn a_relative_path_is_relative_to_the_bundle() {
    assert_eq!(moved("deep/er/root", "deep/er/root"), "here");
}

#[test]
fn an_absolute_path() {
    assert_eq!(moved("elsewhere", "BUNDLE/elsewhere"), "here");
}

#[test]
fn a_path_with_a_dot_and_a_slash_at_its_end() {
    assert_eq!(moved("other", "./other/"), "here");
}

#[test]
fn a_path_with_spaces_and_letters_beyond_ascii() {
    assert_eq!(moved("wurzel für alle", "wurzel für alle"), "here");
}

#[test]
fn a_root_is_writable_where_nothing_is_said() {
    let script = "echo text >/new && cat /new";
    let shown = output(script, |bundle| {
        bundle.spec["root"].as_object_mut().unwrap().remove("readonly");
        bundle
    });
    assert_eq!(shown, "text");
}

#[test]
fn a_root_is_writable_where_read_only_is_false() {
    assert_eq!(output("touch /new && echo done", |bundle| bundle.set("/root/readonly", false)), "done");
}

#[test]
fn a_read_only_root_refuses_writes() {
    let script = "touch /x 2>&1; mkdir /etc/y 2>&1; rm /etc/passwd 2>&1; ls /etc/passwd";
    let shown = output(script, |bundle| bundle.set("/root/readonly", true));
    assert_eq!(shown.matches("Read-only file system").count(), 3, "{shown}");
    assert!(shown.ends_with("/etc/passwd"), "{shown}");
}

#[test]
fn mounts_in_a_read_only_root_stay_writable() {
    let script = "touch /dev/shm/x && touch /mnt/x && echo done";
    let shown =
        output(script, |bundle| bundle.set("/root/readonly", true).mount("/mnt", "tmpfs", "tmpfs", &[]));
    assert_eq!(shown, "done");
}

#[test]
fn the_root_has_no_parent() {
    assert_eq!(output("cd /../../..; pwd; ls -di / /.. | cut -d/ -f1 | uniq | wc -l", same), "/\n1");
}

#[test]
fn nothing_of_the_hosts_mounts_is_seen() {
    let mounts = super::mounts(same);
    let (roots, rest): (Vec<_>, Vec<_>) = mounts.iter().partition(|mount| mount.point == "/");
    assert_eq!(roots.len(), 1, "{mounts:#?}");
    for mount in rest {
        let known = ["/proc", "/dev", "/sys"].iter().any(|place| mount.point.starts_with(place));
        assert!(known, "{mount:#?}");
    }
}

#[test]
fn the_old_root_cannot_be_reached_by_chroot() {
    // With CAP_SYS_CHROOT, out of a chroot, up and up: the classic way out.
    let script = "mkdir /jail; cd /; chroot /jail /bin/true 2>/dev/null; cd /..; ls -A | sort | head -n 3";
    let shown = output(script, |bundle| super::capable(bundle, &["CAP_SYS_CHROOT"]));
    assert_eq!(shown, "bin\ndev\netc");
}

#[test]
fn a_root_that_does_not_exist_is_an_error() {
    refused(|bundle| bundle.set("/root/path", "none"));
}

#[test]
fn a_root_that_is_a_file_is_an_error() {
    refused(|bundle| bundle.set("/root/path", "config.json"));
}

#[test]
fn a_spec_without_root_is_an_error() {
    refused(|bundle| bundle.set("/root", Value::Null));
}

#[test]
fn without_pivot_root_the_container_sees_its_root() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("ls -d /bin/busybox; cd /..; pwd");
    bundle.write();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("nopivot"));
    let mut command = runtime.command();
    command.args(["run", "--no-pivot", "--bundle"]).arg(bundle.path()).arg(&container.id);
    assert_eq!(husk_tests::run(&mut command).ok().text(), "/bin/busybox\n/");
}

#[test]
fn a_name_in_the_root_does_not_lead_out() {
    let done = run("cat /link", |bundle| {
        std::os::unix::fs::symlink("/../../../../etc/debian_version", bundle.rootfs().join("link")).unwrap();
        bundle
    });
    assert_ne!(done.code, 0, "{done:?}");
}
