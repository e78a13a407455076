//! cgroups: groups, limits and devices against the real kernel, and the commands that use them.

mod commands;
mod devices;
mod group;
mod hardware;
mod limits;

use husk_cgroup::Cgroup;
use husk_tests::cgroup::Group;
use husk_tests::{Done, run};
use oci_spec::runtime::LinuxResources;
use std::process::{Child, Command, Stdio};

/// A group of the test's own, made.
fn make(prefix: &str) -> (Group, Cgroup) {
    let own = Group::reserve(prefix);
    let group = Cgroup::create(&own.dir()).unwrap();
    (own, group)
}

/// A shell that joins the group and then runs a script in which it has no part any more.
fn command(group: &Cgroup, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec sh -c \"$1\""]).arg(group.path()).arg(script);
    command
}

/// Runs a script in the group to its end.
#[track_caller]
fn inside(group: &Cgroup, script: &str) -> Done {
    run(&mut command(group, script))
}

/// A process of the test's, ended with the value.
struct Running(Child);

impl Running {
    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a script in the group, and waits until it has joined.
fn start(group: &Cgroup, script: &str) -> Running {
    let mut command = command(group, script);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    husk_tests::wait_until("the process has joined the group", || {
        group.pids().unwrap().contains(&running.pid())
    });
    running
}

/// `linux.resources` from its JSON.
fn resources(json: serde_json::Value) -> LinuxResources {
    serde_json::from_value(json).unwrap()
}

/// A file of the group.
fn file(group: &Cgroup, name: &str) -> String {
    let path = group.path().join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim()
        .to_string()
}
