//! `mounts[].uidMappings` and `gidMappings`, and the options `idmap` and `ridmap`.

use super::{folder, mapped, output, refused, text};
use husk_tests::Bundle;
use serde_json::json;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// A mount whose ids 0 to 9 are 5000 to 5009 in the container, groups 6000 to 6009.
fn mount<'a>(bundle: &'a mut Bundle, source: &Path, options: &[&str]) -> &'a mut Bundle {
    bundle.push(
        "/mounts",
        json!({"destination": "/mnt", "type": "bind", "source": source, "options": options,
            "uidMappings": [{"containerID": 0, "hostID": 5000, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 6000, "size": 10}]}),
    )
}

fn shared() -> tempfile::TempDir {
    let dir = folder(&[("file", "")]);
    chown(dir.path().join("file"), Some(3), Some(4)).unwrap();
    dir
}

#[test]
fn owners_are_shown_as_mapped() {
    let dir = shared();
    let shown = output("stat -c '%u %g' /mnt/file", |bundle| mount(bundle, dir.path(), &["bind", "idmap"]));
    assert_eq!(shown, "5003 6004");
}

#[test]
fn mappings_without_the_option_count_too() {
    let dir = shared();
    let shown = output("stat -c '%u %g' /mnt/file", |bundle| mount(bundle, dir.path(), &["bind"]));
    assert_eq!(shown, "5003 6004");
}

#[test]
fn new_files_are_mapped_back() {
    let dir = shared();
    chown(dir.path(), Some(7), Some(8)).unwrap();
    let shown = output("touch /mnt/new && stat -c '%u %g' /mnt/new", |bundle| {
        mount(bundle, dir.path(), &["bind", "idmap"]).set("/process/user", json!({"uid": 5007, "gid": 6008}))
    });
    assert_eq!(shown, "5007 6008");
    let new = std::fs::metadata(dir.path().join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (7, 8));
}

#[test]
fn ids_outside_of_the_mapping_are_nobodys() {
    let dir = shared();
    chown(dir.path().join("file"), Some(77), Some(88)).unwrap();
    let shown = output("stat -c '%u %g' /mnt/file", |bundle| mount(bundle, dir.path(), &["bind", "idmap"]));
    assert_eq!(shown, "65534 65534");
}

#[test]
fn the_source_itself_is_not_changed() {
    let dir = shared();
    output("true", |bundle| mount(bundle, dir.path(), &["bind", "idmap"]));
    let file = std::fs::metadata(dir.path().join("file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (3, 4));
}

#[test]
fn other_options_hold_too() {
    let dir = shared();
    let mounts = super::mounts(|bundle| mount(bundle, dir.path(), &["bind", "idmap", "ro", "nosuid"]));
    let found = super::at(&mounts, "/mnt");
    assert!(found.has("ro") && found.has("nosuid") && found.has("idmapped"), "{found:?}");
}

#[test]
fn a_file_can_be_mapped() {
    let dir = shared();
    let file = dir.path().join("file");
    let shown = output("stat -c '%u %g' /mnt/one", |bundle| {
        std::fs::write(bundle.rootfs().join("mnt/one"), "").unwrap();
        mount(bundle, &file, &["bind", "idmap"]).set("/mounts/7/destination", "/mnt/one")
    });
    assert_eq!(shown, "5003 6004");
}

#[test]
fn the_containers_own_mapping_where_the_mount_has_none() {
    let dir = shared();
    for option in ["idmap", "ridmap"] {
        let shown = output("stat -c '%u %g' /mnt/file", |bundle| {
            mapped(bundle).mount("/mnt", "bind", text(&dir), &["rbind", option])
        });
        assert_eq!(shown, "3 4", "{option}");
    }
}

#[test]
fn an_own_mapping_in_a_user_namespace() {
    // The mapping's host ids are those of the initial namespace: 100005 is 5 in the container.
    let dir = shared();
    let shown = output("stat -c '%u %g' /mnt/file", |bundle| {
        mapped(bundle).push(
            "/mounts",
            json!({"destination": "/mnt", "type": "bind", "source": dir.path(), "options": ["bind", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 100_010, "size": 10}],
                "gidMappings": [{"containerID": 0, "hostID": 100_020, "size": 10}]}),
        )
    });
    assert_eq!(shown, "13 24");
}

#[test]
fn the_option_without_any_mapping_is_an_error() {
    let dir = shared();
    refused(|bundle| bundle.mount("/mnt", "bind", text(&dir), &["bind", "idmap"]));
    refused(|bundle| bundle.mount("/mnt", "bind", text(&dir), &["rbind", "ridmap"]));
}

#[test]
fn one_mapping_without_the_other_is_an_error() {
    let dir = shared();
    for kind in ["uidMappings", "gidMappings"] {
        refused(|bundle| {
            bundle.push(
                "/mounts",
                json!({"destination": "/mnt", "type": "bind", "source": dir.path(), "options": ["bind", "idmap"],
                    kind: [{"containerID": 0, "hostID": 5000, "size": 10}]}),
            )
        });
    }
}

#[test]
fn a_filesystem_that_cannot_be_mapped_is_an_error() {
    refused(|bundle| {
        bundle.push(
            "/mounts",
            json!({"destination": "/mnt", "type": "bind", "source": "/proc/sys", "options": ["bind", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 5000, "size": 10}],
                "gidMappings": [{"containerID": 0, "hostID": 5000, "size": 10}]}),
        )
    });
}
