//! Plugins that hang, lie, talk without end or fail: one clear error each, and nothing is held or forgotten.

use std::time::{Duration, Instant};

use husk_cni::{Attachment, Error};
use serde_json::json;

use crate::world::{Node, alive};

const PATIENT: Duration = Duration::from_secs(60);
const RESULT: &str = r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}'"#;

fn pod() -> Attachment {
    Attachment::new("sandbox", "/proc/self/ns/net").kubernetes("default", "web", "0-1-2")
}

/// Attaches with one plugin that does as the script says at ADD, and gives the error.
fn refused(script: &str, timeout: Duration) -> String {
    let add_only = format!("[ $CNI_COMMAND = ADD ] || exit 0\n{script}");
    let node = Node::scripted(&[("bad", &add_only)], timeout);
    node.list("1.0.0", &json!([{"type": "bad"}]));
    let said = node.cni().add(&pod()).unwrap_err().to_string();
    assert_eq!(node.cni().cached().unwrap(), Vec::<String>::new(), "after: {said}");
    said
}

#[test]
fn each_kind_of_bad_answer_has_its_sentence() {
    let cases = [
        ("echo not json", "CNI plugin bad answered ADD with no JSON"),
        ("exit 0", "CNI plugin bad answered ADD with no result"),
        ("echo '[1]'", "CNI plugin bad answered ADD with no result"),
        ("echo '{\"ips\":[{\"address\":\"nowhere\"}]}'", "\"nowhere\" for an address"),
        ("echo '{\"ips\":3}'", "CNI plugin bad answered ADD with invalid type"),
        ("exec yes", "more than 1048576 bytes"),
        ("exec cat /dev/zero", "more than 1048576 bytes"),
        ("printf '{\"code\":7,\"msg\":\"no\\\\n  way\"}'; exit 1", "CNI plugin bad failed at ADD: no way"),
        ("echo boom >&2; exit 3", "CNI plugin bad failed at ADD: exit status: 3, boom"),
        ("kill -SEGV $$", "SIGSEGV"),
    ];
    for (script, expected) in cases {
        let said = refused(script, PATIENT);
        assert!(said.contains(expected), "{script}: {said}");
        assert!(!said.contains('\n') && said.len() < 1000, "{script}: {said}");
    }
}

#[test]
fn a_plugin_that_hangs_is_killed_with_its_children_and_undone() {
    let node = Node::scripted(&[], Duration::from_secs(5));
    let pids = node.path("pids");
    let said = node.path("said");
    let text = format!(
        "echo $CNI_COMMAND >> {}\n[ $CNI_COMMAND = ADD ] || exit 0\nsleep 100000 & echo $$ $! > {}\nwait",
        said.display(),
        pids.display()
    );
    node.script("slow", &text);
    node.list("1.0.0", &json!([{"type": "slow"}]));
    let error = node.cni().add(&pod()).unwrap_err();
    assert!(matches!(&error, Error::Timeout { plugin, command: "ADD", .. } if plugin == "slow"), "{error}");
    assert_eq!(node.read("said"), "ADD\nDEL\n");
    let deadline = Instant::now() + PATIENT;
    while node.read("pids").split_whitespace().any(alive) {
        assert!(Instant::now() < deadline, "of {} something is still alive", node.read("pids"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_failure_late_in_the_chain_undoes_the_whole_chain_in_reverse() {
    let log = "echo $(basename $0) $CNI_COMMAND >> ${0%/bin/*}/order";
    let good = format!("{log}\n{RESULT}");
    let bad = format!("{log}\n[ $CNI_COMMAND = DEL ] || {{ echo '{{\"code\":1,\"msg\":\"no\"}}'; exit 1; }}");
    let node = Node::scripted(&[("one", &good), ("two", &bad), ("three", &good)], PATIENT);
    node.list("1.0.0", &json!([{"type": "one"}, {"type": "two"}, {"type": "three"}]));
    let said = node.cni().add(&pod()).unwrap_err().to_string();
    assert_eq!(said, "CNI plugin two failed at ADD: no");
    assert_eq!(node.read("order"), "one ADD\ntwo ADD\nthree DEL\ntwo DEL\none DEL\n");
}

#[test]
fn a_detach_is_kept_until_every_plugin_confirms() {
    let log = "echo $(basename $0) $CNI_COMMAND >> ${0%/bin/*}/order";
    let good = format!("{log}\n{RESULT}");
    let node = Node::scripted(&[("one", &good), ("two", &good)], PATIENT);
    node.list("1.0.0", &json!([{"type": "one"}, {"type": "two"}]));
    node.cni().add(&pod()).unwrap();
    node.script(
        "one",
        &format!("{log}\n[ -e ${{0%/bin/*}}/mended ] || {{ echo '{{\"msg\":\"not yet\"}}'; exit 1; }}"),
    );
    for _ in 0..2 {
        let said = node.cni().del("sandbox").unwrap_err().to_string();
        assert_eq!(said, "CNI plugin one failed at DEL: not yet");
        assert_eq!(node.cni().cached().unwrap(), ["sandbox"]);
    }
    std::fs::write(node.path("mended"), "").unwrap();
    node.cni().del("sandbox").unwrap();
    assert_eq!(node.cni().cached().unwrap(), Vec::<String>::new());
    let order = node.read("order");
    assert!(order.starts_with("one ADD\ntwo ADD\ntwo DEL\none DEL\ntwo DEL\n"), "{order}");
}

#[test]
fn an_attach_whose_undoing_fails_stays_for_later() {
    let node = Node::scripted(&[("bad", "echo '{\"msg\":\"no\"}'; exit 1")], PATIENT);
    node.list("1.0.0", &json!([{"type": "bad"}]));
    let error = node.cni().add(&pod()).unwrap_err();
    assert!(matches!(error, Error::Undo { .. }), "{error}");
    assert_eq!(node.cni().cached().unwrap(), ["sandbox"]);
    assert_eq!(node.cni().gc(&[]).len(), 1);
    node.script("bad", "exit 0");
    assert!(node.cni().gc(&[]).is_empty());
}

#[test]
fn results_are_handed_on_and_come_back_at_detach() {
    let keep = "cat > ${0%/bin/*}/$(basename $0).$CNI_COMMAND";
    let node = Node::scripted(
        &[("one", &format!("{keep}\n{RESULT}")), ("two", &format!("{keep}\n{RESULT}"))],
        PATIENT,
    );
    node.list("1.0.0", &json!([{"type": "one"}, {"type": "two", "own": 1}]));
    node.cni().add(&pod()).unwrap();
    node.cni().del("sandbox").unwrap();
    let input = |name: &str| serde_json::from_str::<serde_json::Value>(&node.read(name)).unwrap();
    assert_eq!(input("one.ADD"), json!({"cniVersion": "1.0.0", "name": "husknet", "type": "one"}));
    assert_eq!(input("two.ADD")["own"], 1);
    for name in ["two.ADD", "one.DEL", "two.DEL"] {
        assert_eq!(input(name)["prevResult"]["ips"][0]["address"], "10.0.0.2/24", "{name}");
    }
}

#[test]
fn status_and_gc_are_called_from_version_1_1_on() {
    let log = "echo $CNI_COMMAND >> ${0%/bin/*}/order; cat >> ${0%/bin/*}/in; [ ! -e ${0%/bin/*}/ill ] || { echo '{\"code\":50,\"msg\":\"no route yet\"}'; exit 1; }";
    let node = Node::scripted(&[("one", &format!("{log}\n{RESULT}"))], PATIENT);
    node.list("1.0.0", &json!([{"type": "one"}]));
    node.cni().ready().unwrap();
    assert_eq!(node.read("order"), "");
    node.list("1.1.0", &json!([{"type": "one"}]));
    node.cni().ready().unwrap();
    assert_eq!(node.read("order"), "STATUS\n");
    node.cni().add(&pod()).unwrap();
    assert!(node.cni().gc(&["sandbox".into()]).is_empty());
    assert_eq!(node.read("order"), "STATUS\nADD\nGC\n");
    let valid = r#""cni.dev/valid-attachments":[{"containerID":"sandbox","ifname":"eth0"}]"#;
    assert!(node.read("in").contains(valid), "{}", node.read("in"));
    std::fs::write(node.path("ill"), "").unwrap();
    let said = node.cni().ready().unwrap_err().to_string();
    assert_eq!(said, "CNI plugin one failed at STATUS: no route yet");
}

#[test]
fn a_crash_between_intent_and_result_is_cleaned_up() {
    // The plugin ends its caller's run as a crash would: it never answers, and the test looks at the
    // cache while it hangs.
    let node =
        Node::scripted(&[("slow", "[ $CNI_COMMAND = ADD ] || exit 0\nsleep 100000")], Duration::from_secs(5));
    node.list("1.0.0", &json!([{"type": "slow"}]));
    let cni = node.cni();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| cni.add(&pod()));
        let deadline = Instant::now() + PATIENT;
        while node.cni().cached().unwrap().is_empty() {
            assert!(Instant::now() < deadline && !adding.is_finished(), "the intent was never on disk");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(adding.join().unwrap().is_err());
    });
    assert_eq!(node.cni().cached().unwrap(), Vec::<String>::new());
}

#[test]
fn a_torn_cache_file_is_told_by_name() {
    let node = Node::scripted(&[("one", RESULT)], PATIENT);
    node.list("1.0.0", &json!([{"type": "one"}]));
    node.cni().add(&pod()).unwrap();
    std::fs::write(node.path("cache/sandbox.json"), "{\"attachment\":").unwrap();
    let said = node.cni().del("sandbox").unwrap_err().to_string();
    assert!(said.contains("cache/sandbox.json"), "{said}");
}
