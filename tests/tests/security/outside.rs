//! Links in an image that lead the runtime outside of it, also while it looks.

use husk_tests::{Bundle, Runtime};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

/// Mounted inside the test's folder? The runtime's mounts belong in the container's own namespace.
fn mounted_under(folder: &Path) -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    text.lines().any(|line| line.split(' ').nth(4).is_some_and(|at| Path::new(at).starts_with(folder)))
}

/// A target that is now a folder of the image's, now a link to the host: 60 containers while an attacker swaps them.
#[test]
fn cve_2021_30465_a_mount_target_swapped_for_a_link() {
    let runtime = Runtime::husk();
    let outside = husk_tests::temp_dir();
    let mut bundle = Bundle::script("cat /swap/sub/target/mark 2>/dev/null; true");
    let source = husk_tests::temp_dir();
    std::fs::write(source.path().join("mark"), "mounted").expect("a file");
    let root = bundle.rootfs();
    std::fs::create_dir_all(root.join("swap")).expect("a folder");
    std::fs::create_dir_all(root.join("swap/sub")).expect("a folder");
    symlink(outside.path(), root.join("other")).expect("a link");
    bundle.mount("/swap/sub/target", "bind", source.path().to_str().expect("a path"), &["rbind", "ro"]);

    let stop = AtomicBool::new(false);
    let (a, b) = (root.join("swap"), root.join("other"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE);
            }
        });
        // A panic must stop the attacker, too, or the scope never ends.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..if husk_tests::in_vm() { 10 } else { 60 } {
                let _ = runtime.run(&bundle);
                assert!(is_empty(outside.path()), "round {round}: the runtime made something outside");
                assert!(!mounted_under(outside.path()), "round {round}: mounted outside");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The same as a link that stands still, absolute and by dots, as the target's parent and as the target itself.
#[test]
fn cve_2024_45310_links_in_a_mount_target_stay_inside() {
    let runtime = Runtime::husk();
    let outside = husk_tests::temp_dir();
    let absolute = outside.path().to_str().expect("a path").to_owned();
    let dots = format!("../../../../../../../../../..{absolute}");
    for link in [absolute, dots] {
        for target in ["/evil", "/evil/new", "/evil/new/er"] {
            let mut bundle = Bundle::new(&["true"]);
            symlink(&link, bundle.rootfs().join("evil")).expect("a link");
            bundle.mount(target, "tmpfs", "tmpfs", &["size=1m"]);
            let _ = runtime.run(&bundle);
            assert!(is_empty(outside.path()), "{target} by {link}: made outside");
            bundle.set(
                "/mounts/7",
                json!({"destination": target, "type": "bind", "source": "/etc/passwd", "options": ["bind"]}),
            );
            let _ = runtime.run(&bundle);
            assert!(is_empty(outside.path()), "{target} by {link}: made outside");
        }
    }
}

/// The image ships /dev as a link: devices, links and pts would be made on the host.
#[test]
fn cve_2026_41579_dev_as_a_link() {
    let runtime = Runtime::husk();
    let outside = husk_tests::temp_dir();
    for with_tmpfs in [true, false] {
        let mut bundle = Bundle::new(&["true"]);
        let root = bundle.rootfs();
        std::fs::remove_dir(root.join("dev")).expect("dev");
        symlink(outside.path(), root.join("dev")).expect("a link");
        if !with_tmpfs && let Some(mounts) = bundle.spec["mounts"].as_array_mut() {
            mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
        }
        let _ = runtime.run(&bundle);
        assert!(is_empty(outside.path()), "something was made outside");
    }
    // The machine's own devices are still devices.
    assert!(std::fs::metadata("/dev/null").expect("/dev/null").file_type().is_char_device());
}

/// A device whose path leads out by a link.
#[test]
fn cve_2026_47766_device_paths_stay_inside() {
    let runtime = Runtime::husk();
    let outside = husk_tests::temp_dir();
    let mut bundle = Bundle::new(&["true"]);
    symlink(outside.path(), bundle.rootfs().join("evil")).expect("a link");
    bundle.push(
        "/linux/devices",
        json!({"path": "/evil/sda", "type": "b", "major": 8, "minor": 0, "fileMode": 0o666}),
    );
    let _ = runtime.run(&bundle);
    assert!(is_empty(outside.path()), "a device was made outside");
}

/// Masked and read-only paths that are links of the image's.
#[test]
fn cve_2022_23648_masked_paths_and_working_directory_stay_inside() {
    let runtime = Runtime::husk();
    let outside = husk_tests::temp_dir();
    std::fs::write(outside.path().join("file"), "mine").expect("a file");
    let mut bundle = Bundle::script("pwd");
    symlink(outside.path(), bundle.rootfs().join("evil")).expect("a link");
    bundle.set("/linux/maskedPaths", json!(["/evil", "/evil/file"]));
    bundle.set("/linux/readonlyPaths", json!(["/evil"]));
    bundle.set("/process/cwd", format!("/evil{}", outside.path().display()));
    let _ = runtime.run(&bundle);
    assert!(!mounted_under(outside.path()), "mounted outside");
    assert_eq!(std::fs::read_dir(outside.path()).expect("a folder").count(), 1, "something was made outside");
    std::fs::write(outside.path().join("file"), "still writable").expect("a file outside");
}
