//! `linux.devices`, and the devices and links that every container has.

use super::{idle, mapped, output, refused, run, same};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};

fn with(bundle: &mut Bundle, device: Value) -> &mut Bundle {
    bundle.push("/linux/devices", device)
}

#[test]
fn default_devices() {
    let shown = output(
        "for d in null zero full random urandom tty; do stat -c '%n %F %t,%T %a %u:%g' /dev/$d; done",
        same,
    );
    let expected: Vec<_> = [
        ("null", "1,3"),
        ("zero", "1,5"),
        ("full", "1,7"),
        ("random", "1,8"),
        ("urandom", "1,9"),
        ("tty", "5,0"),
    ]
    .map(|(name, numbers)| format!("/dev/{name} character special file {numbers} 666 0:0"))
    .into();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn default_devices_work() {
    let shown = output(
        "echo x >/dev/null; head -c 5 /dev/zero | wc -c; head -c 6 /dev/urandom | wc -c; (echo x >/dev/full) 2>&1; true",
        same,
    );
    assert!(shown.starts_with("5\n6\n") && shown.contains("No space left"), "{shown}");
}

#[test]
fn default_devices_are_there_beside_those_of_the_spec() {
    let shown = output("ls /dev/null /dev/zero /dev/x", |bundle| {
        with(bundle, json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5}))
    });
    assert_eq!(shown, "/dev/null\n/dev/x\n/dev/zero");
}

#[test]
fn links_to_the_standard_streams() {
    let shown = output("for l in fd stdin stdout stderr; do readlink /dev/$l; done", same);
    assert_eq!(shown, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2");
}

#[test]
fn ptmx_is_that_of_the_containers_devpts() {
    let shown = output("stat -L -c '%t,%T' /dev/ptmx; readlink -f /dev/ptmx", same);
    assert!(shown == "5,2\n/dev/pts/ptmx", "{shown}");
}

#[test]
fn no_console_without_a_terminal() {
    assert_eq!(output("ls /dev/console 2>/dev/null || echo none", same), "none");
}

#[test]
fn a_character_device() {
    let shown = output("stat -c '%F %t,%T %a %u %g' /dev/x", |bundle| {
        with(
            bundle,
            json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6}),
        )
    });
    assert_eq!(shown, "character special file 1,5 640 5 6");
}

#[test]
fn a_block_device() {
    let shown = output("stat -c '%F %t,%T %a' /dev/x", |bundle| {
        with(bundle, json!({"path": "/dev/x", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600}))
    });
    assert_eq!(shown, "block special file 7,c8 600");
}

#[test]
fn an_unbuffered_character_device() {
    let shown = output("stat -c '%F %t,%T' /dev/x", |bundle| {
        with(bundle, json!({"path": "/dev/x", "type": "u", "major": 1, "minor": 5}))
    });
    assert_eq!(shown, "character special file 1,5");
}

#[test]
fn a_fifo() {
    let shown = output("stat -c '%F %a' /dev/x; (echo through >/dev/x &) ; cat /dev/x", |bundle| {
        with(bundle, json!({"path": "/dev/x", "type": "p", "fileMode": 0o622}))
    });
    assert_eq!(shown, "fifo 622\nthrough");
}

#[test]
fn a_device_outside_of_dev_with_folders_to_be_made() {
    let shown = output("stat -c '%t,%T' /opt/made/zero; head -c 2 /opt/made/zero | wc -c", |bundle| {
        with(
            bundle,
            json!({"path": "/opt/made/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}),
        );
        bundle.push(
            "/linux/resources/devices",
            json!({"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"}),
        )
    });
    assert_eq!(shown, "1,5\n2");
}

#[test]
fn the_mode_is_not_cut_by_the_callers_umask() {
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["stat", "-c", "%a", "/dev/x"]);
    with(&mut bundle, json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}))
        .write();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("umask"));
    let call = runtime.command();
    let mut command = std::process::Command::new("sh");
    for (key, value) in call.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(call.get_program()).args(call.get_args());
    command.args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id);
    assert_eq!(husk_tests::run(&mut command).ok().text(), "666");
}

#[test]
fn a_device_in_a_user_namespace() {
    // mknod is not allowed there: the node comes from the host, where this one is on every machine.
    let shown = output("stat -c '%F %t,%T' /dev/kmsg", |bundle| {
        mapped(with(bundle, json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11})))
    });
    assert_eq!(shown, "character special file 1,b");
}

#[test]
fn another_file_at_the_path_is_an_error() {
    refused(|bundle| {
        std::fs::write(bundle.rootfs().join("mnt/x"), "").unwrap();
        with(bundle, json!({"path": "/mnt/x", "type": "c", "major": 1, "minor": 5}))
    });
}

#[test]
fn a_type_that_there_is_not_is_an_error() {
    refused(|bundle| with(bundle, json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 5})));
}

#[test]
fn a_device_without_a_path_is_an_error() {
    refused(|bundle| with(bundle, json!({"type": "c", "major": 1, "minor": 5})));
}

#[test]
fn a_dev_that_is_the_hosts_is_left_as_it_is() {
    // Engines bind the host's /dev for privileged containers: nothing may be made or removed there.
    let names = || {
        let mut all: Vec<_> =
            std::fs::read_dir("/dev").unwrap().flatten().map(|entry| entry.file_name()).collect();
        all.sort();
        all
    };
    let before = names();
    let done = run("ls /dev/null", |bundle| {
        if let Some(mounts) = bundle.spec["mounts"].as_array_mut() {
            mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
        }
        bundle.mount("/dev", "bind", "/dev", &["rbind", "ro"])
    });
    assert_eq!(done.text(), "/dev/null", "{done:?}");
    assert_eq!(names(), before);
}

#[test]
fn devices_are_there_for_exec_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| {
        with(bundle, json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}))
    });
    assert_eq!(container.sh("stat -c '%t,%T' /dev/x; echo >/dev/null && echo ok").ok().text(), "1,5\nok");
}
