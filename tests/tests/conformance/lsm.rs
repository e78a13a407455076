//! Security modules: labels are an error where the kernel has no such module, and none are set unasked.

use super::{output, refused};
use serde_json::json;

fn active(name: &str) -> bool {
    std::fs::read_to_string("/sys/kernel/security/lsm")
        .unwrap_or_default()
        .split(',')
        .any(|one| one.trim() == name)
        || (name == "apparmor"
            && std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|on| on.starts_with('Y')))
        || (name == "selinux" && std::path::Path::new("/sys/fs/selinux/enforce").exists())
}

#[test]
fn an_apparmor_profile_that_is_not_loaded_is_an_error() {
    refused(|bundle| bundle.set("/process/apparmorProfile", "husk-no-such-profile"));
}

#[test]
fn an_selinux_label_without_selinux_is_an_error() {
    if active("selinux") {
        return;
    }
    refused(|bundle| bundle.set("/process/selinuxLabel", "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"));
}

#[test]
fn empty_labels_are_none() {
    let shown = output("echo ran", |bundle| {
        bundle
            .set("/process/apparmorProfile", "")
            .set("/process/selinuxLabel", "")
            .set("/linux/mountLabel", "")
    });
    assert_eq!(shown, "ran");
}

#[test]
fn intel_rdt_without_the_hardware_is_an_error() {
    if std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        return;
    }
    refused(|bundle| bundle.set("/linux/intelRdt", json!({"closID": "husk", "l3CacheSchema": "L3:0=f"})));
}
