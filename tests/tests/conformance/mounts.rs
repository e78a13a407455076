//! `mounts`: order, types, sources, destinations and the options that every runtime must know.

use super::{at, folder, mounts, output, refused, run, same, text};
use husk_tests::Bundle;
use serde_json::json;

#[test]
fn default_filesystems_are_there() {
    let mounts = mounts(same);
    for (point, kind) in [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
    ] {
        assert_eq!(at(&mounts, point).kind, kind, "{point}");
    }
}

#[test]
fn entries_are_mounted_in_their_order() {
    let (first, second) = (folder(&[("name", "first")]), folder(&[("name", "second"), ("in/file", "")]));
    let shown = output("cat /mnt/name; echo; grep -c ' /mnt/in ' /proc/self/mountinfo", |bundle| {
        bundle.mount("/mnt", "bind", text(&first), &["bind"]);
        bundle.mount("/mnt", "bind", text(&second), &["bind"]);
        bundle.mount("/mnt/in", "tmpfs", "tmpfs", &[])
    });
    assert_eq!(shown, "second\n1");
}

#[test]
fn a_spec_without_mounts() {
    let done = run("ls /dev >/dev/null; exit 3", |bundle| {
        bundle
            .set("/mounts", json!([]))
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
    });
    done.expect_code(3);
}

#[test]
fn a_bound_folder_is_the_same_on_both_sides() {
    let dir = folder(&[("in", "from outside")]);
    let shown = output("cat /mnt/in; echo from inside >/mnt/out", |bundle| {
        bundle.mount("/mnt", "bind", text(&dir), &["bind", "rw"])
    });
    assert_eq!(shown, "from outside");
    assert_eq!(std::fs::read_to_string(dir.path().join("out")).unwrap(), "from inside\n");
}

#[test]
fn a_bound_file_over_a_file() {
    let dir = folder(&[("file", "bound")]);
    let source = format!("{}/file", text(&dir));
    assert_eq!(
        output("cat /etc/passwd", |bundle| bundle.mount("/etc/passwd", "bind", &source, &["bind"])),
        "bound"
    );
}

#[test]
fn the_type_of_a_bind_mount_means_nothing() {
    let dir = folder(&[("file", "bound")]);
    for kind in ["none", "bind", "", "tmpfs"] {
        let shown = output("cat /mnt/file", |bundle| bundle.mount("/mnt", kind, text(&dir), &["rbind"]));
        assert_eq!(shown, "bound", "type {kind:?}");
    }
    let shown = output("cat /mnt/file", |bundle| {
        bundle.push("/mounts", json!({"destination": "/mnt", "source": dir.path(), "options": ["bind"]}))
    });
    assert_eq!(shown, "bound");
}

#[test]
fn a_relative_source_of_a_bind_mount_is_relative_to_the_bundle() {
    let shown = output("cat /mnt/file", |bundle| {
        std::fs::create_dir(bundle.path().join("data")).unwrap();
        std::fs::write(bundle.path().join("data/file"), "of the bundle").unwrap();
        bundle.mount("/mnt", "bind", "data", &["bind"])
    });
    assert_eq!(shown, "of the bundle");
}

#[test]
fn a_relative_destination_is_relative_to_the_root() {
    let dir = folder(&[("file", "text")]);
    assert_eq!(output("cat /mnt/file", |bundle| bundle.mount("mnt", "bind", text(&dir), &["bind"])), "text");
}

#[test]
fn destinations_are_made_where_they_are_missing() {
    let dir = folder(&[("file", "text")]);
    let shown = output("cat /a/b/c/file /x/y/z; ls -d /n/e/w", |bundle| {
        bundle.mount("/a/b/c", "bind", text(&dir), &["bind"]);
        bundle.mount("/x/y/z", "bind", &format!("{}/file", text(&dir)), &["bind"]);
        bundle.mount("/n/e/w", "tmpfs", "tmpfs", &[])
    });
    assert_eq!(shown, "texttext/n/e/w");
}

#[test]
fn links_in_a_destination_are_those_of_the_container() {
    let outside = folder(&[]);
    let shown = output(
        "grep -c ' /run/a/b ' /proc/self/mountinfo; grep -c ' /tmp/t ' /proc/self/mountinfo",
        |bundle| {
            std::fs::create_dir(bundle.rootfs().join("run")).unwrap();
            std::os::unix::fs::symlink("/run", bundle.rootfs().join("var/run")).unwrap();
            std::os::unix::fs::symlink("../../../tmp", bundle.rootfs().join("mnt/up")).unwrap();
            bundle.mount("/var/run/a/b", "tmpfs", "tmpfs", &[]);
            bundle.mount("/mnt/up/t", "tmpfs", "tmpfs", &[])
        },
    );
    assert_eq!(shown, "1\n1");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_link_in_a_destination_does_not_lead_out() {
    let outside = folder(&[]);
    let place = format!(" {}/x ", text(&outside));
    let done = run(&format!("grep -c '{place}' /proc/self/mountinfo"), |bundle| {
        std::os::unix::fs::symlink(outside.path(), bundle.rootfs().join("mnt/out")).unwrap();
        bundle.mount("/mnt/out/x", "tmpfs", "tmpfs", &[])
    });
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // The link is followed within the root, or refused.
    assert!(done.text() == "1" || done.code != 0 && !done.stderr.is_empty(), "{done:?}");
}

#[test]
fn bind_takes_one_mount_and_rbind_those_below() {
    let mounts = mounts(|bundle| {
        bundle.mount("/one", "bind", "/dev", &["bind", "ro"]);
        bundle.mount("/all", "bind", "/dev", &["rbind", "ro"])
    });
    let below = |place: &str| mounts.iter().filter(|mount| mount.point.starts_with(place)).count();
    // /dev of every machine has mounts below it: pts and shm.
    assert_eq!(below("/one/"), 0);
    assert!(below("/all/") > 0, "{mounts:#?}");
}

#[test]
fn a_source_that_does_not_exist_is_an_error() {
    refused(|bundle| bundle.mount("/mnt", "bind", "/no/such/folder", &["bind"]));
}

#[test]
fn a_file_over_a_folder_is_an_error() {
    let dir = folder(&[("file", "")]);
    refused(|bundle| bundle.mount("/mnt", "bind", &format!("{}/file", text(&dir)), &["bind"]));
}

#[test]
fn a_folder_over_a_file_is_an_error() {
    let dir = folder(&[]);
    refused(|bundle| bundle.mount("/etc/passwd", "bind", text(&dir), &["bind"]));
}

#[test]
fn a_filesystem_that_the_kernel_does_not_know_is_an_error() {
    refused(|bundle| bundle.mount("/mnt", "no-such-fs", "none", &[]));
}

#[test]
fn tmpfs_takes_its_own_options() {
    let shown = output(
        "stat -c '%a %u %g' /mnt; df -k /mnt | tail -n 1 | awk '{print $2}'; grep ' /mnt ' /proc/mounts",
        |bundle| {
            bundle.mount(
                "/mnt",
                "tmpfs",
                "tmpfs",
                &["nosuid", "size=2048k", "mode=1750", "uid=7", "gid=8", "nr_inodes=99"],
            )
        },
    );
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "1750 7 8");
    assert!(lines.last().unwrap().contains("size=2048k") && shown.contains("nr_inodes=99"), "{shown}");
}

#[test]
fn an_option_that_the_filesystem_refuses_is_an_error() {
    refused(|bundle| bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=wide"]));
    refused(|bundle| bundle.mount("/mnt", "tmpfs", "tmpfs", &["no-such-option"]));
}

#[test]
fn options_that_forbid() {
    let dir = folder(&[("file", "")]);
    let mounts = mounts(|bundle| {
        let options = ["ro", "nosuid", "nodev", "noexec"];
        bundle.mount("/m/new", "tmpfs", "tmpfs", &options);
        bundle.mount("/m/bound", "bind", text(&dir), &["bind", "ro", "nosuid", "nodev", "noexec"]);
        bundle.mount(
            "/m/file",
            "bind",
            &format!("{}/file", text(&dir)),
            &["bind", "ro", "nosuid", "nodev", "noexec"],
        )
    });
    for point in ["/m/new", "/m/bound", "/m/file"] {
        let mount = at(&mounts, point);
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(mount.has(option), "{option}: {mount:?}");
        }
    }
}

#[test]
fn what_the_options_forbid_does_not_work() {
    let script = "touch /m/ro/x 2>/dev/null || echo ro; /m/noexec/true 2>/dev/null || echo noexec; \
                  mknod /m/nodev/null c 1 3; (: >/m/nodev/null) 2>/dev/null || echo nodev";
    let tools = folder(&[]);
    std::fs::copy("/bin/busybox", tools.path().join("true")).unwrap();
    let shown = output(script, |bundle| {
        super::capable(bundle, &["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
        bundle.mount("/m/ro", "tmpfs", "tmpfs", &["ro"]);
        bundle.mount("/m/noexec", "bind", text(&tools), &["bind", "noexec"]);
        bundle.mount("/m/nodev", "tmpfs", "tmpfs", &["nodev"])
    });
    assert_eq!(shown, "ro\nnoexec\nnodev");
}

#[test]
fn options_that_allow_take_back_earlier_ones() {
    let mounts = mounts(|bundle| {
        bundle.mount(
            "/mnt",
            "tmpfs",
            "tmpfs",
            &["ro", "nosuid", "nodev", "noexec", "rw", "suid", "dev", "exec"],
        )
    });
    let mount = at(&mounts, "/mnt");
    assert!(mount.has("rw"), "{mount:?}");
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(!mount.has(option), "{option}: {mount:?}");
    }
}

#[test]
fn options_of_access_times() {
    let dir = folder(&[]);
    let mounts = mounts(|bundle| {
        for (place, option) in
            [("a", "noatime"), ("b", "relatime"), ("c", "strictatime"), ("d", "nodiratime")]
        {
            bundle.mount(&format!("/m/{place}"), "tmpfs", "tmpfs", &[option]);
            bundle.mount(&format!("/n/{place}"), "bind", text(&dir), &["bind", option]);
        }
        bundle
    });
    for top in ["/m", "/n"] {
        assert!(at(&mounts, &format!("{top}/a")).has("noatime"), "{mounts:#?}");
        assert!(at(&mounts, &format!("{top}/b")).has("relatime"), "{mounts:#?}");
        let strict = at(&mounts, &format!("{top}/c"));
        assert!(!strict.has("relatime") && !strict.has("noatime"), "{strict:?}");
        assert!(at(&mounts, &format!("{top}/d")).has("nodiratime"), "{mounts:#?}");
    }
}

#[test]
fn options_of_the_whole_filesystem() {
    let mounts = mounts(|bundle| {
        bundle.mount("/a", "tmpfs", "tmpfs", &["sync"]);
        bundle.mount("/b", "tmpfs", "tmpfs", &["dirsync"]);
        bundle.mount("/c", "tmpfs", "tmpfs", &["lazytime"]);
        bundle.mount("/d", "tmpfs", "tmpfs", &["sync", "async", "lazytime", "nolazytime"])
    });
    for (point, option) in [("/a", "sync"), ("/b", "dirsync"), ("/c", "lazytime")] {
        let mount = at(&mounts, point);
        assert!(mount.data.iter().any(|one| one == option), "{option}: {mount:?}");
    }
    let mount = at(&mounts, "/d");
    assert!(!mount.data.iter().any(|one| one == "sync" || one == "lazytime"), "{mount:?}");
}

#[test]
fn every_option_that_must_be_known_is_taken() {
    let options = [
        "async",
        "atime",
        "defaults",
        "dev",
        "diratime",
        "exec",
        "iversion",
        "loud",
        "noiversion",
        "nolazytime",
        "norelatime",
        "nostrictatime",
        "rw",
        "silent",
        "suid",
    ];
    for option in options {
        let done =
            run("touch /mnt/x && echo done", |bundle| bundle.mount("/mnt", "tmpfs", "tmpfs", &[option]));
        assert_eq!(done.text(), "done", "{option}: {done:?}");
    }
}

#[test]
fn remount_changes_what_is_mounted() {
    let mounts = mounts(|bundle| {
        bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=1m"]);
        bundle.mount("/mnt", "tmpfs", "tmpfs", &["remount", "ro", "noexec"])
    });
    let found: Vec<_> = mounts.iter().filter(|mount| mount.point == "/mnt").collect();
    assert!(found.len() == 1 && found[0].has("ro"), "{found:?}");
}

#[test]
fn nosymfollow_leaves_links_alone() {
    let shown =
        output("ln -s /etc/passwd /mnt/link; cat /mnt/link 2>/dev/null || echo not followed", |bundle| {
            bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosymfollow"])
        });
    assert_eq!(shown, "not followed");
}

#[test]
fn tmpcopyup_fills_the_tmpfs_with_what_was_there() {
    let mut var = None;
    let shown =
        output("cat /var/x/deep; readlink /var/link; stat -c %a:%u /var/x; touch /var/new", |bundle| {
            let place = bundle.rootfs().join("var");
            std::fs::create_dir(place.join("x")).unwrap();
            std::fs::write(place.join("x/deep"), "copied\n").unwrap();
            std::os::unix::fs::symlink("x/deep", place.join("link")).unwrap();
            std::os::unix::fs::chown(place.join("x"), Some(7), Some(7)).unwrap();
            var = Some(place);
            bundle.mount("/var", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"])
        });
    assert_eq!(shown, "copied\nx/deep\n755:7");
    assert!(!var.unwrap().join("new").exists());
}

#[test]
fn a_remount_of_a_bind_mount_changes_its_options() {
    let dir = folder(&[]);
    let mounts = mounts(|bundle| {
        bundle.mount("/m", "bind", text(&dir), &["bind", "nosuid", "nodev", "ro"]);
        bundle.mount("/m", "bind", text(&dir), &["bind", "remount", "nosuid", "nodev", "rw"])
    });
    let mount = at(&mounts, "/m");
    assert!(mount.has("nosuid") && mount.has("nodev") && mount.has("rw"), "{mount:?}");
}

#[test]
fn proc_is_that_of_the_container() {
    assert_eq!(output("cat /proc/1/comm; echo /proc/[0-9]*; :", same), "sh\n/proc/1");
}

#[test]
fn nothing_but_procfs_is_mounted_on_proc() {
    let fake = folder(&[("self/attr/exec", ""), ("sys/kernel/shm_rmid_forced", "fake")]);
    refused(|bundle| {
        bundle.set(
            "/mounts/0",
            json!({"destination": "/proc", "type": "bind", "source": fake.path(), "options": ["rbind"]}),
        )
    });
}

#[test]
fn a_mount_on_a_file_of_proc_is_an_error() {
    let dir = folder(&[("file", "")]);
    refused(|bundle| {
        bundle.mount("/proc/self/attr/exec", "bind", &format!("{}/file", text(&dir)), &["bind"])
    });
}

#[test]
fn an_overlay_of_folders() {
    let (top, bottom) = (folder(&[("file", "top")]), folder(&[("file", "bottom"), ("other", "other")]));
    let shown = output("cat /mnt/file /mnt/other", |bundle| {
        bundle.mount(
            "/mnt",
            "overlay",
            "overlay",
            &["ro", &format!("lowerdir={}:{}", text(&top), text(&bottom))],
        )
    });
    assert_eq!(shown, "topother");
}

/// Mounts one below another, of which the later ones take what the earlier ones have brought; destinations are given as paths
/// of the host, too.
fn in_order(options: &[&str], change: impl FnOnce(&mut Bundle) -> &mut Bundle) {
    let dir = folder(&[("a/x/file", "a"), ("b/y/file", "b"), ("c/z/file", "c")]);
    std::os::unix::fs::symlink("a", dir.path().join("sym")).unwrap();
    let mut bundle = Bundle::new(&["cat", "/final/x/y/z/z/x/y/z/x/file"]);
    change(&mut bundle);
    let root = bundle.rootfs();
    std::fs::create_dir(root.join("final")).unwrap();
    let source = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let inside = |name: &str| root.join(name).to_str().unwrap().to_owned();
    for (from, to) in [("a", "/mnt"), ("b", "/mnt/x"), ("c", "/mnt/x/y"), ("sym", "/mnt/x/y/z")] {
        bundle.mount(to, "bind", &source(from), &["rbind", "rprivate"]);
    }
    let options = [&["rbind", "rprivate"], options].concat();
    for (from, to) in [("mnt/x", "mnt/x/y/z/x"), ("mnt/x/y", "mnt/x/y/z"), ("mnt", "final")] {
        bundle.mount(&inside(to), "bind", &inside(from), &options);
        if options.contains(&"idmap") {
            let last = bundle.spec["mounts"].as_array().unwrap().len() - 1;
            for kind in ["uid", "gid"] {
                let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
                bundle.set(&format!("/mounts/{last}/{kind}Mappings"), map);
            }
        }
    }
    assert_eq!(husk_tests::Runtime::new().run(&bundle).ok().text(), "a");
}

#[test]
fn a_source_may_be_what_earlier_mounts_have_brought() {
    in_order(&[], same);
}

#[test]
fn a_source_of_earlier_mounts_in_a_user_namespace() {
    in_order(&[], super::mapped);
}

#[test]
fn a_source_of_earlier_mounts_that_is_id_mapped() {
    in_order(&["idmap"], same);
}

#[test]
fn a_source_of_earlier_mounts_that_is_id_mapped_in_a_user_namespace() {
    in_order(&["idmap"], super::mapped);
}
