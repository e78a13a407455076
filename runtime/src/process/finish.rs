//! The last steps before the program: everything that it is not to have is taken away.

use super::{
    channel::{Channel, Message},
    creds,
    failure::{Failure, Result, Step as _},
    home,
    procfs::Proc,
    program, selinux,
};
use crate::{plan::process::Process, state::State};
use husk_sys::{Errno, fd, keyring, sched, seccomp, signal};
use rustix::{fs::Mode, thread::CpuSet};
use std::{
    convert::Infallible,
    ffi::CString,
    os::fd::{AsRawFd as _, RawFd},
    path::Path,
};

/// What the steps need besides the plan.
#[derive(Debug)]
pub struct Context<'a> {
    /// The program.
    pub process: &'a Process,
    /// The way to the parent.
    pub channel: &'a Channel,
    /// Name of the container's session keyring ([`keyring`]); none to keep the caller's.
    pub keyring: Option<CString>,
    /// Descriptors from 3 on that the program is to have.
    pub keep_fds: u32,
}

/// What is left to do once the program may start.
#[derive(Debug)]
pub struct Prepared {
    program: CString,
    /// The program's whole environment.
    pub env: Vec<CString>,
    seccomp_loaded: bool,
}

/// Takes rights away, as far as can be done before the start barrier. The order matters and is explained step by step.
/// `proc` is the host's procfs, opened before the container's mounts.
pub fn prepare(context: &Context<'_>, proc: &Proc) -> Result<Prepared> {
    let process = context.process;
    if let Some(name) = &context.keyring {
        selinux::label_keys(process, proc)?;
        join_keyring(name, context)?;
    }
    scheduling(process)?;
    labels(process, proc)?;
    for limit in &process.rlimits {
        rustix::process::setrlimit(limit.resource, limit.limit)
            .step(|| format!("set process.rlimits[{}] ({})", limit.index, limit.name))?;
    }
    rustix::process::umask(Mode::from_bits_retain(process.umask.unwrap_or(0o022)));
    // The directory may be one that only root may enter, or only the user: tried as both. Before the filter, which may deny
    // what finding out where one is takes.
    let entered = rustix::process::chdir(&process.cwd);
    if entered.is_ok() {
        cwd_is_inside()?;
    }
    // Without no_new_privs a filter may only be loaded with CAP_SYS_ADMIN, so before that is given up; with it the filter
    // comes as late as can be, so that it need not allow what husk does.
    let early = process.seccomp.is_some() && !process.no_new_privs;
    if early {
        // Now already: a profile from before Linux 5.9 does not know the call.
        close_others(context)?;
        load_seccomp(context)?;
    }
    creds::drop_bounding(process)?;
    creds::give_streams(process.uid, process.gid);
    creds::become_user(process)?;
    creds::set_capabilities(process, context.channel)?;
    if let Err(errno) = entered {
        enter_cwd(process, errno)?;
        cwd_is_inside()?;
    }
    if process.no_new_privs {
        rustix::thread::set_no_new_privs(true).step(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())?;
    }
    let program = program::find(process)?;
    let mut env = process.env.clone();
    env.retain(|entry| entry.as_bytes() != b"HOME=");
    env.extend(home::missing(&process.env, process.uid));
    let mut seccomp_loaded = early;
    // The parent has to hand the notification descriptor on, and `create` has no parent any more at its start.
    if process.seccomp.as_ref().is_some_and(|filter| filter.listener.is_some()) && !early {
        load_seccomp(context)?;
        seccomp_loaded = true;
    }
    Ok(Prepared { program, env, seccomp_loaded })
}

/// Loads the filter now, for what runs in the container before the program.
pub fn filter(context: &Context<'_>, prepared: &mut Prepared) -> Result<()> {
    if context.process.seccomp.is_some() && !prepared.seccomp_loaded {
        close_others(context)?;
        load_seccomp(context)?;
        prepared.seccomp_loaded = true;
    }
    Ok(())
}

/// Executes the program; returns only when that fails.
pub fn execute(context: &Context<'_>, prepared: &Prepared) -> Result<Infallible> {
    let process = context.process;
    for number in 3..first_closed(context) {
        // Those that are not open were refused when the command began.
        let _ = fd::keep_over_exec(number);
    }
    match close_others(context) {
        // What was opened since the filter was loaded has the flag from its beginning.
        Err(_) if prepared.seccomp_loaded => {}
        result => result?,
    }
    signal::reset();
    if process.seccomp.is_some() && !prepared.seccomp_loaded {
        load_seccomp(context)?;
    }
    let errno = husk_sys::exec::execve(&prepared.program, &process.args, &prepared.env);
    Err(program::not_started(process, errno))
}

/// Nothing that husk has open lives on in the container (CVE-2024-21626).
fn close_others(context: &Context<'_>) -> Result<()> {
    fd::close_on_exec_from(first_closed(context)).step(|| "close_range".into())
}

fn first_closed(context: &Context<'_>) -> RawFd {
    3 + context.keep_fds as RawFd
}

/// Name of the container's session keyring: made by its init, and joined by what `exec` adds.
pub fn keyring(state: &State) -> Option<CString> {
    // An id has no NUL in it (state::id).
    (!state.no_new_keyring).then(|| CString::new(format!("_ses.{}", state.id)).unwrap_or_default())
}

fn join_keyring(name: &std::ffi::CStr, context: &Context<'_>) -> Result<()> {
    match keyring::join_session(name) {
        Ok(id) => {
            // Fails where the kernel's limits on keys are reached; the program can live without.
            let _ = keyring::let_owner_search(id);
            Ok(())
        }
        // Kernels without keyrings, and containers around husk whose filter denies keyctl.
        Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        Err(errno) => context.channel.report(&Message::Warning(format!(
            "the container keeps the caller's session keyring: keyctl: {}",
            Failure::call("", errno)
        ))),
    }
}

fn scheduler_refused(attributes: &sched::Attributes, errno: Errno) -> String {
    let mut what = "set process.scheduler: sched_setattr".to_owned();
    // sched(7): SCHED_DEADLINE is for those that may run on every CPU.
    if attributes.policy == 6 && errno == Errno::PERM {
        what += ": this process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus), \
                 nor without CAP_SYS_NICE";
    }
    what
}

fn scheduling(process: &Process) -> Result<()> {
    let plan = &process.sched;
    if let Some(attributes) = &plan.scheduler {
        sched::set(attributes).map_err(|errno| Failure::call(scheduler_refused(attributes, errno), errno))?;
    }
    if let Some((class, level)) = plan.io_priority {
        sched::set_io_priority(class, level).step(|| "set process.ioPriority: ioprio_set".into())?;
    }
    if let Some(persona) = plan.personality {
        sched::set_personality(persona).step(|| "set linux.personality".into())?;
    }
    if let Some((mode, nodes)) = &plan.memory_policy {
        sched::set_memory_policy(*mode, nodes).step(|| "set linux.memoryPolicy: set_mempolicy".into())?;
    }
    Ok(())
}

/// Binds this process to CPUs (`process.execCPUAffinity`).
pub fn set_affinity(cpus: &[usize], field: &str) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    rustix::thread::sched_setaffinity(None, &set)
        .step(|| format!("set process.execCPUAffinity.{field}: sched_setaffinity"))
}

/// Takes off what the caller of husk was bound to. To be called in the container's cgroup, whose cpuset holds.
pub fn reset_affinity(channel: &Channel) -> Result<()> {
    match sched::allow_all_cpus() {
        Ok(()) => Ok(()),
        // A filter around husk may deny it.
        Err(errno) => channel.report(&Message::Warning(
            Failure::call("the program keeps the CPU affinity of husk's caller: sched_setaffinity", errno)
                .to_string(),
        )),
    }
}

/// Labels take effect at exec. They are written by a handle on the host's procfs (CVE-2019-16884).
fn labels(process: &Process, proc: &Proc) -> Result<()> {
    if let Some(profile) = &process.apparmor {
        let text = format!("exec {profile}");
        let what =
            || format!("set process.apparmorProfile {profile:?}; is AppArmor on and the profile loaded?");
        proc.write(Path::new("thread-self/attr/apparmor/exec"), text.as_bytes())
            // Before Linux 5.8 there is one attr directory for all modules.
            .or_else(|_| proc.write(Path::new("thread-self/attr/exec"), text.as_bytes()))
            .step(what)?;
    }
    selinux::label_program(process, proc)
}

fn load_seccomp(context: &Context<'_>) -> Result<()> {
    let Some(filter) = &context.process.seccomp else { return Ok(()) };
    let program: Vec<_> = filter
        .program
        .iter()
        .map(|i| seccomp::Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
        .collect();
    let listener = seccomp::load(&program, filter.flags).step(|| "load linux.seccomp".into())?;
    if let Some(listener) = listener {
        context.channel.report_listener(listener.as_raw_fd())?;
        // The parent takes it by number; until then it must stay open.
        context.channel.wait_for_go()?;
    }
    Ok(())
}

fn enter_cwd(process: &Process, first: Errno) -> Result<()> {
    rustix::process::chdir(&process.cwd).map_err(|errno| {
        // Why root could not enter says more than why the user could not, unless it was a matter of rights.
        program::no_cwd(process, if first == Errno::ACCESS { errno } else { first })
    })
}

/// A working directory outside the root has no path from it (CVE-2024-21626).
fn cwd_is_inside() -> Result<()> {
    let cwd = rustix::process::getcwd(Vec::new()).map_err(|errno| {
        Failure::call("the working directory (process.cwd) is outside the container's root: getcwd", errno)
    })?;
    if cwd.as_bytes().first() != Some(&b'/') {
        return Err(Failure::text("the working directory (process.cwd) is outside the container's root"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Errno, sched::Attributes, scheduler_refused};

    #[test]
    fn a_deadline_that_is_refused_is_told_with_what_it_needs() {
        let deadline = Attributes { policy: 6, ..Attributes::default() };
        assert!(scheduler_refused(&deadline, Errno::PERM).contains("linux.resources.cpu.cpus"));
        assert!(!scheduler_refused(&deadline, Errno::BUSY).contains("cpus"));
        assert!(!scheduler_refused(&Attributes::default(), Errno::PERM).contains("cpus"));
    }
}
