//! `process`: arguments, environment, working directory, standard streams.

use super::{output, refused, run, same};
use husk_tests::{Bundle, Runtime};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

#[test]
fn arguments_are_passed_as_they_are() {
    let shown = output("", |bundle| {
        bundle.set(
            "/process/args",
            json!(["sh", "-c", "for a; do echo \"[$a]\"; done", "zero", "o n e", "", "*", "ü\n"]),
        )
    });
    assert_eq!(shown, "[o n e]\n[]\n[*]\n[ü\n]");
}

#[test]
fn a_program_without_a_slash_is_looked_for_in_path() {
    let shown = output("", |bundle| {
        let tool = bundle.rootfs().join("opt/tool");
        std::fs::create_dir(tool.parent().unwrap()).unwrap();
        std::fs::write(&tool, "#!/bin/sh\necho found $0\n").unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        bundle.set("/process/args", json!(["tool"])).set("/process/env", json!(["PATH=/bin:/opt"]))
    });
    assert_eq!(shown, "found /opt/tool");
}

#[test]
fn the_first_argument_is_what_the_spec_says() {
    let shown = output("", |bundle| bundle.set("/process/args", json!(["cat", "/proc/self/cmdline"])));
    assert_eq!(shown, "cat\0/proc/self/cmdline\0");
}

#[test]
fn a_relative_program_is_relative_to_the_working_directory() {
    let shown = output("", |bundle| {
        bundle.set("/process/args", json!(["./busybox", "echo", "ran"])).set("/process/cwd", "/bin")
    });
    assert_eq!(shown, "ran");
}

#[test]
fn the_environment_is_that_of_the_spec() {
    let shown = output("", |bundle| {
        bundle
            .set("/process/args", json!(["/bin/env"]))
            .set("/process/env", json!(["A=b c=d", "EMPTY=", "HOME=/mine", "Ü=ü"]))
    });
    assert_eq!(shown, "A=b c=d\nEMPTY=\nHOME=/mine\nÜ=ü");
}

#[test]
fn nothing_of_the_callers_environment_comes_along() {
    let bundle = Bundle::new(&["/bin/env"]);
    bundle.write();
    let runtime = Runtime::new();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("env"));
    let mut command = runtime.command();
    command.args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id).env("HUSK_SECRET", "told");
    let done = husk_tests::run(&mut command).ok();
    assert!(done.stdout.contains("PATH=") && !done.stdout.contains("HUSK_SECRET"), "{}", done.stdout);
}

#[test]
fn the_working_directory() {
    assert_eq!(output("pwd", |bundle| bundle.set("/process/cwd", "/usr")), "/usr");
}

#[test]
fn a_working_directory_in_a_mount() {
    let shown = output("pwd; ls", |bundle| {
        bundle.mount("/mnt/deep/er", "tmpfs", "tmpfs", &[]).set("/process/cwd", "/mnt/deep")
    });
    assert_eq!(shown, "/mnt/deep\ner");
}

#[test]
fn a_relative_working_directory_is_an_error() {
    refused(|bundle| bundle.set("/process/cwd", "usr"));
}

#[test]
fn a_working_directory_that_is_a_file_is_an_error() {
    refused(|bundle| bundle.set("/process/cwd", "/etc/passwd"));
}

#[test]
fn a_working_directory_that_the_user_may_not_enter_but_root_may() {
    // As runc: the directory is entered before the user changes.
    let shown = output("pwd", |bundle| {
        let home = bundle.rootfs().join("root");
        std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
        bundle.set("/process/cwd", "/root").set("/process/user", json!({"uid": 1000, "gid": 1000}))
    });
    assert_eq!(shown, "/root");
}

#[test]
fn no_arguments_are_an_error() {
    refused(|bundle| bundle.set("/process/args", json!([])));
}

#[test]
fn a_program_that_there_is_not_is_an_error() {
    for program in ["no-such-program", "/no/such/program"] {
        let done = run("", |bundle| bundle.set("/process/args", json!([program])));
        assert_ne!(done.code, 0, "{done:?}");
        assert!(done.stderr.contains(program), "the message does not name {program}: {done:?}");
    }
}

#[test]
fn a_program_that_is_no_program_is_an_error() {
    for program in ["/etc/passwd", "/etc"] {
        let done = run("", |bundle| bundle.set("/process/args", json!([program])));
        assert_ne!(done.code, 0, "{done:?}");
    }
}

#[test]
fn create_needs_no_process() {
    // "This property is REQUIRED when start is called": before that, it may be absent.
    let runtime = Runtime::new();
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/process", Value::Null);
    let (container, done) = runtime.try_create(&bundle);
    if done.code == 0 {
        assert_ne!(container.call("start", &[]).code, 0, "a container without a process was started");
    }
}

#[test]
fn standard_streams_are_the_callers() {
    let bundle = Bundle::script("cat; echo to stderr >&2");
    bundle.write();
    let runtime = Runtime::new();
    let container = husk_tests::Container::named(&runtime, &husk_tests::unique("streams"));
    let mut command = runtime.command();
    command.args(["run", "--bundle"]).arg(bundle.path()).arg(&container.id);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"through stdin").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let done = husk_tests::command::run_with_stdin(&mut command, file.into()).ok();
    assert_eq!((done.stdout.as_str(), done.stderr.trim()), ("through stdin", "to stderr"));
}

#[test]
fn the_end_of_standard_input_is_passed_on() {
    assert_eq!(output("cat; echo end", same), "end");
}

#[test]
fn the_process_leads_a_session_of_its_own() {
    assert_eq!(output("cut -d' ' -f1,5,6 /proc/1/stat", same), "1 1 1");
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    let shown = output("", |bundle| {
        bundle.set("/process/args", json!(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]))
    });
    assert_eq!(shown.lines().count(), 2, "{shown}");
    for line in shown.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // The C library keeps 32 and 33 for itself.
        assert_eq!(mask & 0x7fff_ffff, 0, "{shown}");
    }
}

#[test]
fn a_terminal_size_without_a_terminal_means_nothing() {
    let shown = output("tty; echo done", |bundle| {
        bundle.set("/process/consoleSize", json!({"height": 5, "width": 5}))
    });
    assert_eq!(shown, "not a tty\ndone");
}
