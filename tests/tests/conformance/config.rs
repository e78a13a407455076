//! config.json as a document: version, unknown members, what is missing.

use super::{output, refused, same};
use husk_tests::{Bundle, Container, Done, Runtime, run, unique};
use serde_json::{Value, json};

/// `run` of a bundle whose config.json is this.
fn raw(content: &[u8]) -> Done {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    std::fs::write(bundle.path().join("config.json"), content).unwrap();
    let container = Container::named(&runtime, &unique("raw"));
    run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id))
}

fn good() -> Vec<u8> {
    serde_json::to_vec(&Bundle::empty(&["echo", "it ran"]).spec).unwrap()
}

#[test]
fn members_that_are_not_known_are_passed_over() {
    // "Runtimes that are reading or processing this configuration file MUST NOT generate an error".
    let shown = output("echo ran", |bundle| {
        bundle.set("/futureField", "x").set("/process/futureField", 1).set("/linux/futureField", json!([]))
    });
    assert_eq!(shown, "ran");
}

#[test]
fn versions_of_the_same_major() {
    for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1"] {
        assert_eq!(output("echo ran", |bundle| bundle.set("/ociVersion", version)), "ran", "{version}");
    }
}

#[test]
fn a_version_of_another_major_is_an_error() {
    refused(|bundle| bundle.set("/ociVersion", "7.0.0"));
}

#[test]
fn a_version_that_is_none_is_an_error() {
    refused(|bundle| bundle.set("/ociVersion", "new"));
    refused(|bundle| bundle.set("/ociVersion", Value::Null));
}

#[test]
fn a_bundle_without_it_is_an_error() {
    let runtime = Runtime::new();
    let bundle = Bundle::new(&["echo", "it ran"]);
    let container = Container::named(&runtime, &unique("none"));
    let done = run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id));
    assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
}

#[test]
fn what_is_no_json_is_an_error() {
    let good = good();
    for content in
        [&b""[..], b"null", b"[]", b"{", &good[..good.len() / 2], b"{\"ociVersion\": \"\xff\xfe\"}"]
    {
        let done = raw(content);
        assert!(done.code != 0 && done.stdout.is_empty(), "{done:?}");
    }
}

#[test]
fn values_of_another_type_are_errors() {
    for (pointer, value) in [
        ("/process/args", json!("sh")),
        ("/process/env", json!({"A": "b"})),
        ("/process/terminal", json!("yes")),
        ("/mounts", json!({})),
        ("/linux", json!([])),
        ("/root/readonly", json!(1)),
        ("/linux/sysctl", json!({"kernel.shmmax": 1})),
    ] {
        refused(|bundle| bundle.set(pointer, value));
    }
}

#[test]
fn the_default_spec_runs() {
    assert_eq!(output("echo ran", same), "ran");
}
