//! docs/errors.md: written from what husk and runc say, and compared with what husk says.

use super::Group;
use super::world::{World, short};
use husk_tests::{Runtime, run};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const HEAD: &str = "# Wrong inputs, and what is said about them

Written by `make errors` from real runs; the suite `errors` fails where husk no longer says what stands here. Each row is an input that
the default configuration of `husk spec` does not have. BUNDLE, FILE and ROOT stand for paths; *created*, *running*, *paused* and *stopped*
are the ids of containers in that state. The number behind a message is the exit code; *taken* means that the container ran, or that
the command did what it does otherwise.
";

/// A row: the input, the message and the exit code.
pub type Row = (String, String, i32);

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md")
}

/// The cells that husk has to do with.
fn cells(shown: &str, message: &str, code: i32) -> String {
    format!("| {} | {} |", cell(shown), said(message, code))
}

fn said(message: &str, code: i32) -> String {
    if code == 0 { "*taken*".into() } else { format!("{} ({code})", cell(&short(message, 400))) }
}

/// Nothing in a cell may end it, or be taken for a mark or a tag.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    if text.is_empty() { "(nothing)".into() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// Fails where the document does not show these rows.
#[track_caller]
pub fn compare(title: &str, rows: &[Row]) {
    let text = std::fs::read_to_string(path()).expect("docs/errors.md");
    let section = text.split("\n## ").find(|section| section.starts_with(&format!("{title}\n")));
    let section = section.unwrap_or_else(|| panic!("docs/errors.md has no section {title:?}: make errors"));
    let lines: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(
        lines.len(),
        rows.len(),
        "{title}: rows in docs/errors.md and cases; make errors writes it anew"
    );
    for (line, (shown, message, code)) in lines.iter().zip(rows) {
        let wanted = cells(shown, message, *code);
        assert!(
            of_any_kernel(line).starts_with(&of_any_kernel(&wanted)),
            "docs/errors.md shows what husk does not say; make errors writes it anew\nhusk: {wanted}\nthere: {line}"
        );
    }
}

/// A line without what the kernel logged to the file system context, which differs by version.
fn of_any_kernel(line: &str) -> String {
    match line.split_once(" [tmpfs:").and_then(|(before, rest)| Some((before, rest.split_once(']')?.1))) {
        Some((before, after)) => format!("{before}{after}"),
        None => line.to_owned(),
    }
}

/// Writes the document.
pub fn write(groups: &[Group]) {
    let runc = || Runtime::peer("runc").expect("runc: hack/deps test installs it");
    let version = run(Command::new(runc().command().get_program()).arg("--version")).ok().stdout;
    let version = version.lines().next().unwrap_or_default().replace("runc version", "runc");
    let mut rows = 0;
    let mut out = String::new();
    for (title, cases) in groups {
        let worlds = [World::new(Runtime::husk()), World::new(runc())];
        let _ = write!(out, "\n## {title}\n| input | husk | {version} |\n|---|---|---|\n");
        for case in cases() {
            let [(own, message), (other, words)] = worlds.each_ref().map(|world| world.attempt(&case));
            let _ =
                writeln!(out, "{} {} |", cells(&case.shown(), &message, own.code), said(&words, other.code));
            rows += 1;
        }
    }
    std::fs::write(path(), format!("{HEAD}\n{rows} inputs, beside {version}.\n{out}"))
        .expect("docs/errors.md");
}
