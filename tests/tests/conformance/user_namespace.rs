//! User namespaces: `linux.uidMappings` and `gidMappings`.

use super::{folder, idle, mapped, output, refused, run, text};
use husk_tests::{Bundle, Container, NetNs, Runtime};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

#[test]
fn root_of_it_is_somebody_else_on_the_host() {
    let shared = folder(&[]);
    chown(shared.path(), Some(100_000), Some(100_000)).unwrap();
    let shown = output("id -u; id -g; touch /mnt/file", |bundle| {
        mapped(bundle).mount("/mnt", "bind", text(&shared), &["bind"])
    });
    assert_eq!(shown, "0\n0");
    let file = std::fs::metadata(shared.path().join("file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (100_000, 100_000));
}

#[test]
fn the_mappings_are_those_of_the_spec() {
    let shown = output("cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '", |bundle| {
        mapped(bundle);
        bundle.push("/linux/uidMappings", json!({"containerID": 70000, "hostID": 300_000, "size": 5}));
        bundle.push("/linux/gidMappings", json!({"containerID": 80000, "hostID": 400_000, "size": 6}))
    });
    assert_eq!(shown, "0 100000 65536\n 70000 300000 5\n 0 100000 65536\n 80000 400000 6");
}

#[test]
fn a_user_and_groups_in_it() {
    let shown = output("id -u; id -g; id -G", |bundle| {
        mapped(bundle).set("/process/user", json!({"uid": 1000, "gid": 50, "additionalGids": [5, 7]}))
    });
    assert_eq!(shown, "1000\n50\n50 5 7");
}

#[test]
fn files_of_nobody_in_it() {
    let shared = folder(&[("file", "")]);
    let shown = output("stat -c '%u %g' /mnt/file", |bundle| {
        mapped(bundle).mount("/mnt", "bind", text(&shared), &["bind"])
    });
    assert_eq!(shown, "65534 65534");
}

#[test]
fn what_is_mounted_in_it_belongs_to_its_root() {
    let places = ["/dev", "/dev/shm", "/dev/pts", "/dev/mqueue"];
    let shown = output(&format!("stat -c '%n %u' {}", places.join(" ")), mapped);
    assert_eq!(shown, places.map(|place| format!("{place} 0")).join("\n"));
}

#[test]
fn devices_work_in_it() {
    let shown = output("echo x >/dev/null && head -c 3 /dev/zero | wc -c && ls /dev/tty", mapped);
    assert_eq!(shown, "3\n/dev/tty");
}

#[test]
fn capabilities_in_it_are_over_its_own_namespaces() {
    let shown = output("hostname inside && hostname; mount -t tmpfs tmpfs /mnt && echo mounted", |bundle| {
        super::capable(mapped(bundle), &["CAP_SYS_ADMIN"])
    });
    assert_eq!(shown, "inside\nmounted");
}

#[test]
fn the_hosts_clock_and_kernel_are_not_its_own() {
    let done = run("date -s 2001-01-01 2>&1; mknod /dev/shm/x c 1 3 2>&1", |bundle| {
        super::capable(mapped(bundle), &["CAP_SYS_TIME", "CAP_MKNOD"])
    });
    assert_eq!(done.stdout.matches("Operation not permitted").count(), 2, "{done:?}");
}

#[test]
fn a_source_that_its_root_cannot_reach_is_mounted_all_the_same() {
    let secret = folder(&[("in/file", "text")]);
    std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let source = format!("{}/in", text(&secret));
    let shown =
        output("cat /mnt/file", |bundle| mapped(bundle).mount("/mnt", "bind", &source, &["rbind", "ro"]));
    assert_eq!(shown, "text");
}

#[test]
fn a_network_namespace_of_the_hosts_can_be_joined() {
    let netns = NetNs::new();
    let inode = std::fs::metadata(netns.path()).unwrap().ino();
    let shown = output("id -u; readlink /proc/self/ns/net", |bundle| {
        // The kernel makes a sysfs only for whoever owns the network namespace.
        bundle.spec["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|mount| !mount["destination"].as_str().is_some_and(|place| place.starts_with("/sys")));
        mapped(bundle).join_namespace("network", &netns.path())
    });
    assert_eq!(shown, format!("0\nnet:[{inode}]"));
}

#[test]
fn that_of_another_container_can_be_joined() {
    let runtime = Runtime::new();
    let container = idle(&runtime, mapped);
    let path = format!("/proc/{}/ns/user", container.pid());
    let expected = std::fs::read_link(&path).unwrap();
    let shown =
        output("readlink /proc/self/ns/user; id -u", |bundle| bundle.join_namespace("user", path.as_ref()));
    assert_eq!(shown, format!("{}\n0", expected.display()));
}

#[test]
fn exec_joins_it() {
    let runtime = Runtime::new();
    let container = idle(&runtime, mapped);
    assert_eq!(
        container.sh("id -u; id -g; tr -s ' ' </proc/self/uid_map").ok().text(),
        "0\n0\n 0 100000 65536"
    );
    let done = container.call_with("exec", &["--user", "7:8"], &["sh", "-c", "id -u; id -g"]);
    assert_eq!(done.ok().text(), "7\n8");
}

#[test]
fn a_user_that_is_not_mapped_is_an_error() {
    refused(|bundle| mapped(bundle).set("/process/user", json!({"uid": 70000, "gid": 0})));
}

#[test]
fn one_without_mappings_is_an_error() {
    refused(|bundle| bundle.push("/linux/namespaces", json!({"type": "user"})));
}

#[test]
fn mappings_without_one_are_an_error() {
    refused(|bundle| {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    });
}

#[test]
fn setgroups_is_allowed_where_root_made_it() {
    assert_eq!(output("cat /proc/self/setgroups", mapped), "allow");
}

/// Runs a command with pipes for its output, and gives what it says on both.
fn piped(command: &mut std::process::Command) -> (String, String) {
    let done = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&done.stdout), text(&done.stderr))
}

const AGAIN: &str = "echo out >/dev/stdout; echo error >/dev/stderr";

#[test]
fn pipes_can_be_opened_again_by_its_users() {
    for uid in [0, 1000] {
        let runtime = Runtime::new();
        let mut bundle = Bundle::script(AGAIN);
        mapped(&mut bundle).set("/process/user", json!({"uid": uid, "gid": uid})).write();
        let container = Container::named(&runtime, &husk_tests::unique("pipes"));
        let shown = piped(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id));
        assert_eq!(shown, ("out".to_owned(), "error".to_owned()), "{uid}");
    }
}

#[test]
fn pipes_of_exec_can_be_opened_again() {
    let runtime = Runtime::new();
    let container = idle(&runtime, mapped);
    let shown = piped(runtime.command().arg("exec").arg(&container.id).args(["sh", "-c", AGAIN]));
    assert_eq!(shown, ("out".to_owned(), "error".to_owned()));
}
