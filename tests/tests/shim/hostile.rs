//! What comes over the socket and is not what it should be.

use crate::pod::Pod;
use husk_shim_api::{Call, CallError, Create, FailureKind, Kill, StopReason, connect};
use husk_tests::Bundle;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

#[test]
fn cve_2020_15257_the_socket_is_a_file_that_only_its_user_can_reach() {
    let pod = Pod::new();
    let socket = pod.socket().metadata().unwrap();
    assert_eq!(socket.mode() & 0o777, 0o600);
    assert_eq!(pod.socket().parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    let sockets = std::fs::read_to_string(format!("/proc/{}/net/unix", pod.pid)).unwrap();
    assert!(!sockets.lines().any(|line| line.contains('@') && line.contains("husk")), "an abstract socket");
    // Another user, even with a way to the file, is refused.
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect(sys.argv[1])
    s.send(b'J{"id":1,"call":"state"}')
    print(repr(s.recv(1000)))
except OSError as e:
    print("refused", e)
"#;
    if std::path::Path::new("/usr/bin/python3").exists() && std::path::Path::new("/usr/bin/setpriv").exists()
    {
        let open = |path: &std::path::Path, mode| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(pod.socket().parent().unwrap(), 0o755);
        open(&pod.socket(), 0o666);
        let done = husk_tests::run(
            std::process::Command::new("setpriv")
                .args([
                    "--reuid",
                    "12345",
                    "--regid",
                    "12345",
                    "--clear-groups",
                    "/usr/bin/python3",
                    "-c",
                    script,
                ])
                .arg(pod.socket()),
        );
        assert!(done.stdout.contains("refused") || done.stdout.contains("b''"), "{done:?}");
    }
}

#[test]
fn bad_packets_close_their_own_connection_only() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let bad: [&[u8]; 6] = [b"?", b"J", b"Jnot json", b"F", b"J{\"call\":\"state\"}", &[b'J'; 32_000]];
    for packet in bad {
        let connection = connect(&pod.socket()).unwrap();
        rustix::net::send(&connection, packet, rustix::net::SendFlags::empty()).unwrap();
        assert!(connection.recv().is_err(), "{packet:.20?}");
    }
    // A call that this version does not know is answered: its id can be read.
    let connection = connect(&pod.socket()).unwrap();
    rustix::net::send(&connection, b"J{\"id\":5,\"call\":{\"dance\":{}}}", rustix::net::SendFlags::empty())
        .unwrap();
    let answer = connection.recv().unwrap();
    assert!(String::from_utf8_lossy(answer.body()).contains("invalid"));
    // More connections than it keeps: the daemon's own stays.
    let many: Vec<_> = (0..40).filter_map(|_| connect(&pod.socket()).ok()).collect();
    assert_eq!(pod.container_state(&id).id, id);
    drop(many);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", pod.pid)).unwrap().count();
    assert!(fds < 40, "{fds} descriptors are open");
}

#[test]
fn bad_fields_are_named() {
    let mut pod = Pod::new();
    let id = pod.run("sleep 1000");
    let good = pod.request(Bundle::script("true"));
    let mut refused = |call: Call, kind: FailureKind, text: &str| match pod.client.call(call) {
        Err(CallError::Failed(failure)) => {
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.message.contains(text), "{failure}");
        }
        other => panic!("{other:?}"),
    };
    for bad in ["", "..", "a/b", "-x", &"a".repeat(129), "a\nb"] {
        let create = Create { container: bad.into(), ..good.clone() };
        refused(Call::Create(create), FailureKind::Invalid, "container id");
    }
    refused(Call::Create(Create { container: id.clone(), ..good.clone() }), FailureKind::Exists, "exists");
    let relative = Create { bundle: "x".into(), ..good.clone() };
    refused(Call::Create(relative), FailureKind::Invalid, "bundle");
    let no_folder = Create { log: Some("/no/such/folder/log".into()), ..good.clone() };
    refused(Call::Create(no_folder), FailureKind::Internal, "/no/such/folder/log");
    let kill = |signal, all| Kill { container: id.clone(), exec: None, signal, all, why: StopReason::Stop };
    refused(Call::Kill(kill(0, false)), FailureKind::Invalid, "signal 0");
    refused(Call::Kill(kill(65, false)), FailureKind::Invalid, "signal 65");
    refused(Call::Kill(kill(15, true)), FailureKind::Invalid, "SIGKILL");
    refused(Call::Start { container: "none".into() }, FailureKind::NotFound, "none");
    refused(Call::ReopenLog { container: "none".into() }, FailureKind::NotFound, "none");
    let resize = Call::Resize { container: id.clone(), width: 1, height: 1 };
    refused(resize, FailureKind::State, "no terminal");
    let no_runtime = husk_shim_api::Runtime { binary: "/no/such/runtime".into(), args: vec![] };
    let create = Create { runtime: Some(no_runtime), ..good.clone() };
    let record = create.record.clone();
    refused(Call::Create(create), FailureKind::Internal, "/no/such/runtime");
    assert!(!record.exists());
    // Descriptors that were not announced.
    let (_reader, writer) = std::io::pipe().unwrap();
    assert!(pod.client.call_with(Call::State, &[writer.as_fd()]).is_err());
}

/// A log path that a container's user could have made a link must not lead anywhere else.
#[test]
fn a_log_file_is_not_followed_as_a_link() {
    let mut pod = Pod::new();
    let create = pod.request(Bundle::script("true"));
    let target = pod.path().join("target");
    std::os::unix::fs::symlink(&target, create.log.as_ref().unwrap()).unwrap();
    assert!(pod.client.call(Call::Create(create)).is_err());
    assert!(!target.exists());
}
