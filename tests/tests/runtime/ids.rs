//! User namespaces, users and groups, id-mapped mounts.

use husk_tests::{Bundle, NetNs, Runtime};
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;

/// A container in a user namespace of its own, whose root is 100000 on the host.
fn mapped(bundle: &mut Bundle) -> &mut Bundle {
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for kind in ["uid", "gid"] {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        bundle.set(&format!("/linux/{kind}Mappings"), map);
    }
    bundle
}

#[test]
fn root_of_a_user_namespace_is_nobody_on_the_host() {
    let runtime = Runtime::new();
    let shared = husk_tests::temp_dir();
    std::os::unix::fs::chown(shared.path(), Some(100_000), Some(100_000)).unwrap();
    let mut bundle = Bundle::script("id -u; cat /proc/self/uid_map; touch /mnt/file; echo x > /dev/null");
    mapped(&mut bundle).mount("/mnt", "bind", shared.path().to_str().unwrap(), &["bind"]);
    let done = runtime.run(&bundle).ok();
    let words: Vec<_> = done.text().split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536"]);
    assert_eq!(std::fs::metadata(shared.path().join("file")).unwrap().uid(), 100_000);
}

#[test]
fn a_user_of_a_user_namespace() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["id"]);
    mapped(&mut bundle).set("/process/user", json!({"uid": 1000, "gid": 50, "additionalGids": [5, 7]}));
    let done = runtime.run(&bundle).ok();
    assert!(done.text().starts_with("uid=1000"), "{}", done.text());
    assert!(done.text().contains("gid=50") && done.text().contains("groups=5,7"), "{}", done.text());
}

#[test]
fn a_source_that_the_mapped_root_cannot_reach_is_mounted_all_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    let runtime = Runtime::husk();
    let secret = tempfile::tempdir().unwrap();
    std::fs::create_dir(secret.path().join("in")).unwrap();
    std::fs::write(secret.path().join("in/file"), "text").unwrap();
    std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut bundle = Bundle::new(&["cat", "/mnt/file"]);
    mapped(&mut bundle).mount("/mnt", "bind", secret.path().join("in").to_str().unwrap(), &["rbind", "ro"]);
    assert_eq!(runtime.run(&bundle).ok().text(), "text");
}

#[test]
fn a_user_namespace_with_a_network_of_the_hosts() {
    let runtime = Runtime::husk();
    let netns = NetNs::new();
    let mut bundle = Bundle::script("id -u; ls /sys/class/net");
    mapped(&mut bundle);
    bundle.join_namespace("network", &netns.path());
    assert!(runtime.run(&bundle).ok().text().starts_with('0'));
}

#[test]
fn mounts_with_id_mappings() {
    let runtime = Runtime::husk();
    let shared = husk_tests::temp_dir();
    std::fs::write(shared.path().join("file"), "").unwrap();
    std::os::unix::fs::chown(shared.path().join("file"), Some(3), Some(4)).unwrap();
    let mut bundle = Bundle::new(&["stat", "-c", "%u %g", "/mnt/file"]);
    bundle.push(
        "/mounts",
        json!({"destination": "/mnt", "source": shared.path(), "options": ["bind"],
            "uidMappings": [{"containerID": 0, "hostID": 5000, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 6000, "size": 10}]}),
    );
    assert_eq!(runtime.run(&bundle).ok().text(), "5003 6004");
    let mut bundle = Bundle::new(&["stat", "-c", "%u %g", "/mnt/file"]);
    mapped(&mut bundle).mount("/mnt", "bind", shared.path().to_str().unwrap(), &["rbind", "ridmap"]);
    assert_eq!(runtime.run(&bundle).ok().text(), "3 4");
}

#[test]
fn capabilities_are_those_of_the_five_sets() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["grep", "Cap", "/proc/self/status"]);
    let caps = json!(["CAP_CHOWN", "CAP_KILL"]);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": caps, "permitted": caps, "effective": ["CAP_KILL"], "inheritable": caps,
            "ambient": ["CAP_KILL"]}),
    );
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let done = runtime.run(&bundle).ok();
    let set = |name: &str| {
        let line = done.text().lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(set("CapBnd"), 0x21);
    assert_eq!(set("CapAmb"), 0x20);
    assert_eq!(set("CapEff"), 0x20);
    if runtime.name == "husk" {
        // No more than ambient needs.
        assert_eq!(set("CapInh"), 0x20);
    }
}
