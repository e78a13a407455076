//! What husk as the runtime keeps of a container in its state directory, and what it is given for `husk explain`.
//!
//! Another runtime has no such files: then nothing is found, and nothing is written.

use husk_exit::{ExitRecord, Found, Kept, Outcome, SentSignal, StartFailure};
use husk_shim_api::Runtime;
use std::path::{Path, PathBuf};

/// A container's place under the runtime's `--root`.
#[derive(Debug)]
pub struct RuntimeState {
    root: PathBuf,
    id: String,
}

impl RuntimeState {
    /// None: the runtime is not husk, or was given no `--root`.
    pub fn of(runtime: &Runtime, id: &str) -> Option<Self> {
        if runtime.binary.file_name().is_none_or(|name| name != "husk") {
            return None;
        }
        let root = runtime.args.iter().enumerate().find_map(|(at, arg)| match arg.as_str() {
            "--root" => runtime.args.get(at + 1).map(String::as_str),
            other => other.strip_prefix("--root="),
        })?;
        Some(Self { root: Path::new(root).to_path_buf(), id: id.to_owned() })
    }

    fn dir(&self) -> PathBuf {
        self.root.join(&self.id)
    }

    /// Why the program could not be started, in more than words.
    pub fn start_failure(&self) -> Option<StartFailure> {
        let kept = Kept::new(&self.root).path(&self.id);
        [self.dir().join("exit.json"), kept].iter().find_map(|path| match husk_exit::read(path) {
            Ok(Found::Record(ExitRecord { outcome: Outcome::NotStarted { failure }, .. })) => Some(failure),
            _ => None,
        })
    }

    /// Signals that `husk kill` and `husk delete` have noted, beside the shim's own.
    pub fn sent(&self) -> Vec<SentSignal> {
        husk_exit::read_sent(&self.dir().join("signals.jsonl"))
    }

    /// Puts a copy of the record where `husk explain` looks. A failure is nothing to tell: the record itself is kept.
    pub fn tell(&self, record: &ExitRecord) {
        if self.dir().is_dir() {
            let _ = husk_exit::write(&self.dir().join("exit.json"), record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RuntimeState;
    use husk_shim_api::Runtime;

    #[test]
    fn the_root_is_found_for_husk_alone() {
        let of = |binary: &str, args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            RuntimeState::of(&Runtime { binary: binary.into(), args }, "c").map(|state| state.dir())
        };
        assert_eq!(of("/x/husk", &["--debug", "--root", "/r"]), Some("/r/c".into()));
        assert_eq!(of("/x/husk", &["--root=/r"]), Some("/r/c".into()));
        assert_eq!(of("/x/husk", &["--root"]), None);
        assert_eq!(of("/x/runc", &["--root", "/r"]), None);
    }
}
