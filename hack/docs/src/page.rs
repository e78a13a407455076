//! Manual pages: name, synopsis and options from the definition, the other sections from the file beside it.

use crate::{Made, text};
use anyhow::Context as _;
use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A program with a command line that clap reads.
pub struct Program {
    /// The definition, with the names of its subcommands filled in.
    pub command: Command,
    /// Section of the manual: 1 for people's commands, 8 for those of administrators and other programs.
    pub section: u8,
    /// The program's own text, below the top of the tree.
    text: &'static str,
    /// Folder of the texts of its commands; where it has none, they have no page of their own.
    commands: Option<&'static str>,
}

/// All programs but husk-shim, which reads its few flags by hand.
pub fn programs() -> Vec<Program> {
    let built = |mut command: Command| {
        command.build();
        command
    };
    vec![
        Program {
            command: built(husk::cli::Cli::command()),
            section: 8,
            text: "runtime/src/cli.md",
            commands: Some("runtime/src/commands"),
        },
        Program {
            command: built(husk_cri::cli::Args::command()),
            section: 8,
            text: "cri/src/cli.md",
            commands: None,
        },
        Program {
            command: built(huskctl::cli::Args::command()),
            section: 1,
            text: "cri/ctl/src/cli.md",
            commands: None,
        },
    ]
}

/// The pages of one program.
pub fn pages(program: &Program, date: &str) -> anyhow::Result<Vec<Made>> {
    let section = program.section;
    let mut parts = by_hand(program.text)?;
    let commands: Vec<&Command> = subcommands(&program.command).collect();
    let list = match program.commands {
        Some(_) => index(&commands, section),
        None => details(&commands)?,
    };
    parts.rest.insert_str(0, &list);
    let mut made = vec![page(&program.command, section, &parts, date)?];
    if let Some(folder) = program.commands {
        for command in commands {
            let parts = by_hand(&format!("{folder}/{}.md", command.get_name()))?;
            made.push(page(command, section, &parts, date)?);
        }
    }
    Ok(made)
}

/// husk-shim(8), by hand but for its head.
pub fn shim(date: &str) -> anyhow::Result<Made> {
    let path = top().join("shim/src/args.md");
    let words = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let roff = format!("{}{}", head("husk-shim", 8, date), text::roff(&words));
    Ok((file("husk-shim", 8), roff.into_bytes()))
}

/// Commands that are shown: not hidden, and not clap's own `help`.
pub fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// The top of the tree.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A text by hand as roff: what stands before the options, and what stands after them.
struct Parts {
    description: String,
    rest: String,
}

fn by_hand(path: &str) -> anyhow::Result<Parts> {
    let words = std::fs::read_to_string(top().join(path)).with_context(|| format!("read {path}"))?;
    let end = words.match_indices("\n# ").next().map_or(words.len(), |(at, _)| at + 1);
    let (description, rest) = words.split_at(end);
    anyhow::ensure!(description.starts_with("# DESCRIPTION\n"), "{path}: does not begin with # DESCRIPTION");
    Ok(Parts { description: text::roff(description), rest: text::roff(rest) })
}

fn page(command: &Command, section: u8, parts: &Parts, date: &str) -> anyhow::Result<Made> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone());
    let mut roff = head(name, section, date).into_bytes();
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    roff.extend_from_slice(parts.description.as_bytes());
    man.render_options_section(&mut roff)?;
    roff.extend_from_slice(parts.rest.as_bytes());
    Ok((file(name, section), plain(&String::from_utf8_lossy(&roff)).into_bytes()))
}

/// groff takes bytes, so what is not ASCII is written as its code point; and mangen's empty line before a list of
/// values is one break too many.
fn plain(roff: &str) -> String {
    let mut out = String::new();
    for c in roff.replace(".br\n\n.br\n", ".br\n").chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let _ = write!(out, "\\[u{:04X}]", u32::from(c));
        }
    }
    out
}

fn head(name: &str, section: u8, date: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {} {section} \"{date}\" \"husk {version}\" \"husk\"\n", name.to_uppercase())
}

fn file(name: &str, section: u8) -> PathBuf {
    format!("man/man{section}/{name}.{section}").into()
}

/// One line for each command, with the name of its page.
fn index(commands: &[&Command], section: u8) -> String {
    let mut out = ".SH COMMANDS\n".to_owned();
    for command in commands {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(out, ".TP\n\\fB{}\\fR({section})\n{}", text::escape(name), text::inline(&about));
    }
    out
}

/// Each command with its flags, for a program whose commands have no pages of their own.
fn details(commands: &[&Command]) -> anyhow::Result<String> {
    let mut out = ".SH COMMANDS\n".to_owned();
    for command in commands {
        let nested: Vec<&Command> = subcommands(command).collect();
        let shown = if nested.is_empty() { vec![*command] } else { nested };
        for command in shown {
            // The program's own flags stand once, under OPTIONS.
            let own = |arg: &Arg| !arg.is_global_set() && arg.get_id() != "help";
            let man = Man::new(command.clone().mut_args(|arg| if own(&arg) { arg } else { arg.hide(true) }));
            let (mut synopsis, mut options) = (Vec::new(), Vec::new());
            man.render_synopsis_section(&mut synopsis)?;
            man.render_options_section(&mut options)?;
            let name = command.get_bin_name().unwrap_or(command.get_name());
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = write!(out, ".SS \"{}\"\n{}", text::escape(name), without_head(&synopsis));
            let _ = writeln!(out, ".PP\n{}.", text::inline(&about));
            out.push_str(&without_head(&options));
        }
    }
    Ok(out)
}

/// A section without the preamble and the heading that mangen gives it.
fn without_head(section: &[u8]) -> String {
    let section = String::from_utf8_lossy(section);
    match section.split_once(".SH ") {
        Some((_, rest)) => rest.split_once('\n').map_or("", |(_, body)| body).to_owned(),
        None => String::new(),
    }
}
