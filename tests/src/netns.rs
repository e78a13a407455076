//! Network namespaces of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A network namespace with only loopback, up. It lives with a sleeping process of the test's, so it leaves nothing even
/// where the test is killed.
#[derive(Debug)]
pub struct NetNs {
    holder: Child,
}

impl NetNs {
    /// Makes the namespace.
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        let own = std::fs::read_link("/proc/self/ns/net").expect("own network namespace");
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "3600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("setpriv and unshare");
        let ns = Self { holder };
        crate::wait_until("the new network namespace", || {
            std::fs::read_link(ns.path()).is_ok_and(|link| link != own)
        });
        crate::run(ns.command("ip").args(["link", "set", "lo", "up"])).ok();
        ns
    }

    /// The namespace's file, for `linux.namespaces[].path` and the like. Valid while the value lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
