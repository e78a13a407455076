//! An ordinary user runs a container in a user namespace of its own, as `spec --rootless` has it.

use husk_tests::{Bundle, Done, Runtime, run};
use serde_json::json;
use std::os::unix::fs::{chown, lchown};
use std::path::Path;
use std::process::Command;

/// A user that no file of the machine belongs to.
const USER: u32 = 12345;

/// Makes the user the owner of everything below.
fn give(path: &Path) {
    if path.is_symlink() {
        return lchown(path, Some(USER), Some(USER)).unwrap();
    }
    chown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// Runs a shell script as the user in a bundle of a program, with `$R` for the runtime and a state folder of the user's.
fn as_user(program: &str, script: &str) -> Done {
    let mut bundle = Bundle::script(program);
    bundle.spec["linux"].as_object_mut().unwrap().remove("resources");
    bundle
        .without_namespace("network")
        .without_namespace("cgroup")
        .push("/linux/namespaces", json!({"type": "user"}));
    for kind in ["uid", "gid"] {
        bundle.set(&format!("/linux/{kind}Mappings"), json!([{"containerID": 0, "hostID": USER, "size": 1}]));
    }
    let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["type"] != "cgroup");
    for mount in mounts {
        match mount["destination"].as_str() {
            Some("/sys") => {
                *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
            }
            Some("/dev/pts") => {
                mount["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"])
            }
            _ => {}
        }
    }
    bundle.write();
    let call = Runtime::new().command();
    let mut line: Vec<String> = call.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let program = call.get_program().to_string_lossy().into_owned();
    line.retain(|arg| !arg.starts_with("--root") && !arg.ends_with("/state"));
    // The build may lie where the user can't go.
    let copy = bundle.path().join("runtime");
    std::fs::copy(&program, &copy).unwrap();
    std::fs::create_dir(bundle.path().join("run")).unwrap();
    give(bundle.path());
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={USER}"),
        &format!("--regid={USER}"),
        "--clear-groups",
        "--",
        "sh",
        "-c",
    ]);
    command.arg(format!("R() {{ ./runtime --root \"$PWD/state\" {} \"$@\"; }}; {script}", line.join(" ")));
    command.env("XDG_RUNTIME_DIR", bundle.path().join("run"));
    run(command.current_dir(bundle.path()))
}

#[test]
fn run_to_the_end() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    let done = as_user("id -u; exit 3", "R run c").expect_code(3);
    assert_eq!(done.text(), "0", "{done:?}");
}

#[test]
fn the_user_is_mapped_to_root() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    let done = as_user("cat /proc/self/uid_map", "R run c").ok();
    assert_eq!(done.text().split_whitespace().collect::<Vec<_>>(), ["0", "12345", "1"]);
}

#[test]
fn create_start_exec_kill_and_delete() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    let done = as_user(
        "exec sleep 100000",
        "R create c </dev/null >/dev/null 2>&1 && R start c && R exec c sh -c 'id -u; exit 5'; echo $?
         R kill c KILL; n=0; while R state c | grep -q running && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done; R delete --force c",
    );
    assert_eq!(done.text(), "0\n5", "{done:?}");
}

#[test]
fn devices_and_proc_are_there() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    let done =
        as_user("echo x >/dev/null && head -c 2 /dev/zero | wc -c; cat /proc/1/comm; :", "R run c").ok();
    assert_eq!(done.text(), "2\nsh");
}

#[test]
fn files_of_root_are_not_its_own() {
    if !Runtime::new().needs_our_mounts() {
        return;
    }
    let done =
        as_user("touch /etc/x && echo mine; chown 5 /etc/x 2>/dev/null || echo not five", "R run c").ok();
    assert_eq!(done.text(), "mine\nnot five");
}
