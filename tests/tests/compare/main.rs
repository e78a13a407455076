//! The same config.json under husk, runc and crun: what the program finds is put side by side, and each difference must be
//! one of those that docs/comparison.md explains.
//!
//! With `HUSK_WRITE_COMPARISON=FILE` the whole table is written as Markdown.

mod facts;

use facts::Facts;
use husk_tests::{Bundle, Runtime};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Seen only where the machine's `/` is a shared mount.
const PARTED: &str =
    "crun makes the mount that the root lies on private; here it is the host's slave, as rslave says";

/// Differences that are known, as `peer fact`, with the reason. A `*` at the end stands for any rest.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("crun", "dev core", "an old link of crun's; /proc/kcore is masked"),
    ("*", "mounts /proc/acpi", "husk masks folders with one tmpfs that is nosuid, nodev and noexec, too"),
    ("*", "mounts /proc/scsi", "husk masks folders with one tmpfs that is nosuid, nodev and noexec, too"),
    ("*", "mounts /proc/asound", "husk masks folders with one tmpfs that is nosuid, nodev and noexec, too"),
    ("*", "mounts /sys/firmware", "husk masks folders with one tmpfs that is nosuid, nodev and noexec, too"),
    (
        "*",
        "mounts /proc/keys",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "*",
        "mounts /proc/kcore",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "*",
        "mounts /proc/timer_list",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "*",
        "mounts /proc/latency_stats",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "*",
        "mounts /proc/sched_debug",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "*",
        "mounts /proc/timer_stats",
        "husk masks files with the host's null device, checked, and not with the image's (CVE-2025-31133)",
    ),
    (
        "crun",
        "mounts /sys",
        "husk and runc ask for a read-only file system, crun for a read-only mount of it",
    ),
    ("crun", "mounts /sys/fs/cgroup", "husk names the source cgroup, as runc does"),
    (
        "runc",
        "mounts /sys/fs/cgroup*",
        "this runc shows version 1 where the machine has it; husk shows version 2 alone",
    ),
    ("runc", "cgroup *", "this runc uses version 1 where the machine has it; husk uses version 2 alone"),
    ("crun", "mounts /", PARTED),
    ("crun", "mounts /var", PARTED),
    ("runc", "status NSpid", "runc's own processes take the first numbers of the PID namespace"),
];

fn explained(peer: &str, fact: &str) -> Option<&'static str> {
    EXPLAINED.iter().find_map(|(who, what, why)| {
        let same = match what.strip_suffix('*') {
            Some(begin) => fact.starts_with(begin),
            None => fact == *what,
        };
        (same && (*who == peer || *who == "*")).then_some(*why)
    })
}

/// A spec that uses more than the default one: every kind of fact below has something to show.
fn bundle() -> Bundle {
    let mut bundle = Bundle::script(facts::SCRIPT);
    bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [50, 2000]}));
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "hard": 512, "soft": 256}, {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}]),
    );
    bundle.push("/process/env", json!("GREETING=hello world"));
    bundle.set("/process/oomScoreAdj", 100);
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
        }),
    );
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec", "ro", "size=1m", "mode=700"]);
    bundle.mount("/var", "bind", "/usr", &["rbind", "ro", "rslave"]);
    bundle
}

#[test]
fn one_config_under_three_runtimes() {
    let husk = Facts::of(&Runtime::husk(), &bundle());
    let mut table = String::from("| fact | husk | runc | crun |\n|---|---|---|---|\n");
    let peers: Vec<(&str, Option<Facts>)> = ["runc", "crun"]
        .into_iter()
        .map(|name| (name, Runtime::peer(name).map(|peer| Facts::of(&peer, &bundle()))))
        .collect();
    if peers.iter().all(|(_, facts)| facts.is_none()) {
        husk_tests::skip("neither runc nor crun is installed");
        return;
    }
    let mut names: BTreeSet<&String> = husk.0.keys().collect();
    names.extend(peers.iter().filter_map(|(_, facts)| facts.as_ref()).flat_map(|facts| facts.0.keys()));
    let mut unexplained = Vec::new();
    let missing = "(nothing)".to_owned();
    for name in names {
        let own = husk.0.get(name).unwrap_or(&missing);
        let _ = write!(table, "| {name} | `{own}` |");
        for (peer, facts) in &peers {
            let Some(facts) = facts else {
                table.push_str(" (not installed) |");
                continue;
            };
            let other = facts.0.get(name).unwrap_or(&missing);
            if other == own {
                table.push_str(" same |");
                continue;
            }
            match explained(peer, name) {
                Some(why) => {
                    let _ = write!(table, " `{other}`: {why} |");
                }
                None => {
                    let _ = write!(table, " `{other}` |");
                    unexplained.push(format!("{name}: husk {own:?}, {peer} {other:?}"));
                }
            }
        }
        table.push('\n');
    }
    println!("{table}");
    if let Some(path) = std::env::var_os("HUSK_WRITE_COMPARISON") {
        std::fs::write(path, &table).expect("the table");
    }
    assert!(unexplained.is_empty(), "differences that nobody has explained:\n{}", unexplained.join("\n"));
}
