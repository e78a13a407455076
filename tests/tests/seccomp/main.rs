//! Seccomp profiles on the real kernel, under husk and, for comparison, under runc.

mod notify;

use husk_tests::{Bundle, Runtime, run, unique};
use serde_json::{Value, json};

/// husk, and runc where it is installed: a profile must mean the same to both.
fn runtimes() -> Vec<Runtime> {
    let mut list = vec![Runtime::husk()];
    list.extend(Runtime::peer("runc"));
    list
}

fn with(script: &str, profile: Value) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.set("/linux/seccomp", profile);
    bundle
}

fn deny(names: &[&str], more: Value) -> Value {
    let mut rule = json!({"names": names, "action": "SCMP_ACT_ERRNO"});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
}

#[test]
fn the_errno_is_the_profiles() {
    for runtime in runtimes() {
        let done = runtime
            .run(&with("mkdir /x", deny(&["mkdir", "mkdirat"], json!({"errnoRet": 28}))))
            .expect_code(1);
        assert!(done.stderr.contains("No space left on device"), "{}: {}", runtime.name, done.stderr);
        let done = runtime.run(&with("mkdir /x", deny(&["mkdir", "mkdirat"], json!({})))).expect_code(1);
        assert!(done.stderr.contains("Operation not permitted"), "{}: {}", runtime.name, done.stderr);
    }
}

#[test]
fn arguments_are_compared() {
    let masked =
        |index: u32| json!({"index": index, "value": 0o4000, "valueTwo": 0o4000, "op": "SCMP_CMP_MASKED_EQ"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "args": [masked(1)]},
        {"names": ["fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO", "args": [masked(2)]}]});
    for runtime in runtimes() {
        let script = "touch /f; chmod 755 /f && echo plain; chmod 4755 /f || echo refused; stat -c %a /f";
        let done = runtime.run(&with(script, profile.clone())).ok();
        assert_eq!(done.text(), "plain\nrefused\n755", "{}", runtime.name);
    }
}

#[test]
fn a_list_of_what_is_allowed_answers_enosys_to_newer_calls() {
    // Everything that the shell needs is older than the newest name here; the rest is "not implemented", not "denied".
    let profile: Value = serde_json::to_value(husk_seccomp::default_profile(&[])).unwrap();
    for runtime in runtimes() {
        let done = runtime
            .run(&with("grep Seccomp: /proc/self/status; unshare -U true || echo refused", profile.clone()))
            .ok();
        assert_eq!(done.text(), "Seccomp:\t2\nrefused", "{}", runtime.name);
    }
}

#[test]
fn the_default_profile_lets_programs_work() {
    let profile: Value = serde_json::to_value(husk_seccomp::default_profile(&["CAP_KILL"])).unwrap();
    let script = "set -e; cd /tmp; echo a >f; mkdir d; mv f d/; ln -s d/f l; cat l; mkfifo p; (echo b >p &); cat p; \
        ls -l /dev | wc -l >/dev/null; seq 100 | sort -n | tail -n 1; sleep 0; date >/dev/null; \
        (trap 'echo c; exit' TERM; kill -TERM $(sh -c 'echo $PPID'); sleep 1) ; id -u";
    for runtime in runtimes() {
        let done = runtime.run(&with(script, profile.clone())).ok();
        assert_eq!(done.text(), "a\nb\n100\nc\n0", "{}", runtime.name);
    }
}

/// Profiles written before these calls existed refuse them with their default action; the runtime makes them after the
/// filter is loaded, where the program may gain privileges.
#[test]
fn a_profile_older_than_the_calls_of_the_runtime_works() {
    for runtime in runtimes() {
        // What tells where one is, some profiles deny; runc needs it.
        let more: &[&str] = if runtime.name == "husk" { &["getcwd"] } else { &[] };
        for (nnp, args) in [(false, "sh"), (true, "sh"), (false, "/bin/sh")] {
            let mut bundle = Bundle::new(&[args, "-c", "grep Seccomp: /proc/self/status; ls /proc/self/fd"]);
            bundle.set(
                "/linux/seccomp",
                deny(&[&["faccessat2", "close_range", "openat2"], more].concat(), json!({})),
            );
            bundle.set("/process/noNewPrivileges", nnp);
            let done = runtime.run(&bundle).ok();
            assert_eq!(done.text(), "Seccomp:\t2\n0\n1\n2\n3", "{} {nnp} {args}", runtime.name);
            bundle.set("/process/args", json!([args, "-c", "exec sleep 100000"]));
            let container = runtime.start(&bundle);
            assert_eq!(container.sh("ls /proc/self/fd").ok().text(), "0\n1\n2\n3", "{} {nnp}", runtime.name);
        }
    }
}

#[test]
fn an_exec_is_filtered_too() {
    let runtime = Runtime::husk();
    let bundle = with("exec sleep 100000", deny(&["mkdir", "mkdirat"], json!({})));
    let container = runtime.start(&bundle);
    let done = container.sh("mkdir /x").expect_code(1);
    assert!(done.stderr.contains("Operation not permitted"), "{}", done.stderr);
}

#[test]
fn unknown_names_are_skipped_and_wrong_profiles_refused_by_place() {
    let runtime = Runtime::husk();
    runtime.run(&with("true", deny(&["no_such_call", "mkdir"], json!({})))).ok();
    for (profile, words) in [
        (deny(&["mkdir"], json!({"errnoRet": 5000})), "linux.seccomp.syscalls[0].errnoRet"),
        (deny(&[], json!({})), "linux.seccomp.syscalls[0].names"),
        (
            deny(&["mkdir"], json!({"args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]})),
            "linux.seccomp.syscalls[0].args[0].index",
        ),
        (deny(&["mkdir"], json!({"action": "SCMP_ACT_NOTIFY"})), "linux.seccomp.listenerPath"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "linux.seccomp.defaultAction"),
        (json!({"defaultAction": "SCMP_ACT_SHRUG"}), "linux.seccomp.defaultAction"),
    ] {
        let done = runtime.run(&with("true", profile)).expect_code(1);
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
}

#[test]
fn hooks_in_the_container_are_filtered_too() {
    let runtime = Runtime::husk();
    let mut bundle = with("ls /tmp", deny(&["mkdir", "mkdirat"], json!({})));
    let hook = |script: &str| json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    bundle.set("/hooks", hook("mkdir /tmp/made"));
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("startContainer") && done.stderr.contains("not permitted"), "{done:?}");
    bundle.set("/hooks", hook("echo > /tmp/written"));
    assert_eq!(runtime.run(&bundle).ok().text(), "written");
}

#[test]
fn an_agent_that_has_nothing_to_hear_of_need_not_be_there() {
    let runtime = Runtime::husk();
    let mut profile = deny(&["mkdir"], json!({}));
    profile["listenerPath"] = "/none/agent.sock".into();
    runtime.run(&with("true", profile)).ok();
}

/// The profile holds for startContainer hooks, and the message says what ended one.
#[test]
fn a_hook_that_the_profile_kills_is_told_as_such() {
    let mut bundle = with("true", deny(&["mkdir", "mkdirat"], json!({"action": "SCMP_ACT_KILL_PROCESS"})));
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]));
    bundle.set(
        "/hooks",
        json!({"startContainer": [{"path": "/bin/busybox", "args": ["mkdir", "/dev/shm/made"]}]}),
    );
    let done = Runtime::husk().run(&bundle).expect_code(1);
    for words in ["hooks.startContainer[0]", "SIGSYS", "bad system call"] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
}

#[test]
fn debug_lines_name_the_flags_of_the_filter() {
    let runtime = Runtime::husk();
    let mut profile = deny(&["mkdir"], json!({}));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_LOG"]);
    let bundle = with("true", profile);
    bundle.write();
    let done =
        run(runtime.command().args(["--debug", "run", "--bundle"]).arg(bundle.path()).arg(unique("d"))).ok();
    assert!(done.stderr.contains(r#"level=debug msg="seccomp filter flags: 2""#), "{done:?}");
}
