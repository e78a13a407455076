//! `linux.netDevices`, with a veth pair in a network namespace of the test's own, in which the runtime itself runs: no device
//! of the machine is ever in reach.

use husk_tests::{Bundle, Container, Done, NetNs, Runtime, run, unique};
use serde_json::{Value, json};

/// A network namespace with `out0` and `peer0`.
fn host() -> NetNs {
    let host = NetNs::new();
    ip(&host, "link add out0 mtu 1400 address 02:00:00:00:00:77 type veth peer name peer0").ok();
    host
}

fn ip(netns: &NetNs, line: &str) -> Done {
    run(netns.command("ip").args(line.split(' ')))
}

/// Runs a script with these devices.
fn with(host: &NetNs, devices: Value, script: &str, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> Done {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script(script);
    change(bundle.set("/linux/netDevices", devices)).write();
    let container = Container::named(&runtime, &unique("netdev"));
    let call = runtime.command();
    let mut command = host.command(call.get_program().to_str().unwrap());
    for (key, value) in call.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.args(call.get_args()).args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id);
    run(&mut command)
}

#[test]
fn a_device_moves_with_its_name_and_is_up() {
    let host = host();
    let done = with(&host, json!({"out0": {}}), "ip link show out0", super::same).ok();
    for words in ["out0", "mtu 1400", "02:00:00:00:00:77", ",UP"] {
        assert!(done.stdout.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn by_another_name() {
    let host = host();
    let done = with(&host, json!({"out0": {"name": "eth7"}}), "ls /sys/class/net", super::same).ok();
    assert_eq!(done.text().split_whitespace().collect::<Vec<_>>(), ["eth7", "lo"], "{done:?}");
}

#[test]
fn permanent_addresses_of_global_scope_come_along() {
    let host = host();
    for address in ["192.0.2.7/24", "2001:db8::7/64 nodad"] {
        ip(&host, &format!("addr add {address} dev out0")).ok();
    }
    ip(&host, "link set out0 up").ok();
    let done = with(&host, json!({"out0": {"name": "eth7"}}), "ip addr show dev eth7", super::same).ok();
    for words in ["inet 192.0.2.7/24", "inet6 2001:db8::7/64"] {
        assert!(done.stdout.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn a_template_gets_the_first_free_number() {
    let host = host();
    let done = with(
        &host,
        json!({"out0": {"name": "net%d"}, "peer0": {"name": "net%d"}}),
        "ls /sys/class/net",
        super::same,
    );
    assert_eq!(done.ok().text().split_whitespace().collect::<Vec<_>>(), ["lo", "net0", "net1"]);
}

#[test]
fn into_a_joined_namespace_where_it_stays() {
    let (host, joined) = (host(), NetNs::new());
    with(&host, json!({"out0": {}}), "true", |bundle| bundle.join_namespace("network", &joined.path())).ok();
    assert!(ip(&joined, "link show out0").ok().stdout.contains(",UP"));
    assert_ne!(ip(&host, "link show out0").code, 0);
}

#[track_caller]
fn refused(done: &Done) {
    assert!(done.code != 0 && done.stdout.is_empty(), "was taken: {done:?}");
}

#[test]
fn a_name_that_is_taken_in_the_container_is_an_error() {
    let (host, joined) = (host(), NetNs::new());
    ip(&joined, "link add eth7 type veth peer name eth8").ok();
    refused(&with(&host, json!({"out0": {"name": "eth7"}}), "echo it ran", |bundle| {
        bundle.join_namespace("network", &joined.path())
    }));
}

#[test]
fn a_device_that_there_is_not_is_an_error() {
    refused(&with(&host(), json!({"nope0": {}}), "echo it ran", super::same));
}

#[test]
fn a_name_that_no_device_can_have_is_an_error() {
    refused(&with(&host(), json!({"out0": {"name": "a/b"}}), "echo it ran", super::same));
}

#[test]
fn without_a_network_namespace_they_are_an_error() {
    refused(&with(&host(), json!({"out0": {"name": "eth7"}}), "echo it ran", |bundle| {
        bundle.without_namespace("network")
    }));
}
