//! `linux.namespaces`: new ones, those of other processes, the runtime's own. User and time namespaces have their own files.

use super::{idle, output, refused, run, same};
use husk_tests::{Bundle, NetNs, Runtime};
use serde_json::json;
use std::path::{Path, PathBuf};

fn host(file: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap().to_string_lossy().into_owned()
}

fn inside(file: &str, change: impl FnOnce(&mut Bundle) -> &mut Bundle) -> String {
    let shown = output(&format!("readlink /proc/self/ns/{file}"), change);
    assert!(shown.contains(":["), "{file}: {shown}");
    shown
}

/// Leaves a namespace of the default spec out, with what depends on it.
fn left_out<'a>(bundle: &'a mut Bundle, kind: &str) -> &'a mut Bundle {
    bundle.without_namespace(kind);
    if kind == "uts" {
        bundle.spec.as_object_mut().unwrap().remove("hostname");
    }
    bundle
}

macro_rules! new_and_left_out {
    ($new:ident, $out:ident, $joined:ident, $kind:literal, $file:literal) => {
        #[test]
        fn $new() {
            assert_ne!(inside($file, same), host($file));
        }

        #[test]
        fn $out() {
            assert_eq!(inside($file, |bundle| left_out(bundle, $kind)), host($file));
        }

        #[test]
        fn $joined() {
            let runtime = Runtime::new();
            let container = idle(&runtime, same);
            let path = format!("/proc/{}/ns/{}", container.pid(), $file);
            let expected = std::fs::read_link(&path).unwrap();
            let shown =
                inside($file, |bundle| left_out(bundle, $kind).join_namespace($kind, Path::new(&path)));
            assert_eq!(shown, expected.to_str().unwrap());
        }
    };
}

new_and_left_out!(a_new_pid_namespace, the_callers_pid_namespace, a_joined_pid_namespace, "pid", "pid");
new_and_left_out!(
    a_new_network_namespace,
    the_callers_network_namespace,
    a_joined_network_namespace,
    "network",
    "net"
);
new_and_left_out!(a_new_ipc_namespace, the_callers_ipc_namespace, a_joined_ipc_namespace, "ipc", "ipc");
new_and_left_out!(a_new_uts_namespace, the_callers_uts_namespace, a_joined_uts_namespace, "uts", "uts");
new_and_left_out!(
    a_new_cgroup_namespace,
    the_callers_cgroup_namespace,
    a_joined_cgroup_namespace,
    "cgroup",
    "cgroup"
);

#[test]
fn a_new_mount_namespace() {
    assert_ne!(inside("mnt", same), host("mnt"));
}

#[test]
fn no_user_namespace_is_made_unasked() {
    assert_eq!(inside("user", same), host("user"));
}

#[test]
fn the_program_is_the_first_process_of_a_new_pid_namespace() {
    assert_eq!(output("echo $$; grep -c . /proc/1/cmdline", same), "1\n1");
}

#[test]
fn a_program_in_a_joined_pid_namespace_sees_the_others() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let path = PathBuf::from(format!("/proc/{}/ns/pid", container.pid()));
    let shown =
        output("cat /proc/1/comm; [ $$ != 1 ] && echo another", |bundle| bundle.join_namespace("pid", &path));
    assert_eq!(shown, "sleep\nanother");
}

#[test]
fn the_end_of_the_first_process_is_the_end_of_all() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("sleep 100000 & sleep 100000 & echo $!; exit 6");
    runtime.run(&bundle).expect_code(6);
}

#[test]
fn a_new_network_namespace_has_loopback_alone() {
    assert_eq!(output("ls /sys/class/net", same), "lo");
}

#[test]
fn the_loopback_of_a_new_network_namespace_is_up() {
    let done = run(
        "ip addr show lo; nc -l -p 4000 -s 127.0.0.1 </dev/null & nc -w 5 127.0.0.1 4000 </dev/null; true",
        same,
    )
    .ok();
    assert!(done.text().contains("127.0.0.1/8") && done.text().contains("UP"), "{}", done.text());
}

#[test]
fn a_joined_network_namespace_is_used_as_it_is() {
    let netns = NetNs::new();
    husk_tests::run(netns.command("ip").args(["address", "add", "10.9.8.7/32", "dev", "lo"])).ok();
    let path = netns.path();
    let shown = output("ip address show lo", |bundle| bundle.join_namespace("network", &path));
    assert!(shown.contains("10.9.8.7/32"), "{shown}");
}

#[test]
fn the_objects_of_another_ipc_namespace_are_not_seen() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| bundle.set("/linux/sysctl", json!({"kernel.shmmni": "7"})));
    assert_eq!(container.sh("cat /proc/sys/kernel/shmmni").ok().text(), "7");
    assert_ne!(output("cat /proc/sys/kernel/shmmni", same), "7");
}

#[test]
fn a_change_of_name_stays_in_a_new_uts_namespace() {
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let shown = output("hostname changed; hostname", |bundle| super::capable(bundle, &["CAP_SYS_ADMIN"]));
    assert_eq!(shown, "changed");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn a_new_cgroup_namespace_has_its_root_at_the_containers_group() {
    let runtime = Runtime::new();
    if !runtime.needs_groups() {
        return;
    }
    assert_eq!(output("grep ^0:: /proc/self/cgroup", same), "0::/");
}

#[test]
fn several_namespaces_of_another_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let pid = container.pid();
    let kinds = [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")];
    let done =
        run("for n in pid net ipc uts; do readlink /proc/self/ns/$n; done; hostname; exit 4", |bundle| {
            bundle.spec.as_object_mut().unwrap().remove("hostname");
            for (kind, file) in kinds {
                bundle.join_namespace(kind, Path::new(&format!("/proc/{pid}/ns/{file}")));
            }
            bundle
        })
        .expect_code(4);
    for (line, (_, file)) in done.text().lines().zip(kinds) {
        let expected = std::fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(line, expected.to_str().unwrap(), "{file}");
    }
    assert_eq!(done.text().lines().last(), Some("husk"));
}

#[test]
fn the_namespaces_go_with_the_container() {
    let runtime = Runtime::new();
    let container = idle(&runtime, same);
    let pid = container.pid();
    let own = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    container.call_with("delete", &["--force"], &[]).ok();
    let users = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("ns/net")).is_ok_and(|link| link == own));
    assert_eq!(users.count(), 0);
}

#[test]
fn a_path_of_another_type_is_an_error() {
    refused(|bundle| bundle.join_namespace("network", Path::new("/proc/self/ns/uts")));
    refused(|bundle| bundle.join_namespace("ipc", Path::new("/proc/self/ns/net")));
}

#[test]
fn a_path_that_is_no_namespace_is_an_error() {
    refused(|bundle| bundle.join_namespace("network", Path::new("/etc/passwd")));
}

#[test]
fn a_path_that_does_not_exist_is_an_error() {
    refused(|bundle| bundle.join_namespace("ipc", Path::new("/no/such/file")));
}

#[test]
fn a_relative_path_is_an_error() {
    refused(|bundle| bundle.join_namespace("network", Path::new("proc/self/ns/net")));
}

#[test]
fn a_type_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.push("/linux/namespaces", json!({"type": "dream"})));
}

#[test]
fn a_type_named_twice_is_an_error() {
    refused(|bundle| bundle.push("/linux/namespaces", json!({"type": "ipc"})));
}
