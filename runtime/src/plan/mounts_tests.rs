use super::{Mount, Source, normalize, plan};
use crate::plan::{Result, namespaces};
use rustix::mount::{MountAttrFlags as A, MountPropagationFlags as P};
use std::path::Path;

fn one(json: &str) -> Result<Mount> {
    let mount = serde_json::from_str(json).unwrap();
    plan(&[mount], &namespaces::Plan::default()).map(|mut mounts| mounts.remove(0))
}

fn options(options: &[&str]) -> Mount {
    let json = serde_json::json!({"destination": "/d", "source": "/s", "options": options});
    one(&json.to_string()).unwrap()
}

#[test]
fn the_last_of_two_opposite_options_decides() {
    let mount = options(&["bind", "ro", "rw"]);
    assert_eq!(mount.attributes.set, A::empty());
    assert_eq!(mount.attributes.clear, A::MOUNT_ATTR_RDONLY);
    let mount = options(&["rbind", "rw", "ro", "nosuid"]);
    assert_eq!(mount.attributes.set, A::MOUNT_ATTR_RDONLY | A::MOUNT_ATTR_NOSUID);
    assert!(matches!(mount.source, Source::Bind { recursive: true, .. }));
}

#[test]
fn access_time_is_one_value_of_three() {
    let mount = options(&["bind", "noatime", "strictatime"]);
    assert_eq!(mount.attributes.set, A::MOUNT_ATTR_STRICTATIME);
    assert_eq!(mount.attributes.clear, A::MOUNT_ATTR__ATIME);
}

#[test]
fn recursive_attributes_are_not_propagation_nor_relatime() {
    let mount = options(&["rbind", "rro", "rnosuid", "rprivate", "relatime"]);
    assert_eq!(mount.recursive.set, A::MOUNT_ATTR_RDONLY | A::MOUNT_ATTR_NOSUID);
    assert_eq!(mount.propagation, [(P::PRIVATE, true)]);
    assert_eq!(mount.attributes.set, A::MOUNT_ATTR_RELATIME);
    assert_eq!(options(&["rbind", "rrelatime"]).recursive.clear, A::MOUNT_ATTR__ATIME);
}

#[test]
fn options_of_a_file_system_go_to_it() {
    let mount = one(r#"{"destination":"/t","type":"tmpfs","source":"tmpfs",
        "options":["nodev","mode=755","size=1m","noswap","tmpcopyup"]}"#)
    .unwrap();
    let Source::Filesystem { kind, options, .. } = &mount.source else { unreachable!() };
    assert_eq!(kind, "tmpfs");
    let expected = [
        (1, "mode".to_owned(), Some("755".to_owned())),
        (2, "size".to_owned(), Some("1m".to_owned())),
        (3, "noswap".to_owned(), None),
    ];
    assert_eq!(options[..], expected);
    assert!(mount.copy_up);
}

#[test]
fn wrong_mounts_name_their_place() {
    for (json, path) in [
        (r#"{"destination":"","type":"tmpfs"}"#, "mounts[0].destination"),
        (r#"{"destination":"/../.","type":"tmpfs"}"#, "mounts[0].destination"),
        (r#"{"destination":"/x"}"#, "mounts[0].type"),
        (r#"{"destination":"/x","type":"bind"}"#, "mounts[0].source"),
        (r#"{"destination":"/x","source":"/y","options":["bind","rooo"]}"#, "mounts[0].options[1]"),
        (r#"{"destination":"/x","type":"proc","options":["tmpcopyup"]}"#, "mounts[0].options"),
        (r#"{"destination":"/x","source":"/y","options":["bind","idmap"]}"#, "mounts[0].options"),
        (
            r#"{"destination":"/x","source":"/y","options":["bind"],
                "uidMappings":[{"containerID":0,"hostID":1,"size":1}]}"#,
            "mounts[0].gidMappings",
        ),
    ] {
        assert_eq!(one(json).unwrap_err().path, path, "{json}");
    }
}

#[test]
fn destinations_stay_inside() {
    assert_eq!(normalize(Path::new("/a/../../b/./c")), Path::new("/b/c"));
    assert_eq!(normalize(Path::new("data")), Path::new("/data"));
}
