//! config.json as a file: missing, cut short, huge, nested, not JSON at all.

use husk_tests::{Bundle, Container, Done, Runtime, run};

/// Refused, and no container is left.
#[track_caller]
fn refused(runtime: &Runtime, case: &str, done: &Done, words: &[&str]) {
    super::refused(case, done, words);
    nothing_left(runtime, case);
}

#[track_caller]
fn nothing_left(runtime: &Runtime, case: &str) {
    let left: Vec<_> = std::fs::read_dir(runtime.root()).into_iter().flatten().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == "@exits"), "{case}: {left:?}");
}

/// Runs a bundle whose config.json has this content.
fn run_raw(runtime: &Runtime, bundle: &Bundle, content: &[u8]) -> Done {
    std::fs::write(bundle.path().join("config.json"), content).expect("config.json");
    let container = Container::named(runtime, &husk_tests::unique("raw"));
    run(runtime.command().arg("run").arg("--bundle").arg(bundle.path()).arg(&container.id))
}

#[test]
fn documents_that_are_no_config() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["echo", "it ran"]);
    let good = serde_json::to_vec(&bundle.spec).expect("JSON");
    let cut = good.get(..good.len() / 2).expect("half of it");
    let mut trailing = good.clone();
    trailing.extend_from_slice(b"}");
    let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let twice = br#"{"ociVersion":"1.0.2","ociVersion":"1.0.2"}"#;
    let huge =
        [br#"{"ociVersion":"1.0.2","annotations":{"a":""#.as_slice(), &b"x".repeat(10_000_000), b"\"}}"]
            .concat();
    let cases: [(&str, &[u8]); 11] = [
        ("empty", b""),
        ("blank", b"  \n"),
        ("null", b"null"),
        ("a list", b"[]"),
        ("a string", b"\"config\""),
        ("cut short", cut),
        ("something after it", &trailing),
        ("not UTF-8", b"{\"ociVersion\": \"\xff\xfe\"}"),
        ("100,000 levels deep", &nested),
        ("a key twice and no process", twice),
        ("10 MB without a process", &huge),
    ];
    for (case, content) in cases {
        let done = run_raw(&runtime, &bundle, content);
        refused(&runtime, case, &done, &[]);
        assert!(
            done.stderr.contains("config.json")
                || done.stderr.contains("process")
                || done.stderr.contains("root"),
            "{case}: the message names neither the file nor a field\n{}",
            done.stderr
        );
        assert!(done.stderr.len() < 2000, "{case}: {} bytes of message", done.stderr.len());
    }
}

/// Binary noise in place of each part of a good document: an error or a container, never a crash.
#[test]
fn noise_in_a_good_document() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["true"]);
    let good = serde_json::to_vec(&bundle.spec).expect("JSON");
    let rounds = if husk_tests::in_vm() { 10 } else { 60 };
    for round in 0..rounds {
        let mut bad = good.clone();
        // Spread over the document, the same in every run.
        let at = (round * 7919) % bad.len();
        if let Some(byte) = bad.get_mut(at) {
            *byte = b"\0\"{[9,\xff"[round % 7];
        }
        let done = run_raw(&runtime, &bundle, &bad);
        assert!(done.code < 128, "byte {at}: {done:#?}");
        assert!(!done.stderr.contains("panicked"), "byte {at}: {done:#?}");
        nothing_left(&runtime, &format!("byte {at}"));
    }
}

/// Fields that husk does not know are for newer versions of the specification: they are passed over.
#[test]
fn unknown_fields_are_passed_over() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["echo", "it ran"]);
    bundle
        .set("/futureField", "x")
        .set("/process/futureField", 1)
        .set("/linux/futureField", serde_json::json!([]));
    assert_eq!(runtime.run(&bundle).ok().text(), "it ran");
}

#[test]
fn bundles_that_are_none() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["echo", "it ran"]);
    let call = |path: &std::path::Path| {
        let container = Container::named(&runtime, &husk_tests::unique("none"));
        run(runtime.command().arg("run").arg("--bundle").arg(path).arg(&container.id))
    };
    refused(&runtime, "no config.json", &call(bundle.path()), &["config.json"]);
    let missing = bundle.path().join("no-such-bundle");
    refused(&runtime, "no such bundle", &call(&missing), &["no-such-bundle"]);
    let file = bundle.path().join("a-file");
    std::fs::write(&file, "").expect("a file");
    refused(&runtime, "a file as bundle", &call(&file), &["a-file"]);
    std::fs::create_dir(bundle.path().join("config.json")).expect("a folder");
    refused(&runtime, "a folder as config.json", &call(bundle.path()), &["config.json"]);
}
