//! On a machine whose root is the kernel's first file system: a ramdisk that was never left, which can't be pivoted.

use husk_tests::{bin, bundle::default_spec, in_vm, skip};
use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{
    fs::{File, Permissions, create_dir_all, read, set_permissions, write},
    os::fd::AsFd as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Command, Output, Stdio},
};

/// Has the calling thread leave the machine's root for the ramdisk under it, which is empty by now, and makes it a machine with
/// husk and a bundle.
fn enter(husk: &[u8], busybox: &[u8]) {
    husk_sys::clone::unshare(husk_sys::clone::Namespaces::NEWNS).unwrap();
    let namespace = File::open("/proc/thread-self/ns/mnt").unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    unmount("/", UnmountFlags::DETACH).unwrap();
    // Into one's own: it leads to what is left at its root.
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).unwrap();
    for (kind, place) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", "/sys/fs/cgroup"), ("devtmpfs", "/dev")]
    {
        create_dir_all(place).unwrap();
        match mount(kind, place, kind, MountFlags::empty(), None) {
            // As the machine's first steps left it.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(errno) => panic!("mount {place}: {errno}"),
        }
    }
    for dir in ["bin", "proc", "sys", "dev"] {
        create_dir_all(format!("/bundle/rootfs/{dir}")).unwrap();
    }
    for (path, content) in [("/husk", husk), ("/bundle/rootfs/bin/busybox", busybox)] {
        write(path, content).unwrap();
        set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    for applet in ["cat", "sleep", "ls"] {
        let _ = symlink("busybox", format!("/bundle/rootfs/bin/{applet}"));
    }
}

fn husk(arguments: &[&str], program: &[&str]) -> Output {
    write("/bundle/config.json", default_spec(program).to_string()).unwrap();
    let mut command = Command::new("/husk");
    command.args(["--root", "/state"]).args(arguments).stdin(Stdio::null());
    // A container that stays would hold a pipe open.
    if arguments.contains(&"--detach") {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    command.output().unwrap()
}

#[test]
fn no_pivot_is_named_and_works() {
    if !in_vm() {
        return skip("needs a machine with an initramfs under its root");
    }
    let (program, busybox) = (read(bin("husk")).unwrap(), read("/bin/busybox").unwrap());
    // Only this thread is there, and nothing of the test's own.
    let work = move || {
        enter(&program, &busybox);
        let run = ["run", "--bundle", "/bundle", "ramdisk"];
        let done = husk(&run, &["ls", "/"]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("--no-pivot") && done.status.code() == Some(1), "{done:?}");
        let done = husk(&["run", "--no-pivot", "--bundle", "/bundle", "ramdisk"], &["ls", "/"]);
        assert_eq!(String::from_utf8_lossy(&done.stdout), "bin\ndev\nproc\nsys\n", "{done:?}");
        let flags = ["run", "--no-pivot", "--detach", "--bundle", "/bundle", "ramdisk"];
        assert!(husk(&flags, &["sleep", "100000"]).status.success());
        let done = husk(&["exec", "ramdisk", "ls", "/"], &[]);
        let removed = husk(&["delete", "--force", "ramdisk"], &[]);
        assert_eq!(String::from_utf8_lossy(&done.stdout), "bin\ndev\nproc\nsys\n", "{done:?}");
        assert!(removed.status.success(), "{removed:?}");
    };
    std::thread::spawn(work).join().unwrap();
}
