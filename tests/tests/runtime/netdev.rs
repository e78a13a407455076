//! `linux.netDevices`, with veth pairs in network namespaces of the test's own: husk itself runs in one, so that no device of
//! the machine is ever in reach. runc has this from 1.4 on only.

use husk_tests::{Bundle, Container, Done, NetNs, Runtime, run, unique};
use serde_json::{Value, json};
use std::process::Command;

/// husk in a network namespace with the veth pair `out0`, `peer0`.
struct World {
    runtime: Runtime,
    netns: NetNs,
}

impl World {
    fn new() -> Self {
        let world = Self { runtime: Runtime::husk(), netns: NetNs::new() };
        world.ip("link add out0 mtu 1400 address 02:00:00:00:00:77 type veth peer name peer0");
        world
    }

    fn ip(&self, line: &str) -> String {
        ip(&self.netns, line).ok().stdout
    }

    /// husk from within the namespace.
    fn husk(&self, verb: &str, bundle: &Bundle) -> (Container<'_>, Done) {
        bundle.write();
        let container = Container::named(&self.runtime, &unique("netdev"));
        let husk = self.runtime.command();
        let mut command = self.netns.command(husk.get_program().to_str().unwrap());
        command.args(husk.get_args()).arg(verb).arg("--bundle").arg(bundle.path()).arg(&container.id);
        let done = run(&mut command);
        (container, done)
    }

    #[track_caller]
    fn run(&self, bundle: &Bundle) -> Done {
        self.husk("run", bundle).1
    }
}

fn ip(netns: &NetNs, line: &str) -> Done {
    let mut command: Command = netns.command("ip");
    run(command.args(line.split(' ')))
}

fn bundle(script: &str, devices: Value) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.set("/linux/netDevices", devices);
    bundle
}

#[test]
fn a_device_comes_with_its_addresses_and_attributes() {
    let world = World::new();
    for address in ["192.0.2.7/24", "198.51.100.1 peer 198.51.100.2/32", "2001:db8::7/64 nodad"] {
        world.ip(&format!("addr add {address} dev out0"));
    }
    world.ip("addr add 169.254.9.9/16 dev out0 scope link");
    world.ip("addr add 192.0.2.8/24 dev out0 valid_lft 900 preferred_lft 900");
    for device in ["out0", "peer0"] {
        world.ip(&format!("link set {device} up"));
    }
    let script = "ip addr show dev eth0; cat /proc/sys/net/ipv4/conf/eth0/arp_ignore; ip link show out0 || echo renamed";
    let mut bundle = bundle(script, json!({"out0": {"name": "eth0"}}));
    bundle.set("/linux/sysctl", json!({"net.ipv4.conf.eth0.arp_ignore": "3"}));
    let done = world.run(&bundle).ok();
    for words in [
        "eth0@",
        "mtu 1400",
        "02:00:00:00:00:77",
        ",UP",
        "inet 192.0.2.7/24 ",
        "inet 198.51.100.1 peer 198.51.100.2/32 ",
        "inet6 2001:db8::7/64 ",
        "\n3\n",
        "renamed",
    ] {
        assert!(done.stdout.contains(words), "{words}: {done:?}");
    }
    // The one is for its link alone, the other one's time runs out.
    for words in ["169.254.9.9", "192.0.2.8"] {
        assert!(!done.stdout.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn hooks_find_it_and_it_belongs_to_the_namespace() {
    let world = World::new();
    let joined = NetNs::new();
    let mut bundle = bundle("exit 0", json!({"out0": {}}));
    bundle.join_namespace("network", &joined.path());
    let seen = bundle.path().join("seen");
    let script = format!("nsenter --net={} ip link show out0 > {}", joined.path().display(), seen.display());
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}));
    world.run(&bundle).ok();
    assert!(std::fs::read_to_string(seen).unwrap().contains("out0"));
    // The namespace is older than the container, and outlives it with all that is in it.
    assert!(ip(&joined, "link show out0").ok().stdout.contains("UP"));
    assert_ne!(ip(&world.netns, "link show out0").code, 0);
}

#[test]
fn into_a_user_namespace() {
    let world = World::new();
    world.ip("addr add 192.0.2.7/24 dev out0");
    let mut bundle = bundle("ip addr show dev out0", json!({"out0": {}}));
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        bundle.set(&format!("/linux/{map}"), json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]));
    }
    std::os::unix::fs::chown(bundle.rootfs(), Some(200_000), Some(200_000)).unwrap();
    let done = world.run(&bundle).ok();
    assert!(done.stdout.contains("inet 192.0.2.7/24 "), "{done:?}");
}

#[test]
fn the_first_free_number() {
    let world = World::new();
    let joined = NetNs::new();
    ip(&joined, "link add eth0 type veth peer name eth2").ok();
    let mut bundle =
        bundle("ls /sys/class/net", json!({"out0": {"name": "eth%d"}, "peer0": {"name": "eth%d"}}));
    bundle.join_namespace("network", &joined.path());
    let done = world.run(&bundle).ok();
    let names: Vec<_> = done.text().split_whitespace().collect();
    assert_eq!(names, ["eth0", "eth1", "eth2", "eth3", "lo"], "{done:?}");
}

#[test]
fn what_was_moved_comes_back_where_a_later_device_cannot_be() {
    let world = World::new();
    for address in ["192.0.2.7/24", "2001:db8::7/64 nodad"] {
        world.ip(&format!("addr add {address} dev out0"));
    }
    world.ip("link set out0 up");
    let (_, done) =
        world.husk("create", &bundle("true", json!({"out0": {"name": "a"}, "there": {"name": "b"}})));
    let done = done.expect_code(1);
    for words in ["linux.netDevices.there", "No such device"] {
        assert!(done.stderr.contains(words), "{done:?}");
    }
    let shown = world.ip("addr show dev out0");
    for words in ["192.0.2.7/24", "2001:db8::7/64", ",UP"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn what_cannot_be_moved_is_named_and_stays() {
    let world = World::new();
    let joined = NetNs::new();
    ip(&joined, "link add eth0 type veth peer name eth1").ok();
    world.ip("addr add 2001:db8::7/64 dev out0 nodad");
    world.ip("link set out0 up");
    let refused = |devices: Value, path: Option<&std::path::Path>, words: &[&str]| {
        let mut bundle = bundle("true", devices);
        match path {
            Some(path) => bundle.join_namespace("network", path),
            None => bundle.without_namespace("network"),
        };
        let done = world.run(&bundle).expect_code(1);
        for words in words {
            assert!(done.stderr.contains(words), "{words}: {done:?}");
        }
    };
    let taken = json!({"out0": {"name": "eth0"}});
    refused(taken, Some(&joined.path()), &["linux.netDevices.out0", "\"eth0\"", "File exists"]);
    refused(
        json!({"lo": {"name": "lo9"}}),
        Some(&joined.path()),
        &["linux.netDevices.lo", "Invalid argument"],
    );
    refused(json!({"out0": {}}), None, &["linux.netDevices", "needs a network namespace"]);
    refused(
        json!({"out0": {}}),
        Some(&world.netns.path()),
        &["linux.netDevices", "the one that husk runs in"],
    );
    let shown = world.ip("addr show dev out0");
    assert!(shown.contains(",UP") && shown.contains("2001:db8::7/64"), "{shown}");
}
