//! `linux.sysctl`: kernel parameters of the container's own namespaces.

use super::{output, refused};
use serde_json::json;

fn set_to(key: &str, value: &str) {
    let file = format!("/proc/sys/{}", key.replace('.', "/"));
    let shown = output(&format!("cat {file}"), |bundle| bundle.set("/linux/sysctl", json!({key: value})));
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), value, "{key}");
}

#[test]
fn of_the_network() {
    set_to("net.ipv4.ip_forward", "1");
    set_to("net.ipv4.ping_group_range", "0 1000");
    set_to("net.ipv4.conf.lo.forwarding", "1");
}

#[test]
fn of_ipc() {
    set_to("kernel.shmmax", "12345678");
    set_to("kernel.msgmax", "4096");
    set_to("kernel.sem", "100 200 300 400");
    set_to("kernel.shm_rmid_forced", "1");
}

#[test]
fn of_message_queues() {
    set_to("fs.mqueue.msg_max", "20");
}

#[test]
fn several_at_once() {
    let shown = output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni", |bundle| {
        bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "99"}))
    });
    assert_eq!(shown, "1\n99");
}

#[test]
fn they_are_set_below_read_only_proc_sys() {
    // The default spec has /proc/sys among its read-only paths.
    let shown = output(
        "(echo 0 >/proc/sys/net/ipv4/ip_forward) 2>/dev/null; cat /proc/sys/net/ipv4/ip_forward",
        |bundle| bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
    );
    assert_eq!(shown, "1");
}

#[test]
fn those_of_the_whole_machine_are_errors() {
    let file = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap();
    let before = (file("vm/swappiness"), file("kernel/core_pattern"));
    refused(|bundle| bundle.set("/linux/sysctl", json!({"vm.swappiness": "1"})));
    refused(|bundle| bundle.set("/linux/sysctl", json!({"kernel.core_pattern": "x"})));
    assert_eq!((file("vm/swappiness"), file("kernel/core_pattern")), before);
}

#[test]
fn those_of_a_namespace_that_is_the_hosts_are_errors() {
    refused(|bundle| {
        bundle.without_namespace("network").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
    });
    refused(|bundle| {
        bundle.without_namespace("ipc").set("/linux/sysctl", json!({"kernel.shmmax": "12345678"}))
    });
}

#[test]
fn one_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/linux/sysctl", json!({"net.no.such": "1"})));
}

#[test]
fn a_value_that_the_kernel_refuses_is_an_error() {
    refused(|bundle| bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "maybe"})));
}
