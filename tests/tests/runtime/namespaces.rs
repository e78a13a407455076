//! Namespaces: new, joined, the host's.

use husk_tests::{Bundle, NetNs, Runtime, skip};
use serde_json::json;
use std::path::PathBuf;

fn host(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}

#[test]
fn new_ones_differ_from_the_hosts() {
    let runtime = Runtime::new();
    let bundle =
        Bundle::script("for n in mnt uts ipc net pid cgroup user; do readlink /proc/self/ns/$n; done");
    let done = runtime.run(&bundle).ok();
    let mut lines = done.text().lines();
    for kind in ["mnt", "uts", "ipc", "net", "pid", "cgroup"] {
        assert_ne!(lines.next().unwrap(), host(kind), "{kind}");
    }
    assert_eq!(lines.next().unwrap(), host("user"));
}

#[test]
fn those_that_are_left_out_are_the_hosts() {
    let runtime = Runtime::new();
    for (kind, file) in
        [("uts", "uts"), ("ipc", "ipc"), ("network", "net"), ("pid", "pid"), ("cgroup", "cgroup")]
    {
        let mut bundle = Bundle::new(&["readlink", &format!("/proc/self/ns/{file}")]);
        bundle.without_namespace(kind);
        if kind == "uts" {
            bundle.spec.as_object_mut().unwrap().remove("hostname");
        }
        assert_eq!(runtime.run(&bundle).ok().text(), host(file), "{kind}");
    }
}

#[test]
fn a_network_namespace_is_joined_and_a_new_one_has_loopback_up() {
    let runtime = Runtime::new();
    let netns = NetNs::new();
    let path = netns.path();
    let mut bundle = Bundle::new(&["readlink", "/proc/self/ns/net"]);
    bundle.join_namespace("network", &path);
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
    assert_eq!(runtime.run(&bundle).ok().text(), format!("net:[{inode}]"));
    let done = runtime.run(&Bundle::new(&["ip", "addr", "show", "lo"])).ok();
    assert!(done.text().contains("127.0.0.1/8") && done.text().contains("UP"), "{}", done.text());
}

#[test]
fn namespaces_of_another_container_are_joined() {
    let runtime = Runtime::new();
    let first = Bundle::new(&["sleep", "1000"]);
    let first = runtime.start(&first);
    let pid = first.pid();
    let script = "for n in pid net ipc uts; do readlink /proc/self/ns/$n; done; hostname; exit 4";
    let mut bundle = Bundle::script(script);
    bundle.spec.as_object_mut().unwrap().remove("hostname");
    for (kind, file) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        bundle.join_namespace(kind, &PathBuf::from(format!("/proc/{pid}/ns/{file}")));
    }
    let done = runtime.run(&bundle).expect_code(4);
    for (line, file) in done.text().lines().zip(["pid", "net", "ipc", "uts"]) {
        let expected = std::fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(line, expected.to_str().unwrap(), "{file}");
    }
    assert_eq!(done.text().lines().last(), Some("husk"));
}

#[test]
fn a_namespace_of_the_wrong_type_or_none_is_refused() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.join_namespace("network", "/proc/self/ns/uts".as_ref());
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("network namespace /proc/self/ns/uts"), "{}", done.stderr);
    let mut bundle = Bundle::new(&["true"]);
    bundle.join_namespace("ipc", "/no/such".as_ref());
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("ipc namespace /no/such: No such file"), "{}", done.stderr);
}

#[test]
fn time_offsets() {
    let runtime = Runtime::husk();
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        return skip("the kernel has no time namespaces");
    }
    let mut bundle = Bundle::script("cat /proc/uptime; cat /proc/self/timens_offsets");
    bundle.push("/linux/namespaces", json!({"type": "time"}));
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 100_000_000}, "monotonic": {"secs": -1}}));
    let done = runtime.run(&bundle).ok();
    let uptime: f64 = done.text().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 1e8, "{uptime}");
    assert!(done.text().contains("monotonic          -1"), "{}", done.text());
}

#[test]
fn host_and_domain_name() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("hostname; cat /proc/sys/kernel/domainname");
    bundle.set("/hostname", "web-1");
    if runtime.name == "husk" {
        bundle.set("/domainname", "example");
        assert_eq!(runtime.run(&bundle).ok().text(), "web-1\nexample");
    } else {
        assert!(runtime.run(&bundle).ok().text().starts_with("web-1"));
    }
}
