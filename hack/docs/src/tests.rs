//! Every command and flag is told of, and what is made is what man(1) and shells can read.

use crate::{Made, all, page};
use clap::Command;
use std::collections::BTreeSet;
use std::path::Path;
use std::process;

/// The program and everything below it.
fn tree(command: &Command) -> Vec<&Command> {
    let below = page::subcommands(command).flat_map(|sub| tree(sub));
    [command].into_iter().chain(below).collect()
}

fn content<'a>(made: &'a [Made], path: &str) -> &'a str {
    let found = made.iter().find(|(name, _)| name == Path::new(path));
    std::str::from_utf8(&found.unwrap_or_else(|| panic!("{path} is not made")).1).unwrap()
}

fn write(made: &[Made]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in made {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

/// Whether a program is there; a check that needs it is skipped otherwise, in the words that hack/test counts.
fn has(program: &str) -> bool {
    let found = process::Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        println!("\nSKIPPED pages: {program} is not installed");
    }
    found.status.success()
}

#[test]
fn every_command_and_flag_has_a_help_and_stands_in_a_page() {
    let made = all("2026-11-21").unwrap();
    for program in page::programs() {
        let section = program.section;
        let name = program.command.get_name();
        for command in tree(&program.command) {
            let own = command.get_display_name().unwrap_or(name);
            let path = if name == "husk" { own } else { name };
            let text = content(&made, &format!("man/man{section}/{path}.{section}"));
            assert!(command.get_about().is_some_and(|about| about.to_string().len() > 8), "{own}: no help");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let id = argument.get_id();
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.len() > 8 || id == "help", "{own} {id}: {help:?} is no help");
                let shown = match argument.get_long() {
                    Some(long) => format!("\\-\\-{}", long.replace('-', "\\-")),
                    None => argument.get_value_names().unwrap()[0].replace('-', "\\-"),
                };
                assert!(text.contains(&shown), "{path}.{section} does not tell of {shown}");
            }
        }
    }
}

#[test]
fn texts_have_their_sections_and_belong_to_a_command() {
    let made = all("").unwrap();
    let programs = page::programs();
    let husk = programs.iter().find(|program| program.command.get_name() == "husk").unwrap();
    let names: BTreeSet<&str> = page::subcommands(&husk.command).map(|sub| sub.get_name()).collect();
    for entry in std::fs::read_dir(page::top().join("runtime/src/commands")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(command) = name.strip_suffix(".md") {
            assert!(names.contains(command), "{name} is of no command");
        }
    }
    for (path, text) in made.iter().filter(|(path, _)| path.starts_with("man")) {
        let text = std::str::from_utf8(text).unwrap();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            let wanted = format!(".SH \"{section}\"");
            let there = text.contains(&wanted) || text.contains(&format!(".SH {section}\n"));
            assert!(
                there || (section == "EXAMPLES" && path.ends_with("husk-shim.8")),
                "{path:?}: no {section}"
            );
        }
        // Each page of husk's that a page points to is there.
        for (at, _) in text.match_indices("\\fBhusk") {
            let rest = &text[at + 3..];
            let Some((name, rest)) = rest.split_once("\\fR") else { continue };
            if rest.starts_with("(8)") || rest.starts_with("(1)") {
                let section = &rest[1..2];
                let name = name.replace("\\-", "-");
                content(&made, &format!("man/man{section}/{name}.{section}"));
            }
        }
    }
}

/// husk-shim's flags are read by hand, so its page is compared with the code.
#[test]
fn the_page_of_the_shim_has_its_flags() {
    let code = std::fs::read_to_string(page::top().join("shim/src/args.rs")).unwrap();
    let (_, text) = page::shim("").unwrap();
    let text = String::from_utf8(text).unwrap();
    let flags: BTreeSet<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"))
        .map(|(flag, _)| flag)
        .collect();
    assert!(flags.len() >= 6, "{flags:?}");
    for flag in flags {
        assert!(text.contains(&format!("\\fB{}\\fR", flag.replace('-', "\\-"))), "{flag}");
    }
}

#[test]
fn pages_render_without_a_warning() {
    let dir = write(&all("2026-11-21").unwrap());
    let call = |program: &str, arguments: &[&str]| {
        if !has(program) {
            return;
        }
        for section in ["man1", "man8"] {
            for page in std::fs::read_dir(dir.path().join("man").join(section)).unwrap() {
                let done = process::Command::new(program)
                    .args(arguments)
                    .arg(page.unwrap().path())
                    .output()
                    .unwrap();
                let said = [done.stdout, done.stderr].concat();
                assert!(done.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
            }
        }
    };
    call("mandoc", &["-Tlint", "-Wwarning"]);
    call("groff", &["-ww", "-man", "-Tutf8", "-z"]);
}

#[test]
fn completions_load_and_complete() {
    let dir = write(&all("").unwrap());
    let complete = |program: &str, words: &str, current: &str| {
        let script = "set -eu; . \"$1\"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
            f=$(complete -p \"$3\" | sed -E 's/.*-F ([^ ]+) .*/\\1/'); set +eu; \
            $f \"$3\" \"$4\" \"\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let file = dir.path().join("bash-completion/completions").join(program);
        let done = process::Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(file)
            .args([words, program, current])
            .output()
            .unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("husk", "husk re", "re"), ["restore", "resume"]);
    assert_eq!(complete("husk", "husk run --pid", "--pid"), ["--pidfd-socket", "--pid-file"]);
    assert_eq!(complete("huskctl", "huskctl ev", "ev"), ["events"]);
    assert_eq!(complete("husk-cri", "husk-cri im", "im"), ["image"]);
    for (shell, folder) in [("zsh", "zsh/site-functions"), ("fish", "fish/vendor_completions.d")] {
        let there = process::Command::new(shell).arg("--version").output().is_ok();
        for file in std::fs::read_dir(dir.path().join(folder)).unwrap().filter(|_| there) {
            let done = process::Command::new(shell).arg("-n").arg(file.unwrap().path()).output().unwrap();
            assert!(done.status.success() && done.stderr.is_empty(), "{shell}: {done:?}");
        }
    }
}
