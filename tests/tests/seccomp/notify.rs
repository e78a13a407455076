//! `SCMP_ACT_NOTIFY`: the agent gets the listener and the container's state, and its answers are what the program sees.

use super::{deny, runtimes, with};
use husk_sys::agent::{self, Answer, Notification};
use husk_tests::{Bundle, Receiver, Runtime};
use serde_json::{Value, json};
use std::os::fd::{AsFd as _, OwnedFd};

const MKDIR: [&str; 2] = ["mkdir", "mkdirat"];

fn notified(script: &str, calls: &[&str], receiver: &Receiver) -> Bundle {
    let mut profile = deny(calls, json!({"action": "SCMP_ACT_NOTIFY"}));
    profile["listenerPath"] = receiver.text().into();
    profile["listenerMetadata"] = "anything".into();
    with(script, profile)
}

fn connected(receiver: &Receiver) -> (Value, OwnedFd) {
    let (text, listener) = receiver.receive();
    (serde_json::from_str(&text).expect("JSON"), listener)
}

/// The directory that a call of mkdir or mkdirat wants to make, as it stands in the caller's memory.
fn directory(call: &Notification) -> String {
    use std::os::unix::fs::FileExt as _;
    // mkdir is 83, mkdirat 258 (x86-64).
    let address = if call.number == 83 { call.args[0] } else { call.args[1] };
    let memory = std::fs::File::open(format!("/proc/{}/mem", call.pid)).unwrap();
    let mut bytes = [0; 16];
    let length = memory.read_at(&mut bytes, address).unwrap();
    let end = bytes[..length].iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

/// Answers calls by `answer` until there is nobody left to call.
fn serve(
    listener: OwnedFd,
    mut answer: impl FnMut(&Notification) -> Answer + Send + 'static,
) -> std::thread::JoinHandle<u32> {
    std::thread::spawn(move || {
        let mut count = 0;
        loop {
            let mut fds = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, None).unwrap();
            if !fds[0].revents().contains(rustix::event::PollFlags::IN) {
                return count;
            }
            let Ok(call) = agent::receive(listener.as_fd()) else { continue };
            count += 1;
            // It may have been killed meanwhile.
            let _ = agent::answer(listener.as_fd(), call.id, answer(&call));
        }
    })
}

#[test]
fn the_agents_answers_are_what_the_program_sees() {
    for runtime in runtimes() {
        let receiver = Receiver::new();
        let script =
            "mkdir /refused; mkdir /done && echo done; mkdir /made && echo made; ls -d /refused /done /made";
        let bundle = notified(&format!("({script}) >/result 2>&1; exec sleep 100000"), &MKDIR, &receiver);
        let container = runtime.create(&bundle);
        let (state, listener) = connected(&receiver);
        let pid = container.pid();
        assert_eq!(
            (&state["metadata"], &state["fds"], &state["pid"]),
            (&json!("anything"), &json!(["seccompFd"]), &json!(pid)),
            "{}: {state:#}",
            runtime.name
        );
        let inner = &state["state"];
        assert_eq!(
            (&inner["id"], &inner["pid"], &inner["status"], &inner["bundle"]),
            (
                &json!(container.id),
                &json!(pid),
                &json!("creating"),
                &json!(bundle.path().canonicalize().unwrap())
            ),
            "{}: {state:#}",
            runtime.name
        );
        assert!(state["ociVersion"].is_string() && inner["ociVersion"].is_string(), "{state:#}");
        let agent = serve(listener, |call| match directory(call).as_str() {
            "/refused" => Answer::Errno(28),
            "/done" => Answer::Value(0),
            _ => Answer::Continue,
        });
        container.call("start", &[]).ok();
        let result = bundle.rootfs().join("result");
        husk_tests::wait_until("the script's end", || {
            std::fs::read_to_string(&result).is_ok_and(|text| text.contains("ls: /done"))
        });
        let text = std::fs::read_to_string(&result).unwrap();
        for words in ["'/refused': No space left on device", "done\n", "made\n", "\n/made", "ls: /refused"] {
            assert!(text.contains(words), "{}: {words}: {text}", runtime.name);
        }
        container.call("delete", &["--force"]).ok();
        assert_eq!(agent.join().unwrap(), 3, "{}", runtime.name);
    }
}

#[test]
fn an_exec_has_a_listener_of_its_own() {
    for runtime in runtimes() {
        let receiver = Receiver::new();
        let bundle = notified("exec sleep 100000", &MKDIR, &receiver);
        let container = runtime.start(&bundle);
        let (_, first) = connected(&receiver);
        let done = std::thread::scope(|scope| {
            let exec = scope.spawn(|| container.sh("echo $$; mkdir /x"));
            let (state, listener) = connected(&receiver);
            assert_eq!(state["state"]["status"], "running", "{}: {state:#}", runtime.name);
            assert_eq!(state["state"]["pid"], container.pid(), "{}: {state:#}", runtime.name);
            assert_ne!(state["pid"], container.pid(), "{}: {state:#}", runtime.name);
            let agent = serve(listener, |_| Answer::Errno(122));
            let done = exec.join().unwrap();
            assert_eq!(agent.join().unwrap(), 1);
            done
        });
        assert!(done.code == 1 && done.stderr.contains("quota exceeded"), "{}: {done:?}", runtime.name);
        drop(first);
    }
}

#[test]
fn an_agent_that_goes_away_leaves_no_one_waiting() {
    for runtime in runtimes() {
        let receiver = Receiver::new();
        let bundle = notified("mkdir /x; echo $? >/result; exec sleep 100000", &MKDIR, &receiver);
        let container = runtime.start(&bundle);
        let (_, listener) = connected(&receiver);
        let _ = agent::receive(listener.as_fd()).unwrap();
        assert!(!bundle.rootfs().join("result").exists());
        // seccomp_unotify(2): the calls that wait then fail with ENOSYS.
        drop(listener);
        husk_tests::wait_until("mkdir was answered", || bundle.rootfs().join("result").exists());
        assert!(!bundle.rootfs().join("x").exists());
        drop(container);
    }
}

/// The agent is there before husk itself makes such a call: it is asked, and nothing hangs.
#[test]
fn calls_that_husk_itself_makes_can_be_notified() {
    let runtime = Runtime::husk();
    for no_new_privileges in [true, false] {
        let receiver = Receiver::new();
        let calls = ["sendmsg", "recvmsg", "read", "setuid", "setresuid", "capset", "close_range", "execve"];
        let mut bundle = notified("echo it ran", &calls, &receiver);
        bundle.set("/process/noNewPrivileges", no_new_privileges);
        let done = std::thread::scope(|scope| {
            let run = scope.spawn(|| runtime.run(&bundle));
            let (_, listener) = connected(&receiver);
            let agent = serve(listener, |_| Answer::Continue);
            let done = run.join().unwrap();
            assert!(agent.join().unwrap() > 2);
            done
        });
        assert_eq!(done.ok().text(), "it ran");
    }
}

#[test]
fn an_agent_that_is_not_there_is_named() {
    let runtime = Runtime::husk();
    let receiver = Receiver::new();
    let mut bundle = notified("true", &MKDIR, &receiver);
    bundle.set("/linux/seccomp/listenerPath", "/no/such/agent");
    let done = runtime.run(&bundle).expect_code(1);
    for words in ["linux.seccomp.listenerPath", "/no/such/agent", "No such file"] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
}
