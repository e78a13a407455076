//! Wrong input: each gets one message that names the field or object, exit code 1, and nothing is left.

mod commands;
mod config;
mod document;

use husk_tests::{Container, Done, Runtime};

/// Checks what every wrong input has in common: exit code, one line that has the words, no output, no container.
#[track_caller]
fn refused(runtime: &Runtime, case: &str, done: &Done, words: &[&str]) {
    assert_ne!(done.code, 0, "{case}: was taken\n{done:#?}");
    // 255 is how exec fails.
    assert!(done.code < 128 || done.code == 255, "{case}: died\n{done:#?}");
    assert_eq!(done.stdout, "", "{case}: the program ran");
    assert!(!done.stderr.contains("panicked"), "{case}: panicked\n{}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "{case}: the message does not name {word:?}:\n{}", done.stderr);
    }
    let lines = done.stderr.lines().filter(|line| !line.trim().is_empty()).count();
    assert!((1..=6).contains(&lines), "{case}: {lines} lines of message\n{}", done.stderr);
    nothing_left(runtime, case);
}

/// No container is known, and the state directory has no folder but husk's own.
#[track_caller]
fn nothing_left(runtime: &Runtime, case: &str) {
    if !runtime.root().exists() {
        return;
    }
    let listed = husk_tests::run(runtime.command().args(["list", "--quiet"])).ok();
    assert_eq!(listed.text(), "", "{case}: a container is left");
    for entry in std::fs::read_dir(runtime.root()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        assert!(!name.to_string_lossy().starts_with("husk-test"), "{case}: {name:?} is left");
    }
}

/// A container to be wrong about.
fn container<'a>(runtime: &'a Runtime, bundle: &husk_tests::Bundle) -> Container<'a> {
    runtime.start(bundle)
}
