//! Mounts of the host are found again; those of the container come back with their content.

use crate::world::{World, counter, counts_on, criu, mounts};
use husk_tests::temp_dir;
use serde_json::json;
use std::os::unix::fs::symlink;

#[test]
fn binds_links_nested_ones_tmpfs_masks_and_options() {
    if !criu() {
        return;
    }
    let world = World::new();
    let mut bundle = counter();
    let (outer, inner, file) = (temp_dir(), temp_dir(), world.path("file"));
    std::fs::write(&file, "a file of the host\n").unwrap();
    std::fs::write(inner.path().join("there"), "").unwrap();
    std::fs::create_dir_all(bundle.rootfs().join("real/conf")).unwrap();
    symlink("/real/conf", bundle.rootfs().join("conf")).unwrap();
    bundle
        .mount("/outer", "bind", outer.path().to_str().unwrap(), &["rbind", "nosuid"])
        .mount("/outer/for/inner", "bind", inner.path().to_str().unwrap(), &["bind", "ro"])
        .mount("/conf", "bind", inner.path().to_str().unwrap(), &["bind", "noexec"])
        .mount("/etc/file", "bind", file.to_str().unwrap(), &["bind", "ro"])
        .mount("/scratch", "tmpfs", "tmpfs", &["nosuid", "size=1m"]);
    let container = world.start(&bundle);
    counts_on(&bundle, 1);
    container.sh("echo kept >/scratch/note; chmod 640 /scratch/note; echo shared >/outer/note").ok();
    let before = mounts(container.pid());
    world.checkpoint(&container, &[]).ok();
    // The mount points in what is bound are made again.
    std::fs::remove_dir_all(outer.path().join("for")).unwrap();
    world.restore(&bundle, &container, &[]).ok();
    assert_eq!(mounts(container.pid()), before);
    let script = "cat /scratch/note /outer/note /etc/file; stat -c %a /scratch/note; ls /outer/for/inner /conf; \
                  touch /outer/for/inner/x 2>/dev/null || echo read-only; cat /proc/keys /proc/kcore | wc -c; ls /sys/firmware";
    let done = container.sh(script).ok();
    let expected =
        "kept\nshared\na file of the host\n640\n/conf:\nthere\n\n/outer/for/inner:\nthere\nread-only\n0";
    assert_eq!(done.text(), expected, "{done:?}");
}

#[test]
fn a_source_that_is_gone_is_named() {
    if !criu() {
        return;
    }
    let world = World::husk();
    let mut bundle = counter();
    let source = temp_dir();
    bundle.mount("/mnt", "bind", source.path().to_str().unwrap(), &["bind"]);
    let container = world.start(&bundle);
    world.checkpoint(&container, &[]).ok();
    let name = source.path().display().to_string();
    drop(source);
    let done = world.restore(&bundle, &container, &[]);
    assert!(
        done.code == 1 && done.stderr.contains(&name) && done.stderr.contains("mounts[7] (/mnt)"),
        "{done:?}"
    );
    assert!(!world.runtime.root().join(&container.id).exists());
}

#[test]
fn a_container_that_sees_the_hosts_cgroups() {
    if !criu() {
        return;
    }
    let world = World::new();
    let mut bundle = counter();
    bundle.without_namespace("cgroup");
    let container = world.start(&bundle);
    let at = counts_on(&bundle, 1);
    let flags = ["--manage-cgroups-mode", "ignore"];
    let before = container.exec(&["cat", "/proc/1/cgroup"]).ok();
    world.checkpoint(&container, &flags).ok();
    world.restore(&bundle, &container, &flags).ok();
    counts_on(&bundle, at);
    assert_eq!(container.exec(&["cat", "/proc/1/cgroup"]).ok().text(), before.text());
    assert_ne!(container.exec(&["cat", "/sys/fs/cgroup/cgroup.procs"]).ok().text(), "");
}

#[test]
fn a_read_only_root_with_a_seccomp_filter_and_an_ordinary_user() {
    if !criu() {
        return;
    }
    let world = World::new();
    let mut bundle = counter();
    let out = temp_dir();
    std::os::unix::fs::chown(out.path(), Some(1000), Some(1000)).unwrap();
    std::fs::create_dir(out.path().join("tmp")).unwrap();
    std::fs::set_permissions(out.path().join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    bundle
        .set("/root/readonly", true)
        .set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [50]}))
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "hard": 512, "soft": 256}]))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}),
        )
        .mount("/tmp", "bind", out.path().join("tmp").to_str().unwrap(), &["bind"]);
    let container = world.start(&bundle);
    let count = || std::fs::read_to_string(out.path().join("tmp/count")).unwrap_or_default();
    husk_tests::wait_until("it counts", || !count().is_empty());
    let status = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        // criu 3.17 forgets no_new_privs, and runc with it.
        let last = if world.is_husk() { "NoNewPrivs" } else { "Seccomp" };
        let kept = ["Uid", "Gid", "Groups", "Cap", "Seccomp", last];
        text.lines()
            .filter(|line| kept.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let limits = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let before = (status(container.pid()), limits(container.pid()));
    world.checkpoint(&container, &[]).ok();
    let at = count();
    world.restore(&bundle, &container, &[]).ok();
    husk_tests::wait_until("it goes on", || count() != at);
    assert_eq!((status(container.pid()), limits(container.pid())), before);
    assert_ne!(container.exec(&["touch", "/file"]).code, 0);
}
