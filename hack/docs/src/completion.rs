//! Completions for bash, zsh and fish, where each shell looks for them below a prefix's `share`.

use crate::Made;
use clap::Command;
use clap_complete::{Shell, generate};

/// The scripts of one program.
pub fn scripts(mut command: Command) -> Vec<Made> {
    let name = command.get_name().to_owned();
    let shells = [
        (Shell::Bash, format!("bash-completion/completions/{name}")),
        (Shell::Zsh, format!("zsh/site-functions/_{name}")),
        (Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
    ];
    let mut script = |shell| {
        let mut text = Vec::new();
        generate(shell, &mut command, &name, &mut text);
        text
    };
    shells.into_iter().map(|(shell, path)| (path.into(), script(shell))).collect()
}
