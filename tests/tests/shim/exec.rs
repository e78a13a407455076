//! Execs: output through the caller's own descriptors, time limits that leave nothing.

use crate::pod::{Pod, process};
use husk_shim_api::{Call, CallError, Exec, FailureKind, Kill, Reply, StopReason};
use std::io::Read;
use std::os::fd::AsFd;

#[test]
fn output_and_exit_code() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    for (script, code, text) in
        [("echo hi", 0, "hi\n"), ("echo no; exit 3", 3, "no\n"), ("kill -9 $$", 137, "")]
    {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let exec = pod.exec(&id, script, 0, Some(writer.as_fd()));
        drop(writer);
        let exit = pod.wait_exec(&id, Some(&exec));
        assert_eq!((exit.code(), exit.timed_out), (Some(code), false), "{script}");
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        assert_eq!(output, text);
    }
    // Nothing of it is in the container's log.
    assert_eq!(pod.log(&id), "");
}

#[test]
fn a_time_limit_kills_all_of_it() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let cgroup = pod.container_state(&id).pid.map(|pid| husk_tests::cgroup::of_process(pid as u32)).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = "echo begun; sleep 987 & (sleep 986 &) ; sleep 985";
    let exec = pod.exec(&id, script, 2_000, Some(writer.as_fd()));
    drop(writer);
    let exit = pod.wait_exec(&id, Some(&exec));
    assert!(exit.timed_out);
    assert_eq!(exit.code(), Some(137));
    let of_v2 = !(std::env::var("RUNTIME").is_ok_and(|name| name == "runc")
        && husk_tests::cgroup::root().ends_with("unified"));
    if of_v2 {
        // End of file: no process holds the pipe any more.
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        assert_eq!(output, "begun\n");
        let groups = std::fs::read_dir(&cgroup).unwrap().flatten().filter(|e| e.path().is_dir()).count();
        assert_eq!(groups, 0);
    } else {
        husk_tests::skip("runc works with cgroup v1 on this host");
    }
    assert!(pod.container_state(&id).exit.is_none(), "the container itself goes on");
}

#[test]
fn what_an_exec_leaves_on_purpose_lives_on() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let exec = pod.exec(&id, "(sleep 984 >/dev/null 2>&1 &)", 60_000, None);
    assert_eq!(pod.wait_exec(&id, Some(&exec)).code(), Some(0));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let exec = pod.exec(&id, "ps", 0, Some(writer.as_fd()));
    drop(writer);
    pod.wait_exec(&id, Some(&exec));
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    assert!(output.contains("sleep 984"), "{output}");
}

#[test]
fn failures_have_the_runtimes_words() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let exec = |exec: &str, args: &[&str]| {
        Call::Exec(Exec {
            container: id.clone(),
            exec: exec.into(),
            process: process(args),
            ..Exec::default()
        })
    };
    match pod.client.call(exec("e1", &["/no/such"])).unwrap_err() {
        CallError::Failed(failure) => {
            assert_eq!(failure.kind, FailureKind::Runtime);
            assert!(failure.message.contains("/no/such"), "{}", failure.message);
            assert!(failure.code.is_some_and(|code| code != 0));
        }
        other => panic!("{other}"),
    }
    assert!(
        matches!(pod.client.call(exec("../e", &["true"])), Err(CallError::Failed(f)) if f.kind == FailureKind::Invalid)
    );
    assert!(pod.client.call(exec("e1", &["sleep", "1000"])).is_ok());
    assert!(
        matches!(pod.client.call(exec("e1", &["true"])), Err(CallError::Failed(f)) if f.kind == FailureKind::Exists)
    );
    let kill = Kill {
        container: id.clone(),
        exec: Some("e1".into()),
        signal: 15,
        all: false,
        why: StopReason::Request,
    };
    assert_eq!(pod.client.call(Call::Kill(kill)).unwrap(), Reply::Done);
    assert_eq!(pod.wait_exec(&id, Some("e1")).code(), Some(143));
}

#[test]
fn a_terminal_comes_with_the_answer() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let mut process = process(&["sh", "-c", "tty >/dev/null && echo terminal"]);
    process["terminal"] = true.into();
    let exec = Exec { container: id.clone(), exec: "t".into(), process, terminal: true, ..Exec::default() };
    let (_, fds) = pod.client.call_with(Call::Exec(exec), &[]).unwrap();
    let mut terminal = std::fs::File::from(fds.into_iter().next().unwrap());
    let mut text = Vec::new();
    // EIO at the end is how a terminal says end of file.
    let _ = terminal.read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text).trim(), "terminal");
    assert_eq!(pod.wait_exec(&id, Some("t")).code(), Some(0));
}

#[test]
fn a_record_is_written_where_one_is_wanted() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let path = pod.path().join("e.exit");
    let exec = Exec {
        container: id.clone(),
        exec: "r".into(),
        process: process(&["sh", "-c", "exit 6"]),
        record: Some(path.clone()),
        ..Exec::default()
    };
    pod.client.call(Call::Exec(exec)).unwrap();
    assert_eq!(pod.wait_exec(&id, Some("r")).code(), Some(6));
    let told = crate::pod::record(&path);
    assert_eq!((told.exec_id.as_deref(), told.status().map(|s| s.shell_code())), (Some("r"), Some(6)));
}
