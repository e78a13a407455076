//! What the OCI runtime specification and runc's manual ask of any runtime, one file per feature.
//!
//! `RUNTIME=/usr/sbin/runc cargo test -p husk-tests --test conformance` runs it on another runtime, and `hack/conformance`
//! on several, with a table of the counts. So no case may ask for husk's words, files or defaults: only for what the
//! specification says (its section is named where that is not plain) or what runc's manual does. What a peer fails is
//! explained in `peers.md`.

mod annotations;
mod capabilities;
mod cgroup_limits;
mod cgroup_path;
mod checkpoint;
mod config;
mod cpu_affinity;
mod create;
mod delete;
mod descriptors;
mod device_rules;
mod devices;
mod events;
mod exec;
mod exec_flags;
mod exit_codes;
mod features;
mod flags;
mod global_flags;
mod hooks;
mod hooks_failing;
mod hostname;
mod idmapped_mounts;
mod io_priority;
mod kill;
mod list;
mod lsm;
mod masked_paths;
mod memory_policy;
mod mount_attributes;
mod mounts;
mod namespaces;
mod net_devices;
mod no_new_privs;
mod oom_score;
mod pause;
mod personality;
mod pid_file;
mod process;
mod propagation;
mod ps;
mod readonly_paths;
mod rlimits;
mod root;
mod rootless;
mod scheduler;
mod seccomp;
mod seccomp_arguments;
mod seccomp_notify;
mod spec;
mod start;
mod state;
mod sysctl;
mod terminal;
mod time_namespace;
mod update;
mod user;
mod user_namespace;

use husk_tests::{Bundle, Container, Done, Runtime};
use serde_json::{Value, json};

/// Runs a script under the default spec with a change.
#[track_caller]
fn run(script: &str, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> Done {
    let mut bundle = Bundle::script(script);
    change(&mut bundle);
    Runtime::new().run(&bundle)
}

/// What a script prints that ends with 0, without white space around it.
#[track_caller]
fn output(script: &str, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> String {
    run(script, change).ok().text().to_owned()
}

/// Checks that a spec is an error: a code that says so, and the program was not run.
#[track_caller]
fn refused(change: impl FnOnce(&mut Bundle) -> &mut Bundle) {
    let done = run("echo it ran", change);
    assert_ne!(done.code, 0, "was taken: {done:#?}");
    assert_eq!(done.stdout, "", "the program ran");
}

/// A running container that does nothing, for a process to join.
#[track_caller]
fn idle<'a>(runtime: &'a Runtime, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> Container<'a> {
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    change(&mut bundle);
    runtime.start_owned(bundle)
}

/// For calls without a change.
fn same(bundle: &mut Bundle) -> &mut Bundle {
    bundle
}

/// Puts the container into a user namespace of its own, whose root is 100000 on the host.
fn mapped(bundle: &mut Bundle) -> &mut Bundle {
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for kind in ["uid", "gid"] {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        bundle.set(&format!("/linux/{kind}Mappings"), map);
    }
    bundle
}

/// Gives all sets of capabilities that a program can use these members.
fn capable<'a>(bundle: &'a mut Bundle, names: &[&str]) -> &'a mut Bundle {
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(names));
    }
    bundle
}

/// A mount as a container sees it, from a line of mountinfo.
#[derive(Debug)]
struct Mount {
    point: String,
    options: Vec<String>,
    /// `shared:N`, `master:N`, `unbindable`.
    propagation: Vec<String>,
    kind: String,
    /// Options of the file system.
    data: Vec<String>,
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

/// The mounts of a text in the form of mountinfo.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let words = |field: Option<&str>| field.unwrap_or_default().split(',').map(str::to_owned).collect();
    text.lines()
        .map(|line| {
            let mut fields = line.split(' ').skip(4);
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (point, options) = (next(), next());
            let propagation = fields.by_ref().take_while(|field| *field != "-").map(str::to_owned).collect();
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (kind, _source) = (next(), next());
            Mount { point, options: words(Some(&options)), propagation, kind, data: words(fields.next()) }
        })
        .collect()
}

/// The mounts of a container.
#[track_caller]
fn mounts(change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> Vec<Mount> {
    parse_mounts(&output("cat /proc/self/mountinfo", change))
}

/// The topmost mount on a place.
#[track_caller]
fn at<'a>(mounts: &'a [Mount], point: &str) -> &'a Mount {
    mounts
        .iter()
        .rfind(|mount| mount.point == point)
        .unwrap_or_else(|| panic!("{point} is not in {mounts:#?}"))
}

/// A folder of the test's with files in it, to be mounted. Everyone may read it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = husk_tests::temp_dir();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// The path of a temporary folder as text.
fn text(dir: &tempfile::TempDir) -> &str {
    dir.path().to_str().unwrap()
}

/// The document on standard output.
#[track_caller]
fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:#?}"))
}
