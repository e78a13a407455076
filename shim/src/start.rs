//! Becoming a daemon: `start` runs `serve` in a session of its own and waits until it listens.

use crate::args::Config;
use crate::server::Shim;
use husk_shim_api::{Listener, SOCKET_NAME};
use rustix::fs::Mode;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// An error that ends the program.
pub type Fatal = Box<dyn std::error::Error>;

/// What `serve` writes to its stdout once it listens.
const READY: &[u8] = b"ready\n";

/// Starts a shim and returns once its socket can be connected to.
pub fn start(config: &Config) -> Result<(), Fatal> {
    // What the daemon's own starter has left open is no business of the shim's and its containers'.
    husk_sys::fd::close_on_exec_from(3)?;
    make_dir(&config.dir)?;
    let errors =
        OpenOptions::new().create(true).append(true).mode(0o600).open(config.dir.join("shim.log"))?;
    let (mut ready, writer) = std::io::pipe()?;
    let child = Command::new("/proc/self/exe")
        .arg0("husk-shim")
        .arg("serve")
        .args(config.to_args())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(errors)
        .process_group(0)
        .spawn()?;
    // The child goes on as a child of whoever reaps for the daemon; it is not waited for.
    drop(child);
    let mut said = Vec::new();
    ready.read_to_end(&mut said)?;
    if said == READY {
        return Ok(());
    }
    let why = std::fs::read_to_string(config.dir.join("shim.log")).unwrap_or_default();
    let why = why.lines().last().unwrap_or("it said nothing");
    Err(format!("the shim of {} did not start: {why}", config.id).into())
}

use std::os::unix::process::CommandExt;

/// Makes `dir` (its parent exists) with mode 0700 or checks that nobody else can enter it.
fn make_dir(dir: &Path) -> Result<(), Fatal> {
    use std::os::unix::fs::MetadataExt;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("mkdir {}: {e}", dir.display()).into());
        }
        _ => {}
    }
    let meta = dir.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{} is not a directory of this user", dir.display()).into());
    }
    if meta.mode() & 0o077 != 0 {
        rustix::fs::chmod(dir, Mode::RWXU)?;
    }
    Ok(())
}

/// Serves until it is told to shut down.
pub fn serve(config: Config) -> Result<(), Fatal> {
    // Fails only where the caller has made this process a session leader already.
    let _ = rustix::process::setsid();
    make_dir(&config.dir)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    if let Some(cgroup) = &config.cgroup {
        join_cgroup(cgroup)?;
    }
    crate::oom_score::protect();
    let listener = Listener::bind(&config.dir.join(SOCKET_NAME))?;
    let mut shim = Shim::new(config, listener)?;
    let mut stdout = std::io::stdout();
    // A foreground caller may have closed it.
    let _ = stdout.write_all(READY).and_then(|()| stdout.flush());
    // `start` waits for the end of this pipe.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    drop(null);
    shim.run()?;
    Ok(())
}

fn join_cgroup(path: &Path) -> Result<(), Fatal> {
    let root = husk_cgroup::Hierarchy::detect()?;
    let path = root.root().join(path.strip_prefix("/").unwrap_or(path));
    let group = husk_cgroup::Cgroup::ensure(&path)?;
    group.add(std::process::id())?;
    Ok(())
}
