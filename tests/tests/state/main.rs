//! What husk remembers: under parallel commands, after a husk that was killed anywhere, with odd names, and where disk or
//! descriptors run out.

mod killed;
mod places;
mod races;
mod scarce;

use husk_tests::{Bundle, Container, Runtime, run};
use std::path::PathBuf;

/// A bundle whose program sleeps.
fn sleeper() -> Bundle {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    bundle
}

fn create(runtime: &Runtime, bundle: &Bundle, id: &str) -> husk_tests::Done {
    run(runtime.command().args(["create", "--bundle"]).arg(bundle.path()).arg(id))
}

/// The container's cgroup, where husk puts it without `linux.cgroupsPath`.
fn group(id: &str) -> PathBuf {
    husk_cgroup::Hierarchy::detect().unwrap().root().join("husk").join(id)
}

/// Nothing of the container is left: no cgroup (hence no process) and no file.
#[track_caller]
fn nothing_left(container: &Container<'_>, runtime: &Runtime, when: &str) {
    assert!(!group(&container.id).exists(), "{when}: the cgroup is left");
    assert!(!runtime.root().join(&container.id).exists(), "{when}: the state is left");
}
