//! SELinux labels of processes, keys and mounts, under the policy in `policy.cil`, which these tests load and enforce. They need
//! the VM of `hack/vm/run --selinux`: a policy can't be taken away again.

use husk_tests::{Bundle, Runtime, in_vm, run, skip, temp_dir};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use serde_json::json;
use std::{
    fs::{File, read_to_string, write},
    path::Path,
    process::Command,
};

const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const OTHER: &str = "system_u:system_r:other_container_t:s0:c3";
const FILE: &str = "system_u:object_r:container_file_t:s0:c1,c2";
const SECRET: &str = "system_u:object_r:secret_t:s0";
const OF_HOST: &str = "system_u:object_r:host_file_t:s0";

/// Whether the policy is enforced, as it is from the first test on; the test is skipped on a machine that is not ours.
#[must_use]
fn enforced() -> bool {
    let there = Path::new("/sys/fs/selinux/enforce").exists();
    if !there || !in_vm() {
        skip("needs a machine of its own with SELinux");
        return false;
    }
    // Tests are processes of their own, several at once.
    let lock = File::open("/sys/fs/selinux").unwrap();
    lock.lock().unwrap();
    if read_to_string("/proc/self/attr/current").unwrap().starts_with("kernel") {
        a_label_without_a_policy_is_refused();
        let dir = temp_dir();
        let (text, binary) = (dir.path().join("policy.cil"), dir.path().join("policy"));
        write(&text, include_str!("policy.cil")).unwrap();
        run(Command::new("secilc").arg("-o").arg(&binary).args(["-f", "/dev/null"]).arg(&text)).ok();
        write("/sys/fs/selinux/load", std::fs::read(binary).unwrap()).unwrap();
        write("/sys/fs/selinux/enforce", "1").unwrap();
    }
    true
}

/// Before its first policy the kernel takes any label.
fn a_label_without_a_policy_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.set("/process/selinuxLabel", PROCESS);
    let done = Runtime::husk().run(&bundle).expect_code(1);
    assert!(done.stderr.contains("process.selinuxLabel") && done.stderr.contains("no policy"), "{done:?}");
}

fn label(path: impl AsRef<Path>) -> String {
    let mut buffer = [0; 256];
    let length = getxattr(path.as_ref(), "security.selinux", &mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).trim_end_matches('\0').to_owned()
}

fn set_label(path: &Path, label: &str) {
    setxattr(path, "security.selinux", label.as_bytes(), XattrFlags::empty()).unwrap();
}

/// A container with labels, and files that are its own, another container's, and no container's.
fn bundle(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.set("/process/selinuxLabel", PROCESS).set("/linux/mountLabel", FILE);
    let another = FILE.replace("c1,c2", "c1,c4");
    for (name, label) in [("own", FILE), ("another", &another), ("secret", SECRET)] {
        let path = bundle.rootfs().join(name);
        write(&path, format!("{name}\n")).unwrap();
        set_label(&path, label);
    }
    bundle
}

const LOOK: &str = "tr -d '\\0' </proc/self/attr/current; echo; cat /own /another /secret; true";

#[test]
fn the_program_has_the_label_and_not_more_than_it_allows() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::new();
    for no_new_privileges in [true, false] {
        let mut bundle = bundle(LOOK);
        bundle.set("/process/noNewPrivileges", no_new_privileges);
        let done = runtime.run(&bundle).ok();
        assert_eq!(done.text(), format!("{PROCESS}\nown"), "{done:?}");
        assert_eq!(done.stderr.matches("Permission denied").count(), 2, "{done:?}");
        bundle.set("/process/selinuxLabel", "");
        let unlabelled = "system_u:system_r:host_t:s0-s0:c0.c15";
        assert_eq!(runtime.run(&bundle).ok().text(), format!("{unlabelled}\nown\nanother\nsecret"));
    }
}

#[test]
fn in_a_user_namespace_and_for_an_ordinary_user() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::new();
    let mut bundle = bundle(LOOK);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(runtime.run(&bundle).ok().text(), format!("{PROCESS}\nown"));
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        bundle.set(&format!("/linux/{map}"), json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]));
    }
    std::os::unix::fs::chown(bundle.rootfs(), Some(200_000), Some(200_000)).unwrap();
    assert_eq!(runtime.run(&bundle).ok().text(), format!("{PROCESS}\nown"));
    bundle.set("/process/args", json!(["sleep", "100000"]));
    let container = runtime.start(&bundle);
    let root = format!("/proc/{}/root", container.pid());
    for place in ["dev", "dev/shm", "dev/pts", "dev/mqueue", "sys/firmware"] {
        assert_eq!(label(format!("{root}/{place}")), FILE, "{place}");
    }
}

#[test]
fn an_exec_has_the_containers_label_or_one_of_its_own() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::new();
    let mut bundle = bundle("exec sleep 100000");
    bundle.set("/linux/maskedPaths", json!([]));
    let container = runtime.start(&bundle);
    let current = read_to_string(format!("/proc/{}/attr/current", container.pid())).unwrap();
    assert_eq!(current.trim_end_matches('\0'), PROCESS);
    assert_eq!(container.sh(LOOK).ok().text(), format!("{PROCESS}\nown"));
    let other = |script| container.call_with("exec", &["--process-label", OTHER], &["sh", "-c", script]).ok();
    assert_eq!(other(LOOK).text(), OTHER);
    // The policy lets a domain see its own keys alone.
    let keyring = format!("_ses.{}", container.id);
    assert!(container.sh("cat /proc/keys").ok().stdout.contains(&keyring));
    assert!(!other("cat /proc/keys").stdout.contains(&keyring));
}

#[test]
fn the_session_keyring_is_labelled() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::new();
    let mut bundle = bundle("cat /proc/keys");
    bundle.set("/linux/maskedPaths", json!([]));
    assert!(runtime.run(&bundle).ok().stdout.contains("_ses."), "it may not see its own keyring");
}

#[test]
fn new_file_systems_are_labelled_and_shared_ones_are_not() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::new();
    let mut bundle = bundle("exec sleep 100000");
    let own = FILE.replace("c1,c2", "c5");
    let layers = ["lower", "upper", "work"].map(|name| {
        let path = bundle.path().join(name);
        std::fs::create_dir(&path).unwrap();
        format!("{name}dir={}", path.display())
    });
    let bound = bundle.path().join("bound");
    write(&bound, "").unwrap();
    bundle
        .mount("/mnt/tmpfs", "tmpfs", "tmpfs", &["nosuid"])
        .mount("/mnt/tmpfs", "", "", &["bind", "remount", "ro"])
        .mount("/mnt/overlay", "overlay", "overlay", &layers.each_ref().map(String::as_str))
        .mount("/mnt/bound", "bind", bound.to_str().unwrap(), &["bind"]);
    // What the kernel has one of; runc gives that a context, too, which is refused.
    let husk = runtime.name == "husk";
    if husk {
        bundle
            .mount("/mnt/security", "securityfs", "securityfs", &["nosuid"])
            // Quoted, as engines write it for mount(2). runc adds mountLabel, and the kernel refuses two.
            .mount("/mnt/own", "tmpfs", "tmpfs", &[&format!("context=\"{own}\"")]);
    }
    let container = runtime.start(&bundle);
    let root = format!("/proc/{}/root", container.pid());
    let labels = |places: &[&str]| -> Vec<String> {
        places.iter().map(|place| format!("{place} {}", label(format!("{root}/{place}")))).collect()
    };
    let all = |places: &[&str], label: &str| -> Vec<String> {
        places.iter().map(|place| format!("{place} {label}")).collect()
    };
    let new = [
        "dev",
        "dev/null",
        "dev/shm",
        "dev/pts",
        "dev/pts/ptmx",
        "dev/mqueue",
        "sys/firmware",
        "mnt/tmpfs",
        "mnt/overlay",
    ];
    assert_eq!(labels(&new), all(&new, FILE));
    let old = [".", "proc", "proc/sys", "sys", "sys/fs/cgroup", "mnt", "mnt/bound"];
    assert_eq!(labels(&old), all(&old, OF_HOST));
    assert_eq!(label(&bound), OF_HOST);
    if husk {
        assert_eq!(
            labels(&["mnt/security", "mnt/own"]),
            [format!("mnt/security {OF_HOST}"), format!("mnt/own {own}")]
        );
    }
}

/// runc labels the host's.
#[test]
fn queues_of_the_host_keep_their_label() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = bundle("echo ran");
    bundle.without_namespace("ipc");
    assert_eq!(runtime.run(&bundle).ok().text(), "ran");
    assert_eq!(label("/dev/mqueue"), OF_HOST);
}

#[test]
fn labels_that_the_policy_does_not_know_are_named() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::husk();
    let refused = |field: &str, label: &str| {
        let mut bundle = bundle("echo it ran");
        bundle.set(&format!("/{}", field.replace('.', "/")), label);
        let done = runtime.run(&bundle).expect_code(1);
        let named = format!("{field} {label:?}");
        assert!(done.stderr.contains(&named) && done.stdout.is_empty(), "{done:?}");
        assert!(done.stderr.contains("does the policy know it?: Invalid argument"), "{done:?}");
        assert_eq!(std::fs::read_dir(runtime.root()).unwrap().count(), 0, "something is left: {done:?}");
    };
    refused("process.selinuxLabel", "system_u:system_r:unknown_t:s0");
    refused("process.selinuxLabel", "system_u:system_r:container_t:s0:c99");
    refused("process.selinuxLabel", "system_u:system_r:container_file_t:s0");
    refused("linux.mountLabel", "system_u:object_r:unknown_t:s0");
    let bundle = bundle("exec sleep 100000");
    let container = runtime.start(&bundle);
    let done = container.call_with("exec", &["--process-label", "unknown"], &["true"]).expect_code(255);
    assert!(done.stderr.contains("process.selinuxLabel \"unknown\""), "{done:?}");
}

#[test]
fn a_domain_that_may_not_be_entered_is_named() {
    if !enforced() {
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = bundle(LOOK);
    let wanted = PROCESS.replace("container_t", "suid_container_t");
    bundle.set("/process/selinuxLabel", wanted.as_str());
    let done = runtime.run(&bundle).expect_code(126);
    let named = format!("let husk's domain enter {wanted:?} by it, with noNewPrivileges (nnp_transition)?");
    assert!(done.stderr.contains(&named), "{done:?}");
    assert_eq!(run(runtime.command().args(["list", "--quiet"])).ok().stdout, "");
    bundle.set("/process/noNewPrivileges", false);
    assert_eq!(runtime.run(&bundle).ok().text(), format!("{wanted}\nown"));
    bundle.set("/process/selinuxLabel", "system_u:system_r:closed_container_t:s0");
    let done = runtime.run(&bundle).expect_code(126);
    assert!(done.stderr.contains("enter \"system_u:system_r:closed_container_t:s0\" by it?"), "{done:?}");
}

#[test]
fn without_selinux_a_label_of_the_process_is_refused_and_one_of_mounts_is_passed_over() {
    if read_to_string("/proc/filesystems").unwrap().contains("selinuxfs") {
        // The tests above are the ones for such a kernel.
        return;
    }
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("exec sleep 100000");
    bundle.set("/linux/mountLabel", FILE);
    let container = runtime.start(&bundle);
    let done = container.call_with("exec", &["--process-label", PROCESS], &["true"]).expect_code(255);
    assert!(
        done.stderr.contains(&format!("process.selinuxLabel {PROCESS:?}: SELinux is not on")),
        "{done:?}"
    );
    drop(container);
    bundle.set("/process/selinuxLabel", PROCESS);
    let done = runtime.run(&bundle).expect_code(1);
    assert!(
        done.stderr.contains(&format!("process.selinuxLabel {PROCESS:?}: SELinux is not on")),
        "{done:?}"
    );
}
