//! `hostname` and `domainname`.

use super::{output, refused};
use serde_json::Value;

#[test]
fn hostname() {
    assert_eq!(
        output("hostname; cat /proc/sys/kernel/hostname", |bundle| bundle.set("/hostname", "web-1")),
        "web-1\nweb-1"
    );
}

#[test]
fn domainname() {
    let shown = output("cat /proc/sys/kernel/domainname", |bundle| bundle.set("/domainname", "example.org"));
    assert_eq!(shown, "example.org");
}

#[test]
fn the_longest_hostname_of_the_kernel() {
    let name = "x".repeat(64);
    assert_eq!(output("hostname", |bundle| bundle.set("/hostname", name.as_str())), name);
}

#[test]
fn a_longer_hostname_is_an_error() {
    refused(|bundle| bundle.set("/hostname", "x".repeat(65)));
}

#[test]
fn a_hostname_for_the_hosts_own_namespace_is_an_error() {
    // It would rename the machine, or not be applied: either is wrong.
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    refused(|bundle| bundle.without_namespace("uts").set("/hostname", before.trim()));
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn a_spec_without_hostname_keeps_the_callers() {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(output("hostname", |bundle| bundle.set("/hostname", Value::Null)), own.trim());
}
