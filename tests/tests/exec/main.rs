//! `husk exec` against the real kernel.

mod flags;
mod secrets;
mod status;

use husk_tests::{Bundle, Container, Runtime};

/// A container that does nothing, for a process to join.
fn idle(runtime: &Runtime) -> Container<'_> {
    idle_with(runtime, |_| {})
}

fn idle_with(runtime: &Runtime, change: impl FnOnce(&mut Bundle)) -> Container<'_> {
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    change(&mut bundle);
    runtime.start_owned(bundle)
}
