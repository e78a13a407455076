//! Wrong input: each gets one message that names the field or object, exit code 1, and nothing is left.
//!
//! The cases are data. docs/errors.md shows them with husk's message and runc's; it is written by `make errors`, and the
//! tests fail where it no longer shows what husk says.

mod calls;
mod config;
mod document;
mod fields;
mod table;
mod world;

use husk_tests::{Done, Runtime};
use world::{Case, World};

/// A group of cases under its heading in docs/errors.md.
type Group = (&'static str, fn() -> Vec<Case>);

/// All groups, in the table's order.
const GROUPS: [Group; 13] = [
    ("config.json: process", config::process),
    ("config.json: capabilities and limits of the process", config::rights),
    ("config.json: root and mounts", config::mounts),
    ("config.json: namespaces", config::namespaces),
    ("config.json: seccomp", config::seccomp),
    ("config.json: hooks", fields::hooks),
    ("config.json: devices, cgroups and resources", fields::resources),
    ("config.json: other fields, and no configuration at all", fields::others),
    ("Ids", calls::ids),
    ("Flags and files", calls::flags),
    ("States", calls::states),
    ("exec and its process file", calls::exec),
    ("update, kill and events", calls::changes),
];

/// Checks one group with husk, and that the document shows what it says.
#[track_caller]
fn check(title: &str) {
    let (_, cases) = GROUPS.iter().find(|(name, _)| *name == title).expect("a group");
    let world = World::new(Runtime::husk());
    let mut rows = Vec::new();
    for case in cases() {
        let shown = case.shown();
        let (done, message) = world.attempt(&case);
        refused(&shown, &done, case.words);
        world.nothing_left(&shown);
        rows.push((shown, message, done.code));
    }
    table::compare(title, &rows);
}

/// Checks what every wrong input has in common: exit code, few lines that have the words, no output.
#[track_caller]
fn refused(case: &str, done: &Done, words: &[&str]) {
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
}

macro_rules! groups {
    ($($name:ident: $index:literal,)*) => {
        $(#[test] fn $name() { check(GROUPS[$index].0); })*
    };
}

groups! {
    process: 0, rights: 1, mounts: 2, namespaces: 3, seccomp: 4, hooks: 5, resources: 6, others: 7, ids: 8, flags: 9,
    states: 10, exec: 11, changes: 12,
}

/// Writes docs/errors.md, where runc is installed: `make errors`.
#[test]
#[ignore = "writes docs/errors.md"]
fn write_the_table() {
    table::write(&GROUPS);
}
