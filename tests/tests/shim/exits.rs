//! Ends: exact, recorded before they are told, with who sent what.

use crate::pod::{Pod, record};
use husk_exit::{Outcome, SignalCause};
use husk_shim_api::{Call, CallError, Client, Event, FailureKind, Kill, Reply, Status, StopReason};
use husk_tests::Bundle;

#[test]
fn exit_codes_are_exact() {
    let mut pod = Pod::new();
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("exit 1", 1)] {
        let id = pod.run(script);
        let exit = pod.wait(&id);
        assert_eq!(exit.code(), Some(code), "{script}");
        // The event comes after the record is on disk.
        let record = pod.record(&id);
        assert_eq!(record.outcome, Outcome::Status { raw: code << 8 });
        assert!(record.started_ns > 0 && record.finished_ns > 0 && record.pid > 0);
        assert!(record.rusage.is_some_and(|used| used.max_rss_kib > 100), "{record:?}");
        pod.delete(&id, false);
    }
    assert!(pod.state().containers.is_empty());
}

#[test]
fn signals_are_told_with_their_sender() {
    let mut pod = Pod::new();
    let script = "trap 'echo bye; exit 143' TERM; echo up; while :; do sleep 0.05; done";
    let id = pod.run(script);
    husk_tests::wait_until("the trap is set", || pod.log(&id).contains("up"));
    pod.kill(&id, 15, StopReason::Stop);
    assert_eq!(pod.wait(&id).code(), Some(143));
    assert_eq!(pod.log(&id), "up\nbye\n");
    let told = pod.record(&id);
    assert_eq!((told.sent[0].signal, told.sent[0].cause), (15, SignalCause::Stop));
    assert_eq!(told.log_tail.last().unwrap().text, "bye");

    let id = pod.run("trap '' TERM; while :; do sleep 0.05; done");
    pod.kill(&id, 15, StopReason::Stop);
    pod.kill(&id, 9, StopReason::Grace);
    assert_eq!(pod.wait(&id).status, Some(9));
    let causes: Vec<_> = pod.record(&id).sent.iter().map(|s| s.cause).collect();
    assert_eq!(causes, [SignalCause::Stop, SignalCause::GraceExpired]);

    // From outside: nothing is said to have been sent.
    let id = pod.run("while :; do sleep 0.05; done");
    let pid = pod.container_state(&id).pid.unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(pod.wait(&id).code(), Some(137));
    assert!(pod.record(&id).sent.is_empty());

    // PID 1 of a namespace ignores what it does not handle, so this one is none.
    let mut bundle = Bundle::script("kill -SEGV $$");
    bundle.without_namespace("pid");
    let id = pod.create(bundle);
    pod.start(&id);
    assert_eq!(pod.wait(&id).code(), Some(139));
}

#[test]
fn a_start_is_told_before_the_end_and_only_once_is_it_started() {
    let mut pod = Pod::new();
    let id = pod.create(Bundle::script("exit 5"));
    assert_eq!(pod.container_state(&id).status, Status::Created);
    pod.start(&id);
    assert_eq!(pod.wait(&id).code(), Some(5));
    let again = pod.client.call(Call::Start { container: id.clone() }).unwrap_err();
    assert!(
        matches!(again, CallError::Failed(f) if f.kind == FailureKind::State && f.message.contains("stopped"))
    );
    let state = pod.container_state(&id);
    assert_eq!(state.pid, None);
    assert_eq!(state.exit.unwrap().code(), Some(5));
}

#[test]
fn a_created_container_can_be_deleted_without_ever_running() {
    let mut pod = Pod::new();
    let id = pod.create(Bundle::script("exit 5"));
    let refused = pod.client.call(Call::Delete { container: id.clone(), force: false }).unwrap_err();
    assert!(matches!(refused, CallError::Failed(f) if f.kind == FailureKind::State));
    pod.delete(&id, true);
    assert!(pod.state().containers.is_empty());
    let told = pod.record(&id);
    assert_eq!(told.started_ns, 0);
    assert_eq!(told.sent[0].cause, SignalCause::Delete);
}

#[test]
fn what_the_runtime_says_is_the_failure() {
    let mut pod = Pod::new();
    let create = pod.request(Bundle::new(&["/no/such/program"]));
    let (id, path) = (create.container.clone(), create.record.clone());
    let failed = match pod.client.call(Call::Create(create)) {
        Err(CallError::Failed(failure)) => failure,
        // Told by `start` by a runtime that looks only then.
        Ok(Reply::Created { .. }) => match pod.client.call(Call::Start { container: id.clone() }) {
            Err(CallError::Failed(failure)) => {
                pod.wait(&id);
                failure
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(failed.kind, FailureKind::Runtime);
    assert!(failed.message.contains("/no/such/program"), "{}", failed.message);
    let told = record(&path);
    match &told.outcome {
        Outcome::NotStarted { failure } => assert!(failure.subject.contains("/no/such/program"), "{told:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_processes_of_a_shared_pid_namespace_can_be_killed() {
    let mut pod = Pod::new();
    let mut bundle = Bundle::script("(while :; do sleep 0.05; done) & echo up; exit 4");
    bundle.without_namespace("pid");
    let id = pod.create(bundle);
    pod.start(&id);
    // The child keeps the pipe open: the record does not wait for it.
    assert_eq!(pod.wait(&id).code(), Some(4));
    assert_eq!(pod.log(&id), "up\n");
    let kill = Kill { container: id.clone(), exec: None, signal: 9, all: true, why: StopReason::Removal };
    pod.client.call(Call::Kill(kill)).unwrap();
    pod.delete(&id, true);
}

#[test]
fn a_runtime_that_hangs_holds_up_nobody_else() {
    let mut pod = Pod::new();
    let slow = pod.path().join("slow");
    std::fs::write(&slow, "#!/bin/sh\nsleep 1000 &\nwait\n").unwrap();
    husk_tests::run(std::process::Command::new("chmod").arg("755").arg(&slow)).ok();
    let mut create = pod.request(Bundle::script("exit 0"));
    create.runtime = Some(husk_shim_api::Runtime { binary: slow, args: Vec::new() });
    create.timeout_ms = 3_000;
    let socket = pod.socket();
    let hung = std::thread::spawn(move || Client::connect(&socket).unwrap().call(Call::Create(create)));
    let mut events = Client::connect(&pod.socket()).unwrap();
    std::mem::swap(&mut events, &mut pod.client);
    let id = pod.run("echo quick; exit 0");
    // The other client may have said hello later and get the events: the state tells it as well.
    assert_eq!(pod.wait_stopped(&id).exit.unwrap().code(), Some(0));
    match hung.join().unwrap().unwrap_err() {
        CallError::Failed(failure) => {
            assert_eq!(failure.kind, FailureKind::Timeout);
            assert!(failure.message.contains("slow create"), "{}", failure.message);
        }
        other => panic!("{other}"),
    }
    assert!(!pod.state().containers.iter().any(|c| c.id != id));
}

#[test]
fn an_exit_during_start_is_not_lost() {
    let mut pod = Pod::new();
    let ids: Vec<String> = (0..8).map(|_| pod.create(Bundle::script("exit 9"))).collect();
    for id in &ids {
        pod.start(id);
    }
    let mut left = ids.clone();
    while !left.is_empty() {
        match pod.client.event(crate::pod::PATIENCE).unwrap() {
            Some(Event::Exited { container, exit, .. }) => {
                assert_eq!(exit.code(), Some(9));
                left.retain(|id| *id != container);
            }
            other => panic!("{other:?}"),
        }
    }
}
