//! Attach, reach, check, detach with bridge, host-local, portmap, bandwidth, tuning and loopback.

use husk_cni::{Attachment, Bandwidth, Error, PortMapping, loopback_up};
use serde_json::{Value, json};

use crate::world::{Namespace, Node};

fn pod(id: &str, namespace: &Namespace) -> Attachment {
    Attachment::new(id, namespace.path()).kubernetes("default", "web", "0-1-2")
}

#[test]
fn a_sandbox_gets_an_address_and_is_reached_by_the_node_and_a_neighbour() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let cni = node.cni();
    assert_eq!(cni.ready().unwrap().network, "husknet");
    let (one, two) = (Namespace::new(), Namespace::new());
    let first = cni.add(&pod("one", &one)).unwrap();
    cni.add(&pod("two", &two)).unwrap();
    let ip = first.ips_of("eth0")[0].to_string();
    assert!(one.run("ip -4 addr show dev eth0").contains(&format!("inet {ip}/24")));
    assert!(
        one.run("ip route").contains("10.77.0.1 dev eth0") || one.run("ip route").contains("10.77.0.0/24")
    );
    node.run(&format!("ping -c1 -W30 {ip} || busybox ping -c1 -W30 {ip}"));
    two.run(&format!("ping -c1 -W30 {ip} || busybox ping -c1 -W30 {ip}"));
    assert_eq!(node.held().len(), 2);
    cni.check("one").unwrap();

    cni.del("one").unwrap();
    cni.del("two").unwrap();
    assert_eq!(node.held(), Vec::<String>::new());
    assert_eq!(cni.cached().unwrap(), Vec::<String>::new());
    assert!(!one.run("ip -o link").contains("eth0"));
    cni.del("one").unwrap();
}

#[test]
fn a_change_inside_the_sandbox_fails_the_check() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let (cni, one) = (node.cni(), Namespace::new());
    cni.add(&pod("one", &one)).unwrap();
    cni.check("one").unwrap();
    one.run("ip addr flush dev eth0");
    let said = cni.check("one").unwrap_err();
    assert!(matches!(&said, Error::Plugin { plugin, command: "CHECK", .. } if plugin == "bridge"), "{said}");
    cni.del("one").unwrap();
    assert!(matches!(cni.check("one"), Err(Error::NotAttached { .. })));
}

#[test]
fn a_chain_gets_ports_and_bandwidth_by_capability() {
    let node = Node::new();
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let bandwidth = json!({"type": "bandwidth", "capabilities": {"bandwidth": true}});
    node.list("1.0.0", &json!([node.bridge(), portmap, bandwidth]));
    let (cni, one) = (node.cni(), Namespace::new());
    let port = PortMapping { host_port: 8080, container_port: 80, protocol: "tcp", host_ip: None };
    let limit = Bandwidth { ingress_rate: 8_000_000, ingress_burst: 8_000_000, ..Bandwidth::default() };
    let outcome = cni.add(&pod("one", &one).port_mappings(&[port]).bandwidth(limit)).unwrap();
    let rules = || node.run("iptables-save -t nat");
    let ip = outcome.ips_of("eth0")[0].to_string();
    assert!(rules().contains(&format!("--to-destination {ip}:80")), "{}", rules());
    assert!(node.run("tc qdisc").contains("tbf"));
    cni.del("one").unwrap();
    assert!(!rules().contains("--to-destination"), "{}", rules());
    assert!(!node.run("tc qdisc").contains("tbf"));
    assert_eq!(node.held(), Vec::<String>::new());
}

#[test]
fn a_detach_works_after_a_restart_with_another_list_and_after_the_namespace_is_gone() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let (one, two) = (Namespace::new(), Namespace::new());
    node.cni().add(&pod("one", &one)).unwrap();
    node.cni().add(&pod("two", &two)).unwrap();
    drop(two);
    node.list("1.0.0", &json!([{"type": "another-plugin"}]));

    let cni = node.cni();
    assert!(matches!(cni.ready(), Err(Error::PluginMissing { .. })));
    assert!(cni.outcome("one").unwrap().is_some());
    cni.del("one").unwrap();
    assert_eq!(node.held().len(), 1);
    cni.del("two").unwrap();
    assert_eq!(node.held(), Vec::<String>::new());
}

#[test]
fn what_no_sandbox_needs_any_more_is_detached_at_the_start() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let spaces: Vec<_> = ["one", "two", "three"].map(|id| (id, Namespace::new())).into();
    for (id, space) in &spaces {
        node.cni().add(&pod(id, space)).unwrap();
    }
    let cni = node.cni();
    assert_eq!(
        cni.gc(&["two".into()]).iter().map(Error::to_string).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    assert_eq!((cni.cached().unwrap(), node.held().len()), (vec!["two".to_owned()], 1));
    assert!(cni.gc(&[]).is_empty());
    assert_eq!(node.held(), Vec::<String>::new());
}

#[test]
fn an_exhausted_range_is_told_and_nothing_is_held_for_the_loser() {
    let node = Node::new();
    let mut bridge = node.bridge();
    bridge["ipam"]["ranges"] = json!([[{"subnet": "10.77.0.0/30"}]]);
    node.list("1.0.0", &json!([bridge]));
    let (cni, one, two) = (node.cni(), Namespace::new(), Namespace::new());
    cni.add(&pod("one", &one)).unwrap();
    let said = cni.add(&pod("two", &two)).unwrap_err().to_string();
    assert!(
        said.starts_with("CNI plugin bridge failed at ADD: ") && said.contains("no IP addresses available"),
        "{said}"
    );
    assert_eq!((cni.cached().unwrap(), node.held().len()), (vec!["one".to_owned()], 1));
    assert!(!two.run("ip -o link").contains("eth0"));
    cni.del("one").unwrap();
    cni.add(&pod("two", &two)).unwrap();
    cni.del("two").unwrap();
}

#[test]
fn a_second_attach_of_one_id_leaks_no_address() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let (cni, one) = (node.cni(), Namespace::new());
    for _ in 0..3 {
        cni.add(&pod("one", &one)).unwrap();
        assert_eq!(node.held().len(), 1);
    }
    cni.del("one").unwrap();
}

#[test]
fn many_sandboxes_at_once_get_addresses_of_their_own() {
    let node = Node::new();
    node.list("1.0.0", &json!([node.bridge()]));
    let cni = node.cni();
    let spaces: Vec<_> = (0..8).map(|_| Namespace::new()).collect();
    let here = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let attach = |id: String, space: &Namespace| {
        // A new thread starts in the namespace of the thread that made it; said here for the reader.
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&here), None).unwrap();
        cni.add(&pod(&id, space)).unwrap().ips_of("eth0")[0]
    };
    let mut ips: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> =
            spaces.iter().enumerate().map(|(i, s)| scope.spawn(move || attach(format!("s{i}"), s))).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 8);
    assert!(cni.gc(&[]).is_empty());
    assert_eq!(node.held(), Vec::<String>::new());
}

#[test]
fn versions_are_agreed_with_what_debian_ships() {
    let node = Node::new();
    node.list("1.1.0", &json!([node.bridge()]));
    let spoken = node.run("CNI_COMMAND=VERSION /usr/lib/cni/bridge </dev/null");
    if !spoken.contains("1.1.0") {
        let said = node.cni().ready().unwrap_err().to_string();
        assert_eq!(said, "CNI plugin bridge speaks versions up to 1.0.0, network husknet wants 1.1.0");
    }
    let list = json!({
        "cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0"], "name": "husknet", "plugins": [node.bridge()],
    });
    std::fs::write(node.path("net.d/10-husk.conflist"), list.to_string()).unwrap();
    let version = node.cni().ready().unwrap().version;
    assert!(version == "1.0.0" || spoken.contains("1.1.0"), "{version}");
}

#[test]
fn an_old_version_still_detaches_with_all_its_plugins() {
    let node = Node::new();
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    node.list("0.3.1", &json!([node.bridge(), portmap]));
    let (cni, one) = (node.cni(), Namespace::new());
    let port = PortMapping { host_port: 8081, container_port: 80, protocol: "udp", host_ip: None };
    cni.add(&pod("one", &one).port_mappings(&[port])).unwrap();
    cni.del("one").unwrap();
    assert_eq!(node.held(), Vec::<String>::new());
}

#[test]
fn loopback_comes_up_and_the_caller_stays_where_it_is() {
    let (node, one) = (Node::new(), Namespace::new());
    let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    assert!(!one.run("ip -o link show lo").contains("LOWER_UP"));
    loopback_up(&one.path()).unwrap();
    loopback_up(&one.path()).unwrap();
    assert!(one.run("ip -o link show lo").contains("LOWER_UP"));
    assert!(one.run("ip -o addr show lo").contains("127.0.0.1/8"));
    assert!(!node.run("ip -o link show lo").contains("LOWER_UP"));
    assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), before);
}

#[test]
fn loopback_as_a_plugin_works_too() {
    let (node, one) = (Node::new(), Namespace::new());
    node.list("1.0.0", &json!([{"type": "loopback"}]));
    let cni = node.cni();
    let lo = Attachment { ifname: "lo".into(), ..pod("one", &one) };
    assert_eq!(cni.add(&lo).unwrap().ips_of("lo")[0].to_string(), "127.0.0.1");
    assert_ne!(cni.outcome("one").unwrap().unwrap().raw, Value::Null);
    cni.del("one").unwrap();
}
