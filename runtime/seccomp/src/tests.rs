//! Compiled programs, interpreted, against a second reading of the profile that is as plain as can be.

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompOperator as O, LinuxSyscall};
use proptest::prelude::*;

use crate::interpreter::{Call, run};
use crate::{Abi, Error, Filter, compile_for, default_profile};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

fn profile(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

fn filter(json: &str) -> Filter {
    compile_for(&profile(json), Abi::X86_64).unwrap()
}

fn ask(filter: &Filter, abi: Abi, name: &str, args: &[u64]) -> u32 {
    let mut call = Call { nr: abi.number(name).unwrap(), arch: abi.audit(), ..Call::default() };
    call.args[..args.len()].copy_from_slice(args);
    run(&filter.program, &call)
}

#[test]
fn every_action() {
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/agent","syscalls":[
        {"names":["read"],"action":"SCMP_ACT_KILL"},{"names":["open"],"action":"SCMP_ACT_KILL_THREAD"},
        {"names":["close"],"action":"SCMP_ACT_KILL_PROCESS"},{"names":["stat"],"action":"SCMP_ACT_TRAP"},
        {"names":["fstat"],"action":"SCMP_ACT_ERRNO","errnoRet":5},{"names":["lstat"],"action":"SCMP_ACT_ERRNO"},
        {"names":["poll"],"action":"SCMP_ACT_TRACE","errnoRet":7},{"names":["lseek"],"action":"SCMP_ACT_LOG"},
        {"names":["mmap"],"action":"SCMP_ACT_NOTIFY"},{"names":["brk"],"action":"SCMP_ACT_ERRNO","errnoRet":0}]}"#,
    );
    let expected = [
        ("read", 0),
        ("open", 0),
        ("close", KILL),
        ("stat", 0x0003_0000),
        ("fstat", ERRNO | 5),
        ("lstat", ERRNO | 1),
        ("poll", 0x7ff0_0007),
        ("lseek", 0x7ffc_0000),
        ("mmap", 0x7fc0_0000),
        ("brk", ERRNO),
        ("write", ALLOW),
        ("mseal", ALLOW),
    ];
    for (name, action) in expected {
        assert_eq!(ask(&f, Abi::X86_64, name, &[]), action, "{name}");
    }
    assert_eq!(f.listener.unwrap().path.to_str(), Some("/run/agent"));
    assert_eq!(f.flags, 4 | 8);
}

#[test]
fn other_architectures_are_killed_unless_listed() {
    let f = filter(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#);
    assert_eq!(ask(&f, Abi::X86_64, "read", &[]), ALLOW);
    for abi in [Abi::X86, Abi::X32, Abi::Aarch64] {
        assert_eq!(ask(&f, abi, "read", &[]), KILL);
    }
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32","SCMP_ARCH_ARM"],
        "syscalls":[{"names":["ptrace"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    for abi in [Abi::X86_64, Abi::X86, Abi::X32] {
        assert_eq!(ask(&f, abi, "read", &[]), ALLOW);
        assert_eq!(ask(&f, abi, "ptrace", &[]), ERRNO | 1);
    }
    assert_eq!(f.foreign_architectures, ["SCMP_ARCH_ARM"]);
    // 26 is ptrace for x86 and msync for x86_64.
    assert_eq!(ask(&f, Abi::X86_64, "msync", &[]), ALLOW);
}

#[test]
fn a_call_that_a_tracer_skipped_gets_the_default() {
    for archs in ["", r#""architectures":["SCMP_ARCH_X32"],"#] {
        let f = filter(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO",{archs}"syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW"}}]}}"#
        ));
        let call = Call { nr: u32::MAX, arch: Abi::X86_64.audit(), ..Call::default() };
        assert_eq!(run(&f.program, &call), ERRNO | 1);
    }
}

#[test]
fn newer_calls_than_the_profile_get_enosys() {
    let text = |default: &str| {
        format!(
            r#"{{"defaultAction":"{default}","syscalls":[{{"names":["read","statx"],"action":"SCMP_ACT_LOG"}}]}}"#
        )
    };
    let f = filter(&text("SCMP_ACT_ERRNO"));
    assert_eq!(ask(&f, Abi::X86_64, "userfaultfd", &[]), ERRNO | 1);
    assert_eq!(ask(&f, Abi::X86_64, "openat2", &[]), ERRNO | 38);
    let f = filter(&text("SCMP_ACT_KILL_PROCESS"));
    assert_eq!(ask(&f, Abi::X86_64, "openat2", &[]), ERRNO | 38);
    assert_eq!(ask(&f, Abi::X86_64, "write", &[]), KILL);
    let f = filter(&text("SCMP_ACT_ALLOW"));
    assert_eq!(ask(&f, Abi::X86_64, "openat2", &[]), ALLOW);
}

#[test]
fn precedence_is_that_of_the_field() {
    // Without conditions beats with; the first of two; a rule with the default action is void.
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
        {"names":["personality"],"action":"SCMP_ACT_ERRNO"},
        {"names":["personality","kill"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]},
        {"names":["kill"],"action":"SCMP_ACT_ERRNO","errnoRet":3},
        {"names":["kill"],"action":"SCMP_ACT_ALLOW"}]}"#,
    );
    assert_eq!(ask(&f, Abi::X86_64, "personality", &[8]), ALLOW);
    assert_eq!(ask(&f, Abi::X86_64, "personality", &[9]), ERRNO | 1);
    assert_eq!(ask(&f, Abi::X86_64, "kill", &[8]), ERRNO | 3);
}

#[test]
fn two_conditions_on_one_argument_are_alternatives() {
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[
        {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
        {"names":["dup2"],"action":"SCMP_ACT_ALLOW","args":[
        {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#,
    );
    assert_eq!(ask(&f, Abi::X86_64, "socket", &[1]), ALLOW);
    assert_eq!(ask(&f, Abi::X86_64, "socket", &[2]), ALLOW);
    assert_eq!(ask(&f, Abi::X86_64, "socket", &[3]), ERRNO | 1);
    assert_eq!(ask(&f, Abi::X86_64, "dup2", &[1, 2]), ALLOW);
    assert_eq!(ask(&f, Abi::X86_64, "dup2", &[1, 3]), ERRNO | 1);
}

#[test]
fn socketcall_follows_rules_without_conditions() {
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
        "syscalls":[{"names":["listen","shmget"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    assert_eq!(ask(&f, Abi::X86, "listen", &[]), ERRNO | 1);
    assert_eq!(ask(&f, Abi::X86, "socketcall", &[4]), ERRNO | 1);
    assert_eq!(ask(&f, Abi::X86, "socketcall", &[5]), ALLOW);
    assert_eq!(ask(&f, Abi::X86, "ipc", &[23]), ERRNO | 1);
}

#[test]
fn errors_name_the_place() {
    let fails = |json: &str| compile_for(&profile(json), Abi::X86_64).unwrap_err().to_string();
    let with = |rule: &str| fails(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#));
    assert!(with(r#"{"names":[],"action":"SCMP_ACT_LOG"}"#).starts_with("linux.seccomp.syscalls[0].names"));
    assert!(with(r#"{"names":[""],"action":"SCMP_ACT_LOG"}"#).starts_with("linux.seccomp.syscalls[0].names"));
    assert_eq!(
        with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":5000}"#),
        "linux.seccomp.syscalls[0].errnoRet: 5000 is more than the 4095 that a rule action can return"
    );
    assert!(
        with(
            r#"{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}"#
        )
        .starts_with("linux.seccomp.syscalls[0].args[0].index: 6 is no argument")
    );
    assert!(
        with(r#"{"names":["read"],"action":"SCMP_ACT_NOTIFY"}"#)
            .starts_with("linux.seccomp.listenerPath: must be set")
    );
    assert!(
        with(r#"{"names":["write"],"action":"SCMP_ACT_NOTIFY"}"#)
            .contains("cannot be used for the write syscall")
    );
    assert!(fails(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#).starts_with("linux.seccomp.defaultAction"));
    assert!(
        fails(r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"x"}"#)
            .starts_with("linux.seccomp.listenerMetadata")
    );
    assert_eq!(
        with(r#"{"names":["read"],"action":"SCMP_ACT_LOG","errnoRet":1}"#),
        "linux.seccomp.syscalls[0].errnoRet: 1 is of no use, SCMP_ACT_LOG returns no error number"
    );
    assert!(filter(r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#).listener.is_none());
}

#[test]
fn unknown_names_are_listed() {
    let f = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["nonsense","set_tls","nonsense"],"action":"SCMP_ACT_LOG"}]}"#,
    );
    assert_eq!(f.unknown_syscalls, ["nonsense"]);
}

#[test]
fn too_long_a_profile_is_an_error() {
    let rules: Vec<String> = (0..2000)
        .map(|i| {
            format!(r#"{{"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{{"index":0,"value":{i},"op":"SCMP_CMP_EQ"}}]}}"#)
        })
        .collect();
    let json = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, rules.join(","));
    assert!(matches!(compile_for(&profile(&json), Abi::X86_64), Err(Error::TooLong(n)) if n > 4096));
}

#[test]
fn flags() {
    let flags = |json: &str| filter(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW"{json}}}"#)).flags;
    assert_eq!(flags(""), 4);
    assert_eq!(flags(r#","flags":[]"#), 0);
    assert_eq!(flags(r#","flags":["SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_LOG"]"#), 3);
    assert_eq!(flags(r#","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#), 0);
    let notify =
        r#","listenerPath":"/x","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}],"flags":["#;
    assert_eq!(flags(&format!(r#"{notify}"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#)), 32 | 8);
    assert_eq!(flags(&format!(r#"{notify}"SECCOMP_FILTER_FLAG_TSYNC"]"#)), 1 | 8 | 16);
}

#[test]
fn husks_own_profile() {
    let plain = compile_for(&default_profile(&[]), Abi::X86_64).unwrap();
    let admin = compile_for(&default_profile(&["CAP_SYS_ADMIN"]), Abi::X86_64).unwrap();
    assert!(plain.unknown_syscalls.is_empty(), "{:?}", plain.unknown_syscalls);
    assert!(plain.program.len() < 1000, "{} instructions", plain.program.len());
    for abi in [Abi::X86_64, Abi::X86, Abi::X32] {
        for name in ["execve", "ptrace", "getrandom"] {
            assert_eq!(ask(&plain, abi, name, &[]), ALLOW);
        }
        for name in
            ["mount", "unshare", "bpf", "io_uring_setup", "kexec_load", "add_key", "reboot", "userfaultfd"]
        {
            assert_eq!(ask(&plain, abi, name, &[]), ERRNO | 1, "{name}");
        }
        assert_eq!(ask(&plain, abi, "clone3", &[]), ERRNO | 38);
        assert_eq!(ask(&plain, abi, "clone", &[0x11]), ALLOW);
        assert_eq!(ask(&plain, abi, "clone", &[0x1000_0011]), ERRNO | 1);
        assert_eq!(ask(&plain, abi, "socket", &[1]), ALLOW);
        assert_eq!(ask(&plain, abi, "socket", &[38]), ERRNO | 1);
        assert_eq!(ask(&plain, abi, "socket", &[39]), ALLOW);
        assert_eq!(ask(&plain, abi, "socket", &[40]), ERRNO | 1);
        assert_eq!(ask(&plain, abi, "personality", &[0xffff_ffff]), ALLOW);
        assert_eq!(ask(&plain, abi, "personality", &[1]), ERRNO | 1);
        assert_eq!(ask(&admin, abi, "mount", &[]), ALLOW);
        assert_eq!(ask(&admin, abi, "clone3", &[]), ALLOW);
    }
    assert_eq!(ask(&plain, Abi::X86_64, "listns", &[]), ERRNO | 38);
    compile_for(&default_profile(&["CAP_SYS_ADMIN"]), Abi::Aarch64).unwrap();
}

/// The plain reading: rules from first to last, each call by its own.
fn judge(profile: &LinuxSeccomp, abi: Abi, name: &str, args: &[u64; 6]) -> u32 {
    let value = |action: LinuxSeccompAction, errno| action.as_u32(errno);
    let default = value(profile.default_action(), profile.default_errno_ret());
    let rules: Vec<&LinuxSyscall> = profile
        .syscalls()
        .iter()
        .flatten()
        .filter(|r| value(r.action(), r.errno_ret()) != default && r.names().iter().any(|n| n == name))
        .collect();
    let conditions = |r: &LinuxSyscall| r.args().clone().unwrap_or_default();
    if let Some(rule) = rules.iter().find(|r| conditions(r).is_empty()) {
        return value(rule.action(), rule.errno_ret());
    }
    for rule in &rules {
        let held: Vec<bool> = conditions(rule)
            .iter()
            .map(|c| {
                let (arg, v) = (args[c.index()], c.value());
                match c.op() {
                    O::ScmpCmpNe => arg != v,
                    O::ScmpCmpLt => arg < v,
                    O::ScmpCmpLe => arg <= v,
                    O::ScmpCmpEq => arg == v,
                    O::ScmpCmpGe => arg >= v,
                    O::ScmpCmpGt => arg > v,
                    O::ScmpCmpMaskedEq => arg & v == c.value_two().unwrap_or(0) & v,
                }
            })
            .collect();
        let mut indices: Vec<usize> = conditions(rule).iter().map(|c| c.index()).collect();
        indices.sort();
        let twice = indices.windows(2).any(|w| w[0] == w[1]);
        if if twice { held.iter().any(|h| *h) } else { held.iter().all(|h| *h) } {
            return value(rule.action(), rule.errno_ret());
        }
    }
    let newest =
        profile.syscalls().iter().flatten().flat_map(|r| r.names()).filter_map(|n| abi.number(n)).max();
    let number = abi.number(name).unwrap();
    let permissive =
        matches!(profile.default_action(), LinuxSeccompAction::ScmpActAllow | LinuxSeccompAction::ScmpActLog);
    if !permissive && newest.is_some_and(|n| number > n) {
        return ERRNO | 38;
    }
    default
}

const NAMES: &[&str] = &[
    "read",
    "write",
    "open",
    "dup2",
    "kill",
    "clone",
    "socket",
    "personality",
    "ptrace",
    "openat2",
    "mseal",
    "statx",
];
const OPS: &[&str] = &["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];

/// Values around the places where 32-bit halves go wrong.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(0xffff_ffff),
        Just(0x1_0000_0000),
        Just(0x1_0000_0001),
        0u64..4,
        any::<u64>()
    ]
}

fn condition() -> impl Strategy<Value = String> {
    (0usize..6, value(), value(), 0..OPS.len()).prop_map(|(index, value, two, op)| {
        format!(r#"{{"index":{index},"value":{value},"valueTwo":{two},"op":"SCMP_CMP_{}"}}"#, OPS[op])
    })
}

fn rule() -> impl Strategy<Value = String> {
    let action = prop_oneof![
        Just(r#""SCMP_ACT_ALLOW""#.to_string()),
        Just(r#""SCMP_ACT_KILL_PROCESS""#.to_string()),
        Just(r#""SCMP_ACT_TRAP""#.to_string()),
        (0u32..4000).prop_map(|e| format!(r#""SCMP_ACT_ERRNO","errnoRet":{e}"#)),
    ];
    let names = proptest::collection::vec(0..NAMES.len(), 1..4);
    (names, action, proptest::collection::vec(condition(), 0..4)).prop_map(|(names, action, conditions)| {
        let names: Vec<String> = names.iter().map(|n| format!("\"{}\"", NAMES[*n])).collect();
        format!(r#"{{"names":[{}],"action":{action},"args":[{}]}}"#, names.join(","), conditions.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn programs_do_what_the_profile_says(
        rules in proptest::collection::vec(rule(), 0..12),
        default in prop_oneof![Just("ALLOW"), Just("ERRNO"), Just("LOG"), Just("KILL_PROCESS")],
        calls in proptest::collection::vec((0..NAMES.len(), proptest::array::uniform6(value())), 40),
    ) {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_{default}","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[{}]}}"#,
            rules.join(",")
        );
        let profile = profile(&json);
        let filter = compile_for(&profile, Abi::X86_64).unwrap();
        for (name, args) in calls {
            for abi in [Abi::X86_64, Abi::X86, Abi::X32] {
                let call = Call { nr: abi.number(NAMES[name]).unwrap(), arch: abi.audit(), args };
                prop_assert_eq!(
                    run(&filter.program, &call), judge(&profile, abi, NAMES[name], &args),
                    "{} {:?} {:?} {}", NAMES[name], abi, args, json
                );
            }
        }
    }
}
