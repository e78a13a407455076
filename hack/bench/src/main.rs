//! Measures husk beside its peers and prints docs/benchmarks.md: `husk-bench BIN BARE [ROUNDS]`.
//!
//! It wants a mount and a network namespace of its own in which cgroup v2 alone is at /sys/fs/cgroup: `hack/bench/run`
//! makes them.

mod cri;
mod runtimes;
mod stats;

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let bin = PathBuf::from(args.next().context("usage: husk-bench BIN BARE [ROUNDS]")?);
    let bare = PathBuf::from(args.next().context("usage: husk-bench BIN BARE [ROUNDS]")?);
    let rounds = args.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(30);
    let work = tempfile::Builder::new().prefix("husk-bench-").tempdir()?;
    let cgroups = Path::new("/sys/fs/cgroup");
    let group = cgroups.join(format!("husk-bench-{}", std::process::id()));
    std::fs::create_dir(&group).with_context(|| format!("mkdir {}", group.display()))?;
    // State is on a tmpfs, as /run is on a real machine; images and logs are on the disk.
    let state = work.path().join("run");
    std::fs::create_dir(&state)?;
    rustix::mount::mount("tmpfs", &state, "tmpfs", rustix::mount::MountFlags::empty(), None)
        .with_context(|| format!("mount a tmpfs on {}", state.display()))?;
    let place = runtimes::Place { work: work.path(), state: &state, group: &group, cgroups };
    let result = runtimes::measure(&bin, &bare, place, rounds).and_then(|runtime| {
        let pods = cri::measure(&bin, place, rounds)?;
        println!("{runtime}\n{pods}");
        Ok(())
    });
    let _ = rustix::mount::unmount(&state, rustix::mount::UnmountFlags::DETACH);
    // Whatever a failure left in the group ends with it.
    let _ = std::fs::write(group.join("cgroup.kill"), "1");
    for _ in 0..100 {
        let mut command = std::process::Command::new("find");
        let _ = command
            .arg(&group)
            .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
            .stderr(std::process::Stdio::null())
            .status();
        if !group.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    result
}
