//! What a program in a container finds, as named facts without numbers that change from run to run.

use husk_tests::{Bundle, Runtime};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints everything in sections, with busybox alone.
pub const SCRIPT: &str = "
    echo @status; grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid|Umask|NSpid)' /proc/self/status
    echo @limits; cat /proc/self/limits
    echo @oom; cat /proc/self/oom_score_adj
    echo @cgroup; cat /proc/self/cgroup
    echo @env; tr '\\0' '\\n' </proc/1/environ
    echo @fds; ls /proc/1/fd
    echo @ns; for n in cgroup ipc mnt net pid time user uts; do echo $n $(readlink /proc/self/ns/$n); done
    echo @mounts; cat /proc/self/mountinfo
    echo @dev; cd /dev; for f in *; do echo $f $(stat -c '%F %a %u:%g %t,%T' $f) $(readlink $f); done
    echo @pts; stat -c '%a %u:%g' /dev/pts/ptmx
    echo @session; cut -d' ' -f5,6 /proc/1/stat
    echo @host; hostname; cat /proc/sys/kernel/domainname
    echo @links; ip -o link | cut -d: -f2-3 | cut -d' ' -f2,3
    echo @comm; cat /proc/1/comm; tr '\\0' ' ' </proc/1/cmdline | head -c 20; echo
    echo @timer; cat /proc/self/timerslack_ns /proc/self/loginuid /proc/self/coredump_filter 2>/dev/null
    echo @sysfs; touch /sys/x 2>&1; touch /proc/sys/x 2>&1
    echo @end";

/// Facts by name, in order.
pub struct Facts(pub BTreeMap<String, String>);

impl Facts {
    /// Runs the script under a runtime. The host's view is needed to tell which namespaces are new.
    pub fn of(runtime: &Runtime, bundle: &Bundle) -> Self {
        let done = runtime.run(bundle).ok();
        assert!(done.stdout.contains("@end"), "{} stopped early: {done:?}", runtime.name);
        let mut facts = BTreeMap::new();
        let mut section = "";
        let mut numbered = BTreeMap::new();
        for line in done.stdout.lines() {
            if let Some(name) = line.strip_prefix('@') {
                section = name;
                continue;
            }
            let (name, value) = match section {
                "mounts" => mount(line),
                "ns" => namespace(line),
                "status" | "limits" | "dev" | "env" => split(section, line),
                "links" => match line.split_once(' ') {
                    Some((name, rest)) => (name.to_owned(), rest.to_owned()),
                    None => (line.to_owned(), String::new()),
                },
                _ => {
                    let number = numbered.entry(section).or_insert(0);
                    *number += 1;
                    (number.to_string(), line.trim().to_owned())
                }
            };
            let mut key = format!("{section} {name}");
            // A second mount on the same place is a fact of its own.
            while facts.contains_key(&key) {
                key.push('+');
            }
            facts.insert(key, value);
        }
        Self(facts)
    }
}

/// `Name:  value` and the like; names may have single spaces, columns have more.
fn split(section: &str, line: &str) -> (String, String) {
    let separator = match section {
        "env" => "=",
        "limits" => "  ",
        "dev" => " ",
        _ => ":",
    };
    let (name, value) = line.split_once(separator).unwrap_or((line, ""));
    (name.trim().to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn namespace(line: &str) -> (String, String) {
    let (name, link) = line.split_once(' ').unwrap_or((line, ""));
    let host = std::fs::read_link(Path::new("/proc/self/ns").join(name)).unwrap_or_default();
    let value = if host == Path::new(link) { "the host's" } else { "new" };
    (name.to_owned(), value.to_owned())
}

/// One line of mountinfo without its numbers: root and mount point, options, propagation, type, source, fs options.
fn mount(line: &str) -> (String, String) {
    let mut fields = line.split(' ');
    let (_, _, _) = (fields.next(), fields.next(), fields.next());
    let root = fields.next().unwrap_or_default();
    let point = fields.next().unwrap_or_default();
    let options = fields.next().unwrap_or_default();
    let mut propagation = Vec::new();
    for field in fields.by_ref().take_while(|field| *field != "-") {
        propagation.push(field.split(':').next().unwrap_or_default());
    }
    let kind = fields.next().unwrap_or_default();
    let source = fields.next().unwrap_or_default();
    let mut fs: Vec<&str> = fields.next().unwrap_or_default().split(',').collect();
    fs.retain(|option| !option.starts_with("inode") && !option.starts_with("nr_inodes"));
    fs.sort_unstable();
    let propagation = if propagation.is_empty() { "private".to_owned() } else { propagation.join(",") };
    // The bundle's folder and a container's id are of one run.
    let root = if point == "/" || root.contains("husk-test") { "…" } else { root };
    (point.to_owned(), format!("{options} {propagation} {kind} {source} {root} {}", fs.join(",")))
}
