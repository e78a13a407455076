//! The program: what is the same for a container's first process and for one that `exec` adds.

use super::{
    Error, Result,
    caps::{self, Caps},
    rlimits, sched,
};
use oci_spec::runtime::{Linux, Process as OciProcess};
use std::{collections::HashMap, ffi::CString, path::PathBuf};

/// Most additional groups of a process (NGROUPS_MAX of the kernel).
const MAX_GROUPS: usize = 65536;

/// A program and how it runs.
#[derive(Clone, Debug)]
pub struct Process {
    /// argv.
    pub args: Vec<CString>,
    /// Environment.
    pub env: Vec<CString>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Columns and rows of the terminal, where given.
    pub console_size: Option<(u16, u16)>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Additional group ids.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Capabilities.
    pub caps: Caps,
    /// Resource limits.
    pub rlimits: Vec<rlimits::Limit>,
    /// Whether exec may never give rights.
    pub no_new_privs: bool,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// SELinux label.
    pub selinux: Option<String>,
    /// Likelihood to be chosen by the OOM killer.
    pub oom_score_adj: Option<i32>,
    /// Scheduling.
    pub sched: sched::Sched,
    /// System call filter.
    pub seccomp: Option<husk_seccomp::Filter>,
}

/// Plans the program. `linux` has the seccomp profile, personality and memory policy.
pub fn plan(process: &OciProcess, linux: &Linux) -> Result<Process> {
    let at = |field: &str| format!("process.{field}");
    let args = strings(&at("args"), process.args().as_deref().unwrap_or_default())?;
    if args.first().is_none_or(|program| program.is_empty()) {
        return Err(Error::new(at("args"), "is empty: it must name the program"));
    }
    let env = strings(&at("env"), process.env().as_deref().unwrap_or_default())?;
    for (index, entry) in env.iter().enumerate() {
        if !entry.as_bytes().contains(&b'=') || entry.as_bytes().first() == Some(&b'=') {
            let problem = format!("{:?} is not NAME=value", entry.to_string_lossy());
            return Err(Error::new(format!("process.env[{index}]"), problem));
        }
    }
    if !process.cwd().is_absolute() {
        let problem = format!("{:?} is not an absolute path", process.cwd().display());
        return Err(Error::new(at("cwd"), problem));
    }
    let user = process.user();
    let oom_score_adj = process.oom_score_adj();
    if let Some(value) = oom_score_adj.filter(|value| !(-1000..=1000).contains(value)) {
        return Err(Error::new(at("oomScoreAdj"), format!("{value} is not between -1000 and 1000")));
    }
    if let Some(umask) = user.umask().filter(|umask| *umask > 0o777) {
        return Err(Error::new(at("user.umask"), format!("{umask} is more than 511 (octal 777)")));
    }
    // 2^32-1 means "no id" to the kernel: setuid to it would change nothing (CVE-2024-40635's class).
    for (field, id) in [("user.uid", user.uid()), ("user.gid", user.gid())] {
        if id == u32::MAX {
            return Err(Error::new(at(field), "4294967295 is no id"));
        }
    }
    let groups = user.additional_gids().clone().unwrap_or_default();
    if groups.len() > MAX_GROUPS {
        let problem = format!("are {} groups, the kernel takes at most {MAX_GROUPS}", groups.len());
        return Err(Error::new(at("user.additionalGids"), problem));
    }
    if let Some(index) = groups.iter().position(|gid| *gid == u32::MAX) {
        return Err(Error::new(at(&format!("user.additionalGids[{index}]")), "4294967295 is no id"));
    }
    Ok(Process {
        args,
        env: last_of_each(env),
        cwd: process.cwd().clone(),
        terminal: process.terminal().unwrap_or(false),
        console_size: console_size(process)?,
        uid: user.uid(),
        gid: user.gid(),
        groups,
        umask: user.umask(),
        caps: caps::plan(process.capabilities().as_ref()),
        rlimits: rlimits::plan(process.rlimits().as_deref().unwrap_or_default())?,
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        apparmor: process.apparmor_profile().clone().filter(|profile| !profile.is_empty()),
        selinux: process.selinux_label().clone().filter(|label| !label.is_empty()),
        oom_score_adj,
        sched: scheduling(process, linux)?,
        seccomp: match linux.seccomp() {
            Some(profile) => {
                Some(husk_seccomp::compile(profile).map_err(|error| located(&error.to_string()))?)
            }
            None => None,
        },
    })
}

/// The seccomp crate's errors begin with the place.
fn located(text: &str) -> Error {
    let (path, problem) = text.split_once(": ").unwrap_or(("linux.seccomp", text));
    Error::new(path, problem)
}

fn scheduling(process: &OciProcess, linux: &Linux) -> Result<sched::Sched> {
    let cpus = |field: &str, list: Option<&String>| match list.filter(|list| !list.is_empty()) {
        // CPU_SETSIZE
        Some(list) => sched::number_list(&format!("process.execCPUAffinity.{field}"), list, 1023).map(Some),
        None => Ok(None),
    };
    let affinity = process.exec_cpu_affinity().as_ref();
    Ok(sched::Sched {
        scheduler: process.scheduler().as_ref().map(sched::scheduler).transpose()?,
        io_priority: process.io_priority().as_ref().map(sched::io_priority).transpose()?,
        cpus_initial: cpus("initial", affinity.and_then(|a| a.initial().as_ref()))?,
        cpus_final: cpus("final", affinity.and_then(|a| a.cpu_affinity_final().as_ref()))?,
        personality: linux.personality().as_ref().map(sched::personality).transpose()?,
        memory_policy: linux.memory_policy().as_ref().map(sched::memory_policy).transpose()?,
    })
}

fn console_size(process: &OciProcess) -> Result<Option<(u16, u16)>> {
    let Some(size) = process.console_size() else { return Ok(None) };
    let convert = |field: &str, value: u64| {
        u16::try_from(value).map_err(|_| {
            Error::new(format!("process.consoleSize.{field}"), format!("{value} is more than 65535"))
        })
    };
    Ok(Some((convert("width", size.width())?, convert("height", size.height())?)))
}

/// Of entries with the same name, the last one, at the place of the first: programs see only the first one they find.
fn last_of_each(env: Vec<CString>) -> Vec<CString> {
    let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(env.len());
    let mut out: Vec<CString> = Vec::with_capacity(env.len());
    for entry in env {
        let name = entry.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
        match places.get(&name).and_then(|place| out.get_mut(*place)) {
            Some(earlier) => *earlier = entry,
            None => {
                places.insert(name, out.len());
                out.push(entry);
            }
        }
    }
    out
}

/// C strings; a NUL inside would cut the string for the kernel.
fn strings(path: &str, strings: &[String]) -> Result<Vec<CString>> {
    let convert = |(index, string): (usize, &String)| {
        CString::new(string.as_bytes())
            .map_err(|_| Error::new(format!("{path}[{index}]"), format!("{string:?} has a NUL byte in it")))
    };
    strings.iter().enumerate().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use crate::plan::testing::plan_with;

    #[test]
    fn wrong_processes_name_their_place() {
        for (pointer, value, path) in [
            ("args", serde_json::json!([]), "process.args"),
            ("args", serde_json::json!(["a\u{0}b"]), "process.args[0]"),
            ("env", serde_json::json!(["A=1", "B"]), "process.env[1]"),
            ("env", serde_json::json!(["=x"]), "process.env[0]"),
            ("cwd", serde_json::json!("rel"), "process.cwd"),
            ("oomScoreAdj", serde_json::json!(1001), "process.oomScoreAdj"),
            ("user", serde_json::json!({"uid": 4_294_967_295_u32, "gid": 0}), "process.user.uid"),
            ("user", serde_json::json!({"uid": 0, "gid": 0, "umask": 512}), "process.user.umask"),
            (
                "user",
                serde_json::json!({"uid": 0, "gid": 0, "additionalGids": [7, 4_294_967_295_u32]}),
                "process.user.additionalGids[1]",
            ),
            (
                "user",
                serde_json::json!({"uid": 0, "gid": 0, "additionalGids": vec![7; 65537]}),
                "process.user.additionalGids",
            ),
            ("consoleSize", serde_json::json!({"height": 70000, "width": 1}), "process.consoleSize.height"),
        ] {
            let error = plan_with(|c| c["process"][pointer] = value).unwrap_err();
            assert_eq!(error.path, path);
        }
    }

    #[test]
    fn of_a_name_that_is_set_twice_the_last_value_counts() {
        let plan = plan_with(|c| c["process"]["env"] = serde_json::json!(["A=1", "B=2", "A=3=4"])).unwrap();
        assert_eq!(plan.process.unwrap().env, [c"A=3=4".to_owned(), c"B=2".to_owned()]);
    }

    #[test]
    fn a_process_without_options_has_no_rights() {
        let process = plan_with(|_| {}).unwrap().process.unwrap();
        assert_eq!(process.caps.bounding, 0);
        assert!(!process.no_new_privs && !process.terminal);
    }
}
