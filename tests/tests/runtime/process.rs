//! The process: environment, directory, limits, scheduling, seccomp, kernel parameters.

use husk_tests::{Bundle, Runtime, in_vm};
use serde_json::json;

#[test]
fn environment_directory_umask_and_arguments() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["sh", "-c", "echo \"$A|$HUSK|$0|$1\"; pwd; umask", "zero", "o n e"]);
    bundle.push("/process/env", json!("A=b c=d"));
    bundle.set("/process/cwd", "/tmp").set("/process/user/umask", 0o77);
    assert_eq!(runtime.run(&bundle).ok().text(), "b c=d||zero|o n e\n/tmp\n0077");
}

#[test]
fn limits() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("ulimit -n; ulimit -Hn; ulimit -c; ulimit -t");
    bundle.set(
        "/process/rlimits",
        json!([
            {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_CPU", "soft": 1000, "hard": 1001},
        ]),
    );
    assert_eq!(runtime.run(&bundle).ok().text(), "77\n88\n0\n1000");
}

#[test]
fn a_limit_beyond_the_hard_one_is_named_where_it_may_not_be_raised() {
    if in_vm() {
        return; // There root may raise every limit.
    }
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("ulimit -Hn");
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1_000_000_000_000_u64}]),
    );
    let done = runtime.run(&bundle).expect_code(1);
    assert!(done.stderr.contains("process.rlimits[0] (RLIMIT_NOFILE)"), "{}", done.stderr);
}

#[test]
fn scheduling_and_oom_score() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script(
        "cut -d' ' -f19,41 /proc/self/stat; cat /proc/self/oom_score_adj; uname -m; cat /proc/self/personality",
    );
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}));
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}));
    bundle.set("/process/oomScoreAdj", 500);
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}));
    assert_eq!(runtime.run(&bundle).ok().text(), "3 3\n500\ni686\n00000008");
}

#[test]
fn kernel_parameters_of_own_namespaces_only() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax");
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shmmax": "12345"}));
    assert_eq!(runtime.run(&bundle).ok().text(), "1\n12345");
    for (key, value) in [("kernel.core_pattern", "x"), ("vm.swappiness", "1"), ("kernel.shmmax", "1\nx")] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.set("/linux/sysctl", json!({key: value}));
        if runtime.name == "husk" || !value.contains('\n') {
            assert_ne!(runtime.run(&bundle).code, 0, "{key}");
        }
    }
}

#[test]
fn seccomp_with_and_without_new_privileges() {
    let runtime = Runtime::new();
    for no_new_privs in [true, false] {
        let mut bundle = Bundle::script("mkdir /tmp/x; grep -E 'Seccomp:|NoNewPrivs' /proc/self/status");
        bundle.set("/process/noNewPrivileges", no_new_privs);
        bundle.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}),
        );
        let done = runtime.run(&bundle).ok();
        assert!(done.stderr.contains("No space left"), "{}", done.stderr);
        assert_eq!(done.text(), format!("NoNewPrivs:\t{}\nSeccomp:\t2", i32::from(no_new_privs)));
    }
}

#[test]
fn a_user_who_may_not_enter_the_directory_but_root_may() {
    use std::os::unix::fs::PermissionsExt as _;
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["pwd"]);
    let home = bundle.rootfs().join("root");
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
    bundle.set("/process/cwd", "/root").set("/process/user", json!({"uid": 1000, "gid": 1000}));
    // As runc: the directory is entered before the user changes.
    assert_eq!(runtime.run(&bundle).ok().text(), "/root");
}

#[test]
fn devices_of_the_container() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::script(
        "for d in null zero full random urandom tty; do stat -c '%n %F %t,%T %a' /dev/$d; done; readlink /dev/fd; readlink /dev/ptmx
         stat -c '%F %t,%T %a %u %g' /dev/x; cat /dev/full | head -c 3 | od -c | head -1",
    );
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6}),
    );
    let done = runtime.run(&bundle).ok();
    let lines: Vec<_> = done.text().lines().collect();
    assert_eq!(lines[0], "/dev/null character special file 1,3 666");
    assert_eq!(lines[5], "/dev/tty character special file 5,0 666");
    assert_eq!(lines[6..8], ["/proc/self/fd", "pts/ptmx"]);
    assert_eq!(lines[8], "character special file 1,5 640 5 6");
}
