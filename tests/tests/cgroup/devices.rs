//! Device rules, enforced by the kernel. `/dev/kmsg` (1:11) is the example: every host has it, no container does.

use crate::{inside, make};
use husk_tests::temp_dir;
use oci_spec::runtime::LinuxDeviceCgroup;
use serde_json::json;
use std::os::fd::AsFd;

fn rules(json: serde_json::Value) -> Vec<LinuxDeviceCgroup> {
    serde_json::from_value(json).unwrap()
}

const READ: &str = "exec 3</dev/kmsg";
const WRITE: &str = "exec 3>>/dev/kmsg";

#[test]
fn what_no_rule_allows_is_denied() {
    let (_own, group) = make("deny");
    inside(&group, READ).ok();
    group.apply_devices(&rules(json!([{"allow": false, "access": "rwm"}]))).unwrap();
    let done = inside(&group, READ);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("not permitted"), "{}", done.stderr);
    inside(&group, "exec 3<>/dev/null && exec 4</dev/zero && exec 5</dev/urandom").ok();
}

#[test]
fn access_is_allowed_letter_by_letter() {
    let (_own, group) = make("letters");
    let read = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    group.apply_devices(&rules(json!([read]))).unwrap();
    inside(&group, READ).ok();
    assert_ne!(inside(&group, WRITE).code, 0);
    // A later rule wins.
    let none = json!({"allow": false, "type": "c", "major": 1, "access": "r"});
    group.apply_devices(&rules(json!([read, none]))).unwrap();
    assert_ne!(inside(&group, READ).code, 0);
    group.apply_devices(&rules(json!([none, read]))).unwrap();
    inside(&group, READ).ok();
    group.apply_devices(&rules(json!([{"allow": true, "access": "rwm"}]))).unwrap();
    inside(&group, &format!("{READ} && {WRITE}")).ok();
}

#[test]
fn any_node_can_be_made_but_not_opened() {
    let (_own, group) = make("mknod");
    group.apply_devices(&[]).unwrap();
    let dir = temp_dir();
    let node = dir.path().join("kmsg");
    inside(&group, &format!("mknod '{}' c 1 11", node.display())).ok();
    let done = inside(&group, &format!("exec 3<'{}'", node.display()));
    assert_ne!(done.code, 0);
}

#[test]
fn a_change_replaces_the_program() {
    let (_own, group) = make("replace");
    for _ in 0..3 {
        group.apply_devices(&[]).unwrap();
        let attached = husk_sys::bpf::device_programs(group.dir().unwrap().as_fd()).unwrap();
        assert_eq!(attached.len(), 1);
    }
}
