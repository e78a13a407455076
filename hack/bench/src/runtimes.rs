//! `run`, `exec` and `state` of husk, crun, runc and the bare minimum, in interleaved rounds.

use crate::stats::Samples;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Rounds that are not counted: caches fill.
const WARM_UP: usize = 3;

struct Peer {
    name: &'static str,
    program: PathBuf,
    run: Samples,
    exec: Samples,
    state: Samples,
}

impl Peer {
    fn new(name: &'static str, program: PathBuf) -> Self {
        Self { name, program, run: Samples::default(), exec: Samples::default(), state: Samples::default() }
    }

    fn call(&self, place: Place<'_>, args: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(place.state.join(self.name));
        if self.name == "crun" {
            // It wants to raise a limit that root may not raise on every machine.
            command.arg("--cgroup-manager=disabled").env("XDG_RUNTIME_DIR", place.state);
        }
        expect(command.args(args).stdin(Stdio::null()).stdout(Stdio::null()))
    }
}

/// Where the measurement happens.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// A temporary directory.
    pub work: &'a Path,
    /// A tmpfs in it, for the state of runtimes and daemon.
    pub state: &'a Path,
    /// Directory of a cgroup of its own.
    pub group: &'a Path,
    /// Where cgroup v2 is mounted.
    pub cgroups: &'a Path,
}

/// Measures in `rounds` rounds; the result as Markdown.
pub fn measure(bin: &Path, bare: &Path, place: Place<'_>, rounds: usize) -> Result<String> {
    let once = bundle(place, &["/bin/true"], "once")?;
    let mut peers: Vec<Peer> =
        [("husk", bin.join("husk")), ("crun", "/usr/bin/crun".into()), ("runc", "/usr/sbin/runc".into())]
            .into_iter()
            .filter(|(_, program)| program.exists())
            .map(|(name, program)| Peer::new(name, program))
            .collect();
    let mut floor = Samples::default();
    let (rootfs, leaf) = (once.join("rootfs"), place.group.join("bare"));
    for peer in &peers {
        // One each: the group must be empty when a container starts in it.
        let sleeper = bundle(place, &["/bin/sleep", "100000"], &format!("sleeper-{}", peer.name))?;
        peer.call(place, &["run", "--detach", "--bundle", &text(&sleeper), "sleeper"])?;
    }
    for round in 0..rounds + WARM_UP {
        let keep = |samples: &mut Samples, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
            if round < WARM_UP { work() } else { samples.time(work) }
        };
        keep(&mut floor, &mut || expect(Command::new(bare).arg(&rootfs).arg(&leaf).arg("/bin/true")))?;
        for peer in &mut peers {
            let id = format!("once-{round}");
            let (mut run, mut exec, mut state) = Default::default();
            keep(&mut run, &mut || peer.call(place, &["run", "--bundle", &text(&once), &id]))?;
            keep(&mut exec, &mut || peer.call(place, &["exec", "sleeper", "/bin/true"]))?;
            keep(&mut state, &mut || peer.call(place, &["state", "sleeper"]))?;
            peer.run.append(run);
            peer.exec.append(exec);
            peer.state.append(state);
        }
    }
    for peer in &peers {
        peer.call(place, &["delete", "--force", "sleeper"])?;
    }
    Ok(report(&peers, &floor))
}

fn report(peers: &[Peer], floor: &Samples) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "## The runtime ({} rounds)\n", floor.len());
    let _ = writeln!(out, "Bare minimum, run of /bin/true: {}.\n", floor.text());
    let _ = writeln!(out, "| | run /bin/true | of the bare minimum | exec /bin/true | state |");
    let _ = writeln!(out, "|---|---|---|---|---|");
    for peer in peers {
        let (run, exec, state) = (peer.run.text(), peer.exec.text(), peer.state.text());
        let _ = writeln!(out, "| {} | {run} | {} | {exec} | {state} |", peer.name, peer.run.ratio(floor));
    }
    if let [husk, others @ ..] = peers {
        let _ = writeln!(out, "\n| husk's time as a part of | run | exec | state |\n|---|---|---|---|");
        for peer in others {
            let ratio = |a: &Samples, b: &Samples| a.ratio(b);
            let (run, exec) = (ratio(&husk.run, &peer.run), ratio(&husk.exec, &peer.exec));
            let _ =
                writeln!(out, "| {}'s | {run} | {exec} | {} |", peer.name, ratio(&husk.state, &peer.state));
        }
    }
    out
}

/// A bundle with busybox and the default configuration; the same for every runtime.
fn bundle(place: Place<'_>, args: &[&str], name: &str) -> Result<PathBuf> {
    let dir = place.work.join(format!("bundle-{name}"));
    for folder in ["bin", "dev", "proc", "sys", "etc", "tmp"] {
        std::fs::create_dir_all(dir.join("rootfs").join(folder))?;
    }
    std::fs::copy("/bin/busybox", dir.join("rootfs/bin/busybox")).context("busybox-static")?;
    for applet in ["true", "sleep", "sh"] {
        let _ = std::fs::hard_link(dir.join("rootfs/bin/busybox"), dir.join("rootfs/bin").join(applet));
    }
    expect(Command::new("runc").arg("spec").arg("--bundle").arg(&dir))
        .context("runc, for the default configuration")?;
    let path = dir.join("config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    spec["process"]["args"] = json!(args);
    spec["process"]["terminal"] = json!(false);
    spec["root"]["readonly"] = json!(false);
    // crun 1.8 wants to raise hard limits.
    spec["process"]["rlimits"] = json!([]);
    let group = place.group.strip_prefix(place.cgroups)?;
    spec["linux"]["cgroupsPath"] = json!(Path::new("/").join(group).join(name));
    std::fs::write(&path, serde_json::to_vec(&spec)?)?;
    Ok(dir)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn expect(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
