//! Programs that want a terminal of their own, which script(1) makes.

use crate::command::{Done, run_with_stdin};
use std::path::Path;
use std::process::Command;

/// Runs the command with a terminal, to its end; what it writes is in `stdout`.
#[track_caller]
pub fn in_terminal(command: &Command) -> Done {
    script(command, "")
}

/// [`in_terminal`], whose size is 33 rows of 77 columns until the file `first` is there, and then 40 rows of 90, for
/// [`resize_watcher`].
#[track_caller]
pub fn in_resized_terminal(command: &Command, first: &Path) -> Done {
    let first = first.display();
    // Again and again, as podman at times misses a size that comes while it attaches; a size that stays the same says nothing.
    let resize = format!(
        "until [ -e '{first}' ]; do stty rows 33 cols 76; stty rows 33 cols 77; sleep 0.5; done; \
         until [ -e '{first}2' ]; do stty rows 40 cols 89; stty rows 40 cols 90; sleep 0.5; done"
    );
    script(command, &format!("stty rows 33 cols 77; ({resize}) </dev/tty 2>/dev/null & "))
}

/// What a container in [`in_resized_terminal`] runs: ends with 6 when it has seen both sizes and a SIGWINCH. `first` is the
/// file as the container sees it.
pub fn resize_watcher(first: &str) -> String {
    format!(
        "tty; trap 'echo changed' WINCH; until [ \"$(stty size)\" = '33 77' ]; do sleep 0.1; done; touch {first}; \
         until [ \"$(stty size)\" = '40 90' ]; do sleep 0.1; done; touch {first}2; sleep 1; exit 6"
    )
}

#[track_caller]
fn script(command: &Command, before: &str) -> Done {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let line: Vec<_> = words.map(|word| quoted(word.to_str().expect("a word of text"))).collect();
    let mut script = Command::new("script");
    script.env("SHELL", "/bin/sh");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.args(["-qec", &format!("{before}{}", line.join(" ")), "/dev/null"]);
    // An end of input at once would make the client leave before the output has come.
    let (input, _open) = std::io::pipe().expect("a pipe");
    run_with_stdin(&mut script, input.into())
}
