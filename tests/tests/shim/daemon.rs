//! The daemon dies; the shim doesn't.

use crate::pod::Pod;
use husk_shim_api::{Call, CallError, Client, FailureKind, Request, Status, connect};
use std::process::{Command, Stdio};

/// Environment of the process that plays the daemon: the shim's directory and the containers to start.
const SOCKET: &str = "HUSK_TEST_SOCKET";
const CREATE: &str = "HUSK_TEST_CREATE";

/// Not a test of its own: what [`sigkill_of_the_daemon`] runs as the daemon that gets killed.
#[test]
fn plays_the_daemon() {
    let (Some(socket), Some(create)) = (std::env::var_os(SOCKET), std::env::var(CREATE).ok()) else { return };
    let create: husk_shim_api::Create = serde_json::from_str(&create).unwrap();
    let mut client = Client::connect(socket.as_ref()).unwrap();
    let container = create.container.clone();
    client.call(Call::Create(create)).unwrap();
    client.call(Call::Start { container }).unwrap();
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[test]
fn sigkill_of_the_daemon_loses_nothing() {
    let mut pod = Pod::new();
    for round in 0..5u64 {
        let script = format!(
            "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; sleep 0.2; echo last; exit {round}"
        );
        let create = pod.request(husk_tests::Bundle::script(&script));
        let id = create.container.clone();
        let mut daemon = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::plays_the_daemon", "--nocapture", "--test-threads=1"])
            .env(SOCKET, pod.socket())
            .env(CREATE, serde_json::to_string(&create).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed at another moment each round: before, during and after `create` and `start`.
        let mut seen = false;
        husk_tests::wait_until("the daemon has begun", || {
            let containers = pod.state().containers;
            seen = containers
                .iter()
                .any(|c| c.id == id && (round < 2 || c.status == Status::Running || c.exit.is_some()));
            seen
        });
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        pod.reconnect();
        husk_tests::wait_until("create is done", || pod.container_state(&id).status != Status::Creating);
        if pod.container_state(&id).status == Status::Created {
            // The daemon died before it asked for the start, or the shim had it half done: asking again is safe.
            match pod.client.call(Call::Start { container: id.clone() }) {
                Ok(_) => {}
                Err(CallError::Failed(failure)) => assert_eq!(failure.kind, FailureKind::State, "{failure}"),
                Err(e) => panic!("{e}"),
            }
        }
        let state = pod.wait_stopped(&id);
        assert_eq!(state.exit.unwrap().code(), Some(round as i32));
        assert_eq!(pod.log(&id).lines().count(), 401);
        assert!(pod.log(&id).ends_with("last\n"));
        pod.record(&id);
        pod.delete(&id, false);
    }
}

#[test]
fn events_go_to_the_last_one_that_said_hello() {
    let mut pod = Pod::new();
    let id = pod.run("read line; exit 2");
    assert_eq!(pod.wait(&id).code(), Some(2), "stdin is /dev/null");
    let id = pod.run("sleep 1000");
    let mut newer = Client::connect(&pod.socket()).unwrap();
    pod.kill(&id, 9, husk_shim_api::StopReason::Request);
    assert!(newer.event(crate::pod::PATIENCE).unwrap().is_some());
    drop(newer);
    // The old connection still gets answers.
    assert_eq!(pod.container_state(&id).status, Status::Stopped);
}

#[test]
fn another_version_is_refused_and_told_so() {
    let pod = Pod::new();
    let connection = connect(&pod.socket()).unwrap();
    connection.send(&Request { id: 3, call: Call::Hello { version: 99 } }, &[]).unwrap();
    let answer = String::from_utf8(connection.recv().unwrap().body().to_vec()).unwrap();
    assert!(answer.contains(r#""kind":"version""#) && answer.contains("not 99"), "{answer}");
}

#[test]
fn signals_do_not_end_the_shim_and_shutdown_leaves_nothing() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let pid = rustix::process::Pid::from_raw(pod.pid).unwrap();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP]
    {
        rustix::process::kill_process(pid, signal).unwrap();
    }
    let refused = pod.client.call(Call::Shutdown { force: false }).unwrap_err();
    assert!(
        matches!(refused, CallError::Failed(f) if f.kind == FailureKind::State && f.message.contains(&id))
    );
    let init = pod.container_state(&id).pid.unwrap();
    pod.client.call(Call::Shutdown { force: true }).unwrap();
    husk_tests::wait_until("the shim ends", || {
        !std::path::Path::new(&format!("/proc/{}", pid.as_raw_pid())).exists()
    });
    assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
    assert!(!pod.socket().parent().unwrap().exists());
    assert_eq!(pod.record(&id).sent[0].cause, husk_exit::SignalCause::Delete);
}
