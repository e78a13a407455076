//! Long flags after a single dash, which Go's flag package and so runc take: containerd's shim writes `-no-subreaper`.

use clap::{Arg, Command};
use std::ffi::OsString;

/// The command line with two dashes before each long flag of `command` that stands after one. What stands after the first
/// argument of the command that it names is left alone: it may be another program's.
pub fn doubled(command: &Command, line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line = line.into_iter();
    let mut out: Vec<OsString> = line.next().into_iter().collect();
    let mut command = command;
    while let Some(word) = line.next() {
        let Some(flag) =
            word.to_str().and_then(|text| text.strip_prefix('-')).filter(|flag| !flag.is_empty())
        else {
            let named = word.to_str().and_then(|name| command.find_subcommand(name));
            out.push(word);
            match named {
                Some(named) => command = named,
                None => break,
            }
            continue;
        };
        if flag == "-" {
            out.push(word);
            break;
        }
        let long = flag.strip_prefix('-').unwrap_or(flag);
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let found = command.get_arguments().find(|arg| has_name(arg, name));
        let takes_next = match found {
            Some(arg) => value.is_none() && arg.get_action().takes_values(),
            None => ends_with_value(command, flag),
        };
        out.push(if found.is_some() { format!("--{long}").into() } else { word });
        if takes_next {
            out.extend(line.next());
        }
    }
    out.extend(line);
    out
}

fn has_name(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

/// Whether the last of these short flags takes the next word.
fn ends_with_value(command: &Command, flags: &str) -> bool {
    let takes = |letter| {
        command.get_arguments().any(|arg| arg.get_short() == Some(letter) && arg.get_action().takes_values())
    };
    flags.find(takes).is_some_and(|at| at + 1 == flags.len())
}

#[cfg(test)]
mod tests {
    use super::doubled;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn long_flags_get_their_second_dash_and_nothing_else_does() {
        for (line, wanted) in [
            ("restore -no-subreaper -detach -bundle /b c", "restore --no-subreaper --detach --bundle /b c"),
            ("-root /r -debug list -format=json", "--root /r --debug list --format=json"),
            ("--root -log list -q", "--root -log list -q"),
            ("exec -it -u 0 -tty -env A=-cwd c sh -cwd", "exec -it -u 0 --tty --env A=-cwd c sh -cwd"),
            ("exec -e -tty -ie -cwd c", "exec -e -tty -ie -cwd c"),
            ("kill c -9", "kill c -9"),
            ("exec -- -tty", "exec -- -tty"),
            ("-nosuch list", "-nosuch list"),
            ("- list", "- list"),
        ] {
            let words = std::iter::once("husk").chain(line.split(' ')).map(Into::into);
            let done: Vec<_> = doubled(&Cli::command(), words).into_iter().skip(1).collect();
            let wanted: Vec<std::ffi::OsString> = wanted.split(' ').map(Into::into).collect();
            assert_eq!(done, wanted);
        }
    }
}
