//! Pins the wire format: a change here is a change of `VERSION`.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use husk_shim_api::{
    Call, Client, Connection, Create, Event, Exec, Exit, Failure, FailureKind, INLINE_MAX, Kill, Listener,
    MAX_BODY, Message, Namespace, PacketError, Pin, Pinned, Reply, Request, StopReason, VERSION, connect,
};
use std::io::Read;
use std::os::fd::AsFd;

#[track_caller]
fn pinned<T>(value: &T, json: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
}

#[test]
fn requests_look_like_this() {
    let request = |call| Request { id: 7, call };
    pinned(&request(Call::Hello { version: VERSION }), r#"{"id":7,"call":{"hello":{"version":1}}}"#);
    pinned(&request(Call::State), r#"{"id":7,"call":"state"}"#);
    pinned(&request(Call::Start { container: "c".into() }), r#"{"id":7,"call":{"start":{"container":"c"}}}"#);
    let kill = Kill { container: "c".into(), exec: None, signal: 15, all: false, why: StopReason::Grace };
    pinned(
        &request(Call::Kill(kill)),
        r#"{"id":7,"call":{"kill":{"container":"c","exec":null,"signal":15,"all":false,"why":"grace"}}}"#,
    );
    let create = Create {
        container: "c".into(),
        bundle: "/b".into(),
        log: Some("/l".into()),
        record: "/r".into(),
        ..Create::default()
    };
    pinned(
        &request(Call::Create(create)),
        r#"{"id":7,"call":{"create":{"container":"c","bundle":"/b","log":"/l","record":"/r","terminal":false,"stdin":false,"runtime":null,"timeout_ms":0}}}"#,
    );
    let pin = Pin { namespaces: vec![Namespace::Net, Namespace::Uts], ..Pin::default() };
    pinned(
        &request(Call::Pin(pin)),
        r#"{"id":7,"call":{"pin":{"namespaces":["net","uts"],"hostname":null,"sysctls":{},"pause":false,"pause_cgroup":null,"uid_mappings":[],"gid_mappings":[]}}}"#,
    );
}

#[test]
fn answers_and_events_look_like_this() {
    pinned(&Message::Reply { id: 7, reply: Reply::Done }, r#"{"reply":{"id":7,"reply":"done"}}"#);
    let namespaces = [(Namespace::Net, "/run/ns/net".into())].into();
    pinned(
        &Message::Reply { id: 1, reply: Reply::Pinned(Pinned { namespaces, pause_pid: None }) },
        r#"{"reply":{"id":1,"reply":{"pinned":{"namespaces":{"net":"/run/ns/net"},"pause_pid":null}}}}"#,
    );
    let failure = Failure { kind: FailureKind::NotFound, message: "no container x".into(), code: None };
    pinned(
        &Message::Failed { id: 7, failure },
        r#"{"failed":{"id":7,"failure":{"kind":"not_found","message":"no container x","code":null}}}"#,
    );
    let exit = Exit {
        status: Some(9),
        started_at: 1,
        finished_at: 2,
        timed_out: false,
        record: None,
        record_error: None,
    };
    assert_eq!(exit.code(), Some(137));
    pinned(
        &Message::Event(Event::Exited { container: "c".into(), exec: None, exit }),
        r#"{"event":{"exited":{"container":"c","exec":null,"exit":{"status":9,"started_at":1,"finished_at":2,"timed_out":false,"record":null,"record_error":null}}}}"#,
    );
}

#[test]
fn optional_fields_may_be_missing_and_unknown_ones_present() {
    let exec: Exec =
        serde_json::from_str(r#"{"container":"c","exec":"e","process":{},"colour":"red"}"#).unwrap();
    assert_eq!(exec.timeout_ms, 0);
    assert!(serde_json::from_str::<Call>(r#"{"explode":{}}"#).is_err());
}

#[test]
fn descriptors_travel_with_small_and_large_messages() {
    let (a, b) = Connection::pair().unwrap();
    for size in [1, INLINE_MAX - 200, INLINE_MAX + 1, 1024 * 1024] {
        let (reader, writer) = std::io::pipe().unwrap();
        let call = Call::Start { container: "x".repeat(size) };
        let sent = Request { id: 1, call };
        a.send(&sent, &[writer.as_fd()]).unwrap();
        drop(writer);
        let packet = b.recv().unwrap();
        assert_eq!(packet.parse::<Request>().unwrap(), sent);
        assert_eq!(packet.fds.len(), 1);
        let flags = rustix::io::fcntl_getfd(&packet.fds[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        std::io::Write::write_all(&mut std::fs::File::from(packet.fds.into_iter().next().unwrap()), b"hi")
            .unwrap();
        let mut text = String::new();
        (&reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");
    }
    let too_large = "x".repeat(MAX_BODY);
    assert!(matches!(a.send(&too_large, &[]), Err(PacketError::TooLarge(_))));
}

#[test]
fn bad_packets_are_refused_and_their_descriptors_closed() {
    use rustix::net::SendFlags;
    let (a, b) = Connection::pair().unwrap();
    let raw = |bytes: &[u8]| rustix::net::send(&a, bytes, SendFlags::empty()).unwrap();
    raw(b"?{}");
    assert!(matches!(b.recv(), Err(PacketError::Malformed(_))));
    raw(b"F");
    assert!(matches!(b.recv(), Err(PacketError::Malformed(_))));
    raw(b"J{not json");
    assert!(matches!(b.recv().unwrap().parse::<Request>(), Err(PacketError::Json(_))));
    raw(format!("J{}", "[".repeat(20_000)).as_bytes());
    assert!(matches!(b.recv().unwrap().parse::<Request>(), Err(PacketError::Json(_))));
    raw(&vec![b'J'; INLINE_MAX + 2]);
    assert!(matches!(b.recv(), Err(PacketError::TooLarge(_))));
    assert!(matches!(b.try_recv(), Err(PacketError::Empty)));

    let (reader, writer) = std::io::pipe().unwrap();
    let many: Vec<_> = (0..20).map(|_| writer.as_fd()).collect();
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(20)) + 8];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&many)));
    rustix::net::sendmsg(&a, &[std::io::IoSlice::new(b"J{}")], &mut control, SendFlags::empty()).unwrap();
    assert!(matches!(b.recv(), Err(PacketError::TooManyFds)));
    drop(writer);
    // End of file: no copy of the writer is left open.
    assert_eq!((&reader).read(&mut [0]).unwrap(), 0);

    drop(a);
    assert!(matches!(b.recv(), Err(PacketError::Closed)));
}

#[test]
fn a_file_that_is_no_sealed_memory_file_is_not_read() {
    let (a, b) = Connection::pair().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let fds = [reader.as_fd()];
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1)) + 8];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds)));
    let flags = rustix::net::SendFlags::empty();
    rustix::net::sendmsg(&a, &[std::io::IoSlice::new(b"F")], &mut control, flags).unwrap();
    assert!(matches!(b.recv(), Err(PacketError::Malformed(_))));
}

#[test]
fn a_slow_peer_is_told_apart_from_a_gone_one() {
    let (a, b) = Connection::pair().unwrap();
    let message = Message::Reply { id: 1, reply: Reply::Done };
    let sent = (0..100_000).take_while(|_| a.try_send(&message, &[]).is_ok()).count();
    assert!(sent > 0 && sent < 100_000);
    assert!(matches!(a.try_send(&message, &[]), Err(PacketError::Full)));
    drop(b);
    assert!(matches!(a.try_send(&message, &[]), Err(PacketError::Closed)));
}

#[test]
fn sockets_at_long_paths_have_mode_0600() {
    use std::os::unix::fs::MetadataExt;
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("shim.sock");
    let listener = Listener::bind(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    assert!(matches!(listener.accept(), Err(PacketError::Empty)));
    let server = std::thread::spawn(move || {
        let connection = loop {
            match listener.accept() {
                Ok(connection) => break connection,
                Err(PacketError::Empty) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Err(e) => panic!("{e}"),
            }
        };
        connection.set_nonblocking(false).unwrap();
        let request: Request = connection.recv().unwrap().parse().unwrap();
        assert_eq!(request.call, Call::Hello { version: VERSION });
        let failure = Failure { kind: FailureKind::Version, message: "too old".into(), code: None };
        connection.send(&Message::Failed { id: request.id, failure }, &[]).unwrap();
    });
    let error = Client::connect(&path).unwrap_err().to_string();
    assert_eq!(error, "too old");
    server.join().unwrap();
    assert!(connect(&folder.join("none.sock")).is_err());
}
