//! `spec`: a config.json to begin with.

use husk_tests::{Bundle, Runtime, run};
use serde_json::Value;

fn written(flags: &[&str]) -> Value {
    let dir = husk_tests::temp_dir();
    run(Runtime::new().command().arg("spec").args(flags).current_dir(dir.path())).ok();
    serde_json::from_slice(&std::fs::read(dir.path().join("config.json")).unwrap()).unwrap()
}

#[test]
fn it_writes_a_spec_that_runs() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["true"]);
    let mut spec = written(&[]);
    spec["process"]["args"] = serde_json::json!(["echo", "ran"]);
    spec["process"]["terminal"] = false.into();
    bundle.spec = spec;
    assert_eq!(runtime.run(&bundle).ok().text(), "ran");
}

fn kinds(spec: &Value) -> Vec<&str> {
    let namespaces = spec["linux"]["namespaces"].as_array().unwrap();
    namespaces.iter().map(|ns| ns["type"].as_str().unwrap()).collect()
}

#[test]
fn a_shell_with_a_terminal_in_namespaces_of_its_own() {
    let spec = written(&[]);
    assert_eq!(spec["process"]["args"], serde_json::json!(["sh"]));
    assert_eq!(spec["process"]["terminal"], true);
    assert_eq!(spec["root"]["path"], "rootfs");
    let kinds = kinds(&spec);
    for kind in ["pid", "network", "ipc", "uts", "mount"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn into_another_bundle() {
    let dir = husk_tests::temp_dir();
    run(Runtime::new().command().args(["spec", "--bundle"]).arg(dir.path())).ok();
    assert!(dir.path().join("config.json").exists());
}

#[test]
fn for_an_ordinary_user() {
    let spec = written(&["--rootless"]);
    let kinds = kinds(&spec);
    assert!(kinds.contains(&"user") && !kinds.contains(&"network"), "{kinds:?}");
    assert_eq!(spec["linux"]["uidMappings"][0]["containerID"], 0);
}

#[test]
fn what_is_there_is_not_overwritten() {
    let dir = husk_tests::temp_dir();
    std::fs::write(dir.path().join("config.json"), "mine").unwrap();
    assert_ne!(run(Runtime::new().command().arg("spec").current_dir(dir.path())).code, 0);
    assert_eq!(std::fs::read_to_string(dir.path().join("config.json")).unwrap(), "mine");
}
