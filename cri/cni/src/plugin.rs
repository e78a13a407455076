//! One run of one plugin: its input, its answer, and an end in time.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde_json::Value;

use crate::error::Error;

/// A result is some kilobytes long; a plugin that writes more than this has lost its way.
const MAX_ANSWER: usize = 1 << 20;
/// What is kept of a plugin's standard error.
const MAX_NOISE: usize = 4096;
/// Where plugins look for iptables and the like when the daemon was started with no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A plugin's program.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    /// The plugin's type.
    pub kind: String,
    /// Its file.
    pub program: PathBuf,
    /// Limit for one call.
    pub timeout: Duration,
}

/// The parameters that go by environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub command: &'static str,
    pub id: String,
    pub netns: PathBuf,
    pub ifname: String,
    pub args: String,
    /// `CNI_PATH`, for plugins that call plugins (IPAM).
    pub path: String,
}

impl Call {
    /// A call about no sandbox.
    pub(crate) fn bare(command: &'static str) -> Self {
        Self { command, ..Self::default() }
    }

    fn env(&self) -> Vec<(&'static str, &std::ffi::OsStr)> {
        let all = [
            ("CNI_COMMAND", self.command.as_ref()),
            ("CNI_CONTAINERID", self.id.as_ref()),
            ("CNI_NETNS", self.netns.as_os_str()),
            ("CNI_IFNAME", self.ifname.as_ref()),
            ("CNI_ARGS", self.args.as_ref()),
            ("CNI_PATH", self.path.as_ref()),
        ];
        all.into_iter().filter(|(_, value): &(_, &std::ffi::OsStr)| !value.is_empty()).collect()
    }
}

impl Plugin {
    /// Finds the program of `kind` in `dirs`.
    pub(crate) fn find(kind: &str, dirs: &[PathBuf], timeout: Duration) -> Result<Self, Error> {
        let runnable = |p: &PathBuf| {
            std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        let program = dirs.iter().map(|d| d.join(kind)).find(runnable);
        let missing = || Error::PluginMissing { plugin: kind.to_owned(), dirs: dirs.to_owned() };
        Ok(Self { kind: kind.to_owned(), program: program.ok_or_else(missing)?, timeout })
    }

    /// Runs the plugin and gives its answer; `Null` where it wrote nothing.
    pub(crate) fn run(&self, call: &Call, conf: &Value) -> Result<Value, Error> {
        let started = Instant::now();
        let child = self.spawn(call, started)?;
        let input = conf.to_string().into_bytes();
        let (status, answer, noise) =
            Session { plugin: self, command: call.command, child }.talk(&input, started)?;
        let parsed: Result<Value, _> = match answer.trim_ascii() {
            [] => Ok(Value::Null),
            text => serde_json::from_slice(text),
        };
        if !status.success() {
            return Err(self.refusal(call.command, status, parsed.as_ref().ok(), &answer, &noise));
        }
        parsed
            .map_err(|e| self.bad_output(call.command, format!("no JSON ({e}): {}", start_of_bytes(&answer))))
    }

    fn spawn(&self, call: &Call, started: Instant) -> Result<Child, Error> {
        let mut command = Command::new(&self.program);
        for inherited in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"]
        {
            command.env_remove(inherited);
        }
        if std::env::var_os("PATH").is_none_or(|p| p.is_empty()) {
            command.env("PATH", PATH);
        }
        command.envs(call.env()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what the plugin started can be ended with it.
        command.process_group(0);
        loop {
            match command.spawn() {
                // The program is just being replaced by a newer one, or another thread's fork still
                // holds it open for writing.
                Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && started.elapsed().as_secs() < 2 => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(Error::io("execve", &self.program, e)),
                Ok(child) => return Ok(child),
            }
        }
    }

    /// The error of a plugin that ended with a failure: its own words where it has some.
    fn refusal(
        &self,
        command: &'static str,
        status: ExitStatus,
        answer: Option<&Value>,
        text: &[u8],
        noise: &[u8],
    ) -> Error {
        let field = |name: &str| answer.and_then(|a| a.get(name)?.as_str()).unwrap_or_default();
        let (msg, details) = (field("msg"), field("details"));
        let message = match (msg.is_empty(), details.is_empty()) {
            (false, true) => one_line(msg),
            (false, false) => format!("{}: {}", one_line(msg), one_line(details)),
            (true, false) => one_line(details),
            (true, true) => {
                let said = if noise.trim_ascii().is_empty() { text } else { noise };
                format!("{status}, {}", start_of_bytes(said))
            }
        };
        let code = answer.and_then(|a| a.get("code")?.as_u64());
        Error::Plugin { plugin: self.kind.clone(), command, message, code }
    }

    fn bad_output(&self, command: &'static str, what: String) -> Error {
        Error::Output { plugin: self.kind.clone(), command, what }
    }
}

/// A plugin under way.
struct Session<'a> {
    plugin: &'a Plugin,
    command: &'static str,
    child: Child,
}

impl Session<'_> {
    /// Feeds and reads the plugin until it exits. On a limit it is killed with its group.
    fn talk(mut self, input: &[u8], started: Instant) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), Error> {
        match self.exchange(input, started) {
            Ok((answer, noise)) => {
                let status = self.child.wait().map_err(|e| Error::io("waitid", &self.plugin.program, e))?;
                Ok((status, answer, noise))
            }
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    fn exchange(&mut self, input: &[u8], started: Instant) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let program = self.plugin.program.clone();
        let failed = |call| move |e: Errno| Error::io(call, &program, e);
        let exited = self.pidfd()?;
        let (mut stdin, mut stdout, mut stderr) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        for fd in [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ] {
            fd.map_or(Ok(()), |fd| rustix::io::ioctl_fionbio(fd, true)).map_err(failed.clone()("ioctl"))?;
        }
        let (mut sent, mut answer, mut noise) = (0, Vec::new(), Vec::new());
        loop {
            let left = self.plugin.timeout.checked_sub(started.elapsed()).ok_or_else(|| self.late())?;
            let done = wait(&exited, stdin.as_ref(), stdout.as_ref(), stderr.as_ref(), left)
                .map_err(failed.clone()("poll"))?;
            if let Some(pipe) = &mut stdin {
                match pipe.write(&input[sent..]) {
                    Ok(n) => sent += n,
                    Err(e) if is_later(&e) => {}
                    // The plugin does not want to read it all: that is its affair.
                    Err(_) => sent = input.len(),
                }
                if sent == input.len() {
                    stdin = None;
                }
            }
            drain(&mut stdout, &mut answer, MAX_ANSWER);
            drain(&mut stderr, &mut noise, MAX_NOISE);
            if answer.len() > MAX_ANSWER {
                let what = format!("more than {MAX_ANSWER} bytes");
                return Err(self.plugin.bad_output(self.command, what));
            }
            if done {
                return Ok((answer, noise));
            }
        }
    }

    fn late(&self) -> Error {
        Error::Timeout { plugin: self.plugin.kind.clone(), command: self.command, after: self.plugin.timeout }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn pidfd(&self) -> Result<OwnedFd, Error> {
        let pid = self.pid().ok_or(Errno::SRCH);
        pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|e| Error::io("pidfd_open", &self.plugin.program, e))
    }

    /// Kills the plugin's group while its leader is not reaped yet, as the number is ours until then.
    fn end(mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        // A process in an uninterruptible sleep dies when it wakes: nobody waits for that here.
        std::thread::spawn(move || self.child.wait());
    }
}

/// Waits until something can be done; true once the plugin has exited.
fn wait(
    exited: &OwnedFd,
    stdin: Option<&impl AsFd>,
    stdout: Option<&impl AsFd>,
    stderr: Option<&impl AsFd>,
    left: Duration,
) -> Result<bool, Errno> {
    let mut fds = vec![PollFd::new(exited, PollFlags::IN)];
    fds.extend(stdin.map(|fd| PollFd::new(fd, PollFlags::OUT)));
    fds.extend(stdout.map(|fd| PollFd::new(fd, PollFlags::IN)));
    fds.extend(stderr.map(|fd| PollFd::new(fd, PollFlags::IN)));
    let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
    match poll(&mut fds, Some(&left)) {
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e),
        Ok(_) => Ok(fds[0].revents().contains(PollFlags::IN)),
    }
}

/// Reads what is there; keeps a little more than `keep` bytes and drops the rest.
fn drain<R: Read + AsFd>(pipe: &mut Option<R>, into: &mut Vec<u8>, keep: usize) {
    let Some(open) = pipe else { return };
    let mut chunk = [0; 16 << 10];
    // Bounded, so that an endless writer can't keep the loop from looking at the clock.
    for _ in 0..64 {
        match open.read(&mut chunk) {
            Ok(0) => {
                *pipe = None;
                return;
            }
            Ok(n) if into.len() <= keep => into.extend_from_slice(&chunk[..n]),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                if !is_later(&e) {
                    *pipe = None;
                }
                return;
            }
        }
    }
}

fn is_later(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The first words of a text that may be long, hostile or empty, on one line.
pub(crate) fn start_of(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(300) {
        _ if line.is_empty() => "nothing written".into(),
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn start_of_bytes(bytes: &[u8]) -> String {
    start_of(&String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NOISE)]))
}

fn one_line(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

/// `CNI_PATH` for `dirs`.
pub(crate) fn joined_path(dirs: &[PathBuf]) -> String {
    let dirs: Vec<_> = dirs.iter().map(|d: &PathBuf| Path::display(d).to_string()).collect();
    dirs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A plugin that is a shell script.
    fn script(dir: &Path, text: &str, seconds: f32) -> Plugin {
        let path = dir.join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Plugin::find("script", &[dir.join("absent"), dir.to_owned()], Duration::from_secs_f32(seconds))
            .unwrap()
    }

    fn run(text: &str, seconds: f32) -> Result<Value, Error> {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), text, seconds).run(&Call::bare("ADD"), &json!({"name": "n"}))
    }

    #[test]
    fn environment_and_input_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = script(
            dir.path(),
            r#"printf '{"in": %s, "env": "%s|%s|%s"}' "$(cat)" "$CNI_COMMAND" "$CNI_ARGS" "$CNI_NETNS""#,
            60.0,
        );
        let call = Call { args: "A=b;C=d".into(), netns: "/ns".into(), ..Call::bare("CHECK") };
        let answer = plugin.run(&call, &json!({"name": "n"})).unwrap();
        assert_eq!(answer, json!({"in": {"name": "n"}, "env": "CHECK|A=b;C=d|/ns"}));
    }

    #[test]
    fn an_input_that_nobody_reads_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let long = json!({"name": "n".repeat(1 << 20)});
        let answer = script(dir.path(), "echo '{}'", 60.0).run(&Call::bare("ADD"), &long).unwrap();
        assert_eq!(answer, json!({}));
    }

    #[test]
    fn silence_is_null_and_words_are_an_error() {
        assert_eq!(run("exit 0", 60.0).unwrap(), Value::Null);
        let said = run("echo hello world", 60.0).unwrap_err().to_string();
        assert!(
            said.starts_with("CNI plugin script answered ADD with no JSON") && said.contains("hello world"),
            "{said}"
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_plugin_s_words_on_one_line() {
        let said =
            run(r#"printf '{"code":11,"msg":"no range\\nleft","details":"10.0.0.0/30"}'; exit 1"#, 60.0);
        let said = said.unwrap_err().to_string();
        assert_eq!(said, "CNI plugin script failed at ADD: no range left: 10.0.0.0/30");
        let said = run("echo 'panic: at the disco' >&2; exit 2", 60.0).unwrap_err().to_string();
        assert_eq!(said, "CNI plugin script failed at ADD: exit status: 2, panic: at the disco");
        let said = run("kill -9 $$", 60.0).unwrap_err().to_string();
        assert_eq!(said, "CNI plugin script failed at ADD: signal: 9 (SIGKILL), nothing written");
    }

    #[test]
    fn endless_output_is_bounded_in_answer_and_noise() {
        let said = run("exec yes", 60.0).unwrap_err().to_string();
        assert_eq!(said, "CNI plugin script answered ADD with more than 1048576 bytes");
        let said = run("exec yes >&2", 0.5).unwrap_err().to_string();
        assert!(said.contains("did not finish ADD within 0.5 s and was killed"), "{said}");
    }

    #[test]
    fn a_plugin_that_hangs_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let (pids, text) =
            (dir.path().join("pids"), "sleep 1000 & echo $$ $! > $0.tmp; mv $0.tmp ${0%script}pids; wait");
        let said = script(dir.path(), text, 5.0).run(&Call::bare("DEL"), &json!({})).unwrap_err();
        assert!(matches!(said, Error::Timeout { .. }), "{said}");
        let pids = std::fs::read_to_string(pids).unwrap();
        let alive = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while pids.split_whitespace().any(alive) {
            assert!(Instant::now() < deadline, "of {pids} something is still alive");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_child_that_keeps_the_pipe_open_delays_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = script(dir.path(), "sleep 1000 & echo \"{\\\"pid\\\": $!}\"", 60.0);
        // Were the end of the pipe awaited, this would be a timeout.
        let answer = plugin.run(&Call::bare("ADD"), &json!({})).unwrap();
        let pid = answer["pid"].as_i64().and_then(|p| Pid::from_raw(p as i32)).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[test]
    fn a_missing_plugin_is_named_with_the_directories() {
        let said = Plugin::find("nope", &["/a".into(), "/b".into()], Duration::ZERO).unwrap_err().to_string();
        assert_eq!(said, "CNI plugin nope is not in /a:/b");
    }
}
