//! A profile, resolved: per ABI, what happens to each system call number. Order and precedence are decided here, once.
//!
//! They are the field's (runc with libseccomp), so that a profile means the same under husk:
//! - a rule with the default action is void, even where it stands before another rule for the same call;
//! - a rule without conditions beats all rules with conditions; of two such, the first counts;
//! - of rules with conditions, the first one that matches counts;
//! - conditions of one rule must all hold, but if two of them are about the same argument, any of them does.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

use crate::Error;
use crate::arch::{Abi, is_known, multiplexed};

/// SECCOMP_RET_ERRNO | ENOSYS
pub(crate) const RET_ENOSYS: u32 = 0x0005_0000 | 38;
/// SECCOMP_RET_KILL_PROCESS
pub(crate) const RET_KILL_PROCESS: u32 = 0x8000_0000;

const EPERM: u32 = 1;
const MAX_ERRNO: u32 = 4095;

/// The whole profile.
#[derive(Debug)]
pub(crate) struct Model {
    /// SECCOMP_RET_* for what no rule is about.
    pub default: u32,
    /// One per ABI, sorted.
    pub tables: Vec<Table>,
    /// Rules use SCMP_ACT_NOTIFY.
    pub notifies: bool,
    /// Names that no architecture has.
    pub unknown: Vec<String>,
}

/// What happens to the calls of one ABI.
#[derive(Debug)]
pub(crate) struct Table {
    pub abi: Abi,
    pub calls: BTreeMap<u32, Decision>,
    /// Calls above this number answer ENOSYS.
    pub newest: Option<u32>,
}

/// What happens to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Always this.
    Always(u32),
    /// The first rule that matches, else the default.
    Rules(Vec<Rule>),
}

/// Conditions that must all hold, and the action then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

/// A comparison of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub index: usize,
    pub op: Op,
    pub value: u64,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    /// Equal under this mask.
    Masked(u64),
}

impl Model {
    /// Resolves `profile` for the ABIs `abis`.
    pub(crate) fn new(profile: &LinuxSeccomp, abis: &[Abi]) -> Result<Model, Error> {
        let default = action(profile.default_action(), profile.default_errno_ret(), "default", || {
            "linux.seccomp.defaultErrnoRet".into()
        })?;
        if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
            return Err(Error::NotifyByDefault);
        }
        let mut model = Model {
            default,
            tables: abis
                .iter()
                .map(|abi| Table { abi: *abi, calls: BTreeMap::new(), newest: None })
                .collect(),
            notifies: false,
            unknown: Vec::new(),
        };
        for (i, syscall) in profile.syscalls().iter().flatten().enumerate() {
            model.add(i, syscall)?;
        }
        if !gets_enosys_stub(profile.default_action(), default) {
            model.tables.iter_mut().for_each(|t| t.newest = None);
        }
        Ok(model)
    }

    fn add(&mut self, i: usize, syscall: &LinuxSyscall) -> Result<(), Error> {
        let action = action(syscall.action(), syscall.errno_ret(), "rule", || {
            format!("linux.seccomp.syscalls[{i}].errnoRet")
        })?;
        if syscall.names().is_empty() {
            return Err(Error::NoNames { rule: i });
        }
        let rules = conditions(i, syscall.args().as_deref().unwrap_or_default())?;
        let notify = syscall.action() == LinuxSeccompAction::ScmpActNotify;
        for name in syscall.names() {
            if name.is_empty() {
                return Err(Error::EmptyName { rule: i });
            }
            if notify && name == "write" {
                return Err(Error::NotifyOfWrite { rule: i });
            }
            if !is_known(name) && !self.unknown.contains(name) {
                self.unknown.push(name.clone());
            }
            self.notifies |= notify;
            for table in &mut self.tables {
                table.add(name, &rules, action, self.default);
            }
        }
        Ok(())
    }
}

impl Table {
    fn add(&mut self, name: &str, rules: &[Vec<Condition>], action: u32, default: u32) {
        if let Some(nr) = self.abi.number(name) {
            self.newest = self.newest.max(Some(nr));
            if action != default {
                self.decide(nr, rules, action);
            }
        }
        // An argument of a multiplexed call lies in memory, where BPF cannot look: only rules without conditions reach it.
        if self.abi == Abi::X86
            && action != default
            && rules.is_empty()
            && let Some((through, value)) = multiplexed(name)
            && let Some(nr) = self.abi.number(through)
        {
            self.decide(nr, &[vec![Condition { index: 0, op: Op::Eq, value }]], action);
        }
    }

    fn decide(&mut self, nr: u32, rules: &[Vec<Condition>], action: u32) {
        let decision = self.calls.entry(nr).or_insert_with(|| Decision::Rules(Vec::new()));
        match decision {
            Decision::Always(_) => {}
            Decision::Rules(_) if rules.is_empty() => *decision = Decision::Always(action),
            Decision::Rules(list) => {
                list.extend(rules.iter().map(|conditions| Rule { conditions: conditions.clone(), action }));
            }
        }
    }
}

/// The alternatives of one rule, each a list of conditions that must all hold; none where there are no conditions.
fn conditions(rule: usize, args: &[LinuxSeccompArg]) -> Result<Vec<Vec<Condition>>, Error> {
    let mut seen = [false; 6];
    let mut twice = false;
    let mut list = Vec::with_capacity(args.len());
    for (i, arg) in args.iter().enumerate() {
        let seen = seen.get_mut(arg.index()).ok_or(Error::BadIndex { rule, arg: i, index: arg.index() })?;
        twice |= std::mem::replace(seen, true);
        list.push(condition(arg));
    }
    Ok(match (list.is_empty(), twice) {
        (true, _) => Vec::new(),
        (false, true) => list.into_iter().map(|c| vec![c]).collect(),
        (false, false) => vec![list],
    })
}

fn condition(arg: &LinuxSeccompArg) -> Condition {
    use LinuxSeccompOperator as O;
    let (op, value) = match arg.op() {
        O::ScmpCmpNe => (Op::Ne, arg.value()),
        O::ScmpCmpLt => (Op::Lt, arg.value()),
        O::ScmpCmpLe => (Op::Le, arg.value()),
        O::ScmpCmpEq => (Op::Eq, arg.value()),
        O::ScmpCmpGe => (Op::Ge, arg.value()),
        O::ScmpCmpGt => (Op::Gt, arg.value()),
        // Here alone `value` is the mask and `valueTwo` what is compared.
        O::ScmpCmpMaskedEq => (Op::Masked(arg.value()), arg.value_two().unwrap_or(0) & arg.value()),
    };
    Condition { index: arg.index(), op, value }
}

/// SECCOMP_RET_* of an action.
fn action(
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    what: &'static str,
    path: impl Fn() -> String,
) -> Result<u32, Error> {
    use LinuxSeccompAction as A;
    let (base, max) = match action {
        A::ScmpActKillProcess => (RET_KILL_PROCESS, 0),
        A::ScmpActKill | A::ScmpActKillThread => (0, 0),
        A::ScmpActTrap => (0x0003_0000, 0),
        A::ScmpActErrno => (0x0005_0000, MAX_ERRNO),
        A::ScmpActNotify => (0x7fc0_0000, 0),
        A::ScmpActTrace => (0x7ff0_0000, 0xffff),
        A::ScmpActLog => (0x7ffc_0000, 0),
        A::ScmpActAllow => (0x7fff_0000, 0),
    };
    if max == 0 {
        return match errno_ret {
            None => Ok(base),
            // "When the action doesn't support an errno, the runtime MUST print and error and fail."
            Some(value) => Err(Error::ErrnoOfNoUse { path: path(), value, action: action.to_string() }),
        };
    }
    let data = errno_ret.unwrap_or(EPERM);
    if data > max {
        return Err(Error::BadErrno { path: path(), what, value: data, max });
    }
    Ok(base | data)
}

/// A program that tries a call which is newer than the profile must get ENOSYS, or it will not fall back to the older one.
/// Not where the default lets calls through, or hands them to a tracer that knows what to do with new ones.
fn gets_enosys_stub(default: LinuxSeccompAction, ret: u32) -> bool {
    use LinuxSeccompAction as A;
    ret != RET_ENOSYS && !matches!(default, A::ScmpActAllow | A::ScmpActLog | A::ScmpActTrace)
}
