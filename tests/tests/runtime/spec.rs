//! `husk spec`: what it writes is a container that husk and its peers run.

use husk_tests::{Bundle, Runtime, run};
use serde_json::Value;

#[test]
fn any_runtime_runs_it() {
    let husk = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    run(husk.command().args(["spec", "--bundle"]).arg(bundle.path())).ok();
    let done = run(husk.command().args(["spec", "--bundle"]).arg(bundle.path())).expect_code(1);
    assert!(done.stderr.contains("exists already"), "{done:?}");
    let text = std::fs::read_to_string(bundle.path().join("config.json")).unwrap();
    bundle.spec = serde_json::from_str::<Value>(&text).unwrap();
    assert_eq!(bundle.spec["process"]["args"], serde_json::json!(["sh"]));
    bundle.set("/process/terminal", false);
    bundle.set("/process/args", serde_json::json!(["sh", "-c", "echo $$; hostname; touch /x || exit 3"]));
    let peers = ["runc", "crun"].into_iter().filter_map(Runtime::peer);
    for runtime in std::iter::once(husk).chain(peers) {
        let done = runtime.run(&bundle).expect_code(3);
        assert_eq!(done.text(), "1\nhusk", "{}: {done:?}", runtime.name);
    }
}
