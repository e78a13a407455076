//! A fake /proc, and files of /dev that are not what they seem.

use husk_tests::{Bundle, Runtime};
use rustix::fs::inotify;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where /proc is not procfs, labels and sysctls would be written to files of the image's, which then says they are set.
#[test]
fn cve_2019_16884_nothing_but_procfs_is_mounted_on_proc() {
    let runtime = Runtime::new();
    let fake = husk_tests::temp_dir();
    std::fs::create_dir_all(fake.path().join("self/attr")).expect("a fake proc");
    std::fs::create_dir_all(fake.path().join("sys/kernel")).expect("a fake proc");
    std::fs::write(fake.path().join("sys/kernel/shm_rmid_forced"), "fake").expect("a fake proc");
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/linux/sysctl", json!({"kernel.shm_rmid_forced": "1"}));
    bundle.set(
        "/mounts/0",
        json!({"destination": "/proc", "type": "bind", "source": fake.path(), "options": ["rbind"]}),
    );
    let done = runtime.run(&bundle);
    assert_ne!(done.code, 0, "a fake /proc was taken");
    let text = std::fs::read_to_string(fake.path().join("sys/kernel/shm_rmid_forced")).expect("the fake");
    assert_eq!(text, "fake", "a sysctl was written to the fake /proc");
}

/// The same with a link in the image: the runtime's own writes go to real procfs or nowhere.
#[test]
fn cve_2019_19921_a_link_at_proc_redirects_nothing() {
    let runtime = Runtime::new();
    for target in ["/tmp/fake", "../../tmp/fake", "/tmp/fake/.."] {
        let mut bundle = Bundle::new(&["grep", "NoNewPrivs", "/proc/self/status"]);
        let root = bundle.rootfs();
        std::fs::create_dir_all(root.join("tmp/fake/sys/kernel")).expect("a fake proc");
        std::fs::write(root.join("tmp/fake/sys/kernel/shm_rmid_forced"), "fake").expect("a fake proc");
        std::fs::remove_dir(root.join("proc")).expect("proc");
        symlink(target, root.join("proc")).expect("a link");
        bundle.set("/linux/sysctl", json!({"kernel.shm_rmid_forced": "1"}));
        let done = runtime.run(&bundle);
        let text =
            std::fs::read_to_string(root.join("tmp/fake/sys/kernel/shm_rmid_forced")).expect("the fake");
        assert_eq!(text, "fake", "{target}: a sysctl was written to the image");
        assert!(done.code != 0 || done.text().ends_with('1'), "{target}: {done:?}");
    }
}

/// Masked and read-only paths, and whoever looks for /proc by its path, mean what is mounted there.
#[test]
fn cve_2023_28642_procfs_and_sysfs_are_not_mounted_on_a_link() {
    let runtime = Runtime::husk();
    for (name, kind) in [("proc", "proc"), ("sys", "sysfs")] {
        let bundle = Bundle::new(&["true"]);
        let root = bundle.rootfs();
        std::fs::remove_dir(root.join(name)).expect("a folder");
        std::fs::create_dir(root.join("elsewhere")).expect("a folder");
        symlink("/elsewhere", root.join(name)).expect("a link");
        let done = runtime.run(&bundle).expect_code(1);
        let words = format!("{kind} must be mounted on ordinary directory");
        assert!(done.stderr.contains(&words) && done.stderr.contains("mounts["), "{}", done.stderr);
    }
}

/// Volumes over single files of /proc would let one part of it lie.
#[test]
fn cve_2023_27561_no_mount_inside_proc() {
    let runtime = Runtime::new();
    let file = husk_tests::temp_dir();
    std::fs::write(file.path().join("exec"), "").expect("a file");
    for inside in ["/proc/self/attr/exec", "/proc/sysrq-trigger", "/proc/1/../sys/kernel/core_pattern"] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.mount(inside, "bind", file.path().join("exec").to_str().expect("a path"), &["bind"]);
        let done = runtime.run(&bundle);
        assert_ne!(done.code, 0, "a mount on {inside} was taken");
    }
}

/// The image's /dev/null is a link to a file that the container may read and write: masks must not come from it.
#[test]
fn cve_2025_31133_masks_do_not_come_from_the_image() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("wc -c </proc/version; wc -c </proc/cpuinfo");
    let root = bundle.rootfs();
    if let Some(mounts) = bundle.spec["mounts"].as_array_mut() {
        mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    }
    std::fs::write(root.join("etc/bait"), "bait bait bait").expect("bait");
    symlink("/etc/bait", root.join("dev/null")).expect("a link");
    bundle.set("/linux/maskedPaths", json!(["/proc/version", "/proc/cpuinfo"]));
    let done = runtime.run(&bundle);
    if done.code == 0 {
        assert_eq!(done.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0"], "{done:?}");
    } else {
        assert!(done.stdout.is_empty(), "{done:?}");
    }
    assert_eq!(std::fs::read_to_string(root.join("etc/bait")).expect("bait"), "bait bait bait");
}

/// A bundle without a tmpfs at /dev, so that what the image has there counts.
fn with_images_dev(bundle: &mut Bundle) {
    let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts");
    mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    bundle.set("/process/terminal", true);
}

/// The image's /dev/console leads into /proc: the terminal would lie on a file of the kernel's.
#[test]
fn cve_2025_52565_the_console_is_not_bound_into_procfs() {
    let runtime = Runtime::husk();
    for target in ["/proc/sys/kernel/core_pattern", "../proc/self/attr/exec", "/proc/version"] {
        let mut bundle = Bundle::new(&["true"]);
        with_images_dev(&mut bundle);
        bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        symlink(target, bundle.rootfs().join("dev/console")).expect("a link");
        let done = runtime.run(&bundle).expect_code(1);
        let words = "/dev/console of the root filesystem leads into procfs";
        assert!(done.stderr.contains(words), "{target}: {done:?}");
    }
}

/// What the image has in place of a devpts may be any device, which acts on being opened: it is not.
#[test]
fn cve_2025_52565_a_ptmx_of_the_images_is_not_opened() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    with_images_dev(&mut bundle);
    let ptmx = bundle.rootfs().join("dev/pts/ptmx");
    std::fs::create_dir(bundle.rootfs().join("dev/pts")).expect("a folder");
    rustix::fs::mknodat(rustix::fs::CWD, &ptmx, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a FIFO");
    let opened = watch(&ptmx);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("/dev/pts of the container is not a devpts"), "{done:?}");
    assert!(!opened(), "{done:?}");
}

/// The same at /etc/passwd, where husk looks for HOME.
#[test]
fn cve_2026_47766_a_passwd_that_is_no_file_is_not_opened() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("echo $HOME");
    bundle.set("/process/env", json!(["PATH=/bin"]));
    let passwd = bundle.rootfs().join("etc/passwd");
    std::fs::remove_file(&passwd).expect("passwd");
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a FIFO");
    let opened = watch(&passwd);
    assert_eq!(runtime.run(&bundle).ok().text(), "/");
    assert!(!opened());
}

/// Tells whether a file was opened since.
fn watch(file: &Path) -> impl Fn() -> bool {
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
    inotify::add_watch(&watch, file, inotify::WatchFlags::OPEN).expect("a watch");
    move || rustix::io::read(&watch, &mut [0; 1024]) != Err(rustix::io::Errno::AGAIN)
}

/// Masked and read-only paths hold, also for root.
#[test]
fn cve_2025_52881_masked_and_read_only_paths_hold() {
    let runtime = Runtime::new();
    let script = "
        [ $(wc -c </proc/version) = 0 ] && echo version masked
        [ -z \"$(ls /sys/firmware 2>/dev/null)\" ] && echo firmware masked
        (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null || echo core_pattern kept
        (echo h >/proc/sysrq-trigger) 2>/dev/null || echo sysrq kept
        mkdir /sys/fs/cgroup/evil 2>/dev/null || echo cgroups kept
        umount /proc/sys 2>/dev/null || echo mount kept";
    let mut bundle = Bundle::script(script);
    bundle.push("/linux/maskedPaths", json!("/proc/version"));
    let done = runtime.run(&bundle).ok();
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "version masked",
            "firmware masked",
            "core_pattern kept",
            "sysrq kept",
            "cgroups kept",
            "mount kept"
        ]
    );
}

/// A writable view of the host's groups would let the container out of its limits.
#[test]
fn cve_2023_25809_the_groups_of_the_host_are_out_of_reach() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("cat /proc/self/cgroup; mkdir /sys/fs/cgroup/evil");
    bundle.without_namespace("cgroup");
    let done = runtime.run(&bundle);
    assert_ne!(done.code, 0, "a group was made: {done:?}");
    let bundle = Bundle::script("grep ^0:: /proc/self/cgroup");
    assert_eq!(runtime.run(&bundle).ok().text(), "0::/");
}
