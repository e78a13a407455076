//! `process.rlimits`.

use super::{output, refused};
use serde_json::{Value, json};

/// The line of a limit in /proc/self/limits: soft and hard.
fn limit(limits: Value, name: &str) -> Vec<String> {
    let shown = output("cat /proc/self/limits", |bundle| bundle.set("/process/rlimits", limits));
    let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
fn each_type_is_set() {
    let types = [
        ("RLIMIT_AS", "Max address space", 1_u64 << 40),
        ("RLIMIT_CORE", "Max core file size", 4096),
        ("RLIMIT_CPU", "Max cpu time", 5000),
        ("RLIMIT_DATA", "Max data size", 1 << 40),
        ("RLIMIT_FSIZE", "Max file size", 1 << 40),
        ("RLIMIT_LOCKS", "Max file locks", 500),
        ("RLIMIT_MEMLOCK", "Max locked memory", 4096),
        ("RLIMIT_MSGQUEUE", "Max msgqueue size", 4096),
        ("RLIMIT_NICE", "Max nice priority", 0),
        ("RLIMIT_NOFILE", "Max open files", 77),
        ("RLIMIT_NPROC", "Max processes", 1000),
        ("RLIMIT_RSS", "Max resident set", 1 << 40),
        ("RLIMIT_RTPRIO", "Max realtime priority", 0),
        ("RLIMIT_RTTIME", "Max realtime timeout", 1 << 40),
        ("RLIMIT_SIGPENDING", "Max pending signals", 100),
        ("RLIMIT_STACK", "Max stack size", 4 << 20),
    ];
    let list: Vec<_> =
        types.iter().map(|(kind, _, value)| json!({"type": kind, "soft": value, "hard": value})).collect();
    let shown = output("cat /proc/self/limits", |bundle| bundle.set("/process/rlimits", list));
    for (kind, name, value) in types {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(words, [value.to_string(), value.to_string()], "{kind}");
    }
}

#[test]
fn soft_and_hard_are_two() {
    assert_eq!(
        limit(json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]), "Max open files"),
        ["77", "88"]
    );
}

#[test]
fn the_largest_number_is_no_limit() {
    let none = u64::MAX;
    assert_eq!(
        limit(json!([{"type": "RLIMIT_CPU", "soft": 1000, "hard": none}]), "Max cpu time"),
        ["1000", "unlimited"]
    );
}

#[test]
fn a_limit_is_in_force() {
    let script = "dd if=/dev/zero of=/tmp/x bs=1k count=100 2>/dev/null; stat -c %s /tmp/x";
    let shown = output(script, |bundle| {
        bundle.set("/process/rlimits", json!([{"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 4096}]))
    });
    assert_eq!(shown, "4096");
}

#[test]
fn those_that_are_not_named_are_the_callers() {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let shown = output("cat /proc/self/limits", |bundle| bundle.set("/process/rlimits", json!([])));
    for name in ["Max cpu time", "Max file size", "Max stack size", "Max pending signals"] {
        let find = |text: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert_eq!(find(&shown), find(&own));
    }
}

#[test]
fn a_type_that_there_is_not_is_an_error() {
    refused(|bundle| {
        bundle.set("/process/rlimits", json!([{"type": "RLIMIT_WISHES", "soft": 3, "hard": 3}]))
    });
}

#[test]
fn a_type_named_twice_is_an_error() {
    let one = json!({"type": "RLIMIT_CORE", "soft": 1, "hard": 1});
    let two = json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0});
    refused(|bundle| bundle.set("/process/rlimits", json!([one, two])));
}

#[test]
fn a_soft_limit_above_the_hard_one_is_an_error() {
    refused(|bundle| bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}])));
}

#[test]
fn a_negative_limit_is_an_error() {
    refused(|bundle| {
        bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": -1, "hard": -1}]))
    });
}
