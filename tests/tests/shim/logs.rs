//! Logs: every line, in order, whole; whatever happens to the file and the disk.

use crate::pod::{Pod, text_of};
use husk_shim_api::{Call, Reply};
use husk_tests::Bundle;
use std::os::fd::AsFd;
use std::path::Path;

/// A file system of its own for a log that gets full; unmounted when dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new(size: &str) -> Self {
        let dir = husk_tests::temp_dir();
        let options = std::ffi::CString::new(format!("size={size},mode=755")).unwrap();
        rustix::mount::mount(
            "tmpfs",
            dir.path(),
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn streams_and_long_lines() {
    let mut pod = Pod::new();
    let long = "x".repeat(40_000);
    let id = pod.run(&format!("echo out; echo err >&2; printf %s {long}; echo; printf 'no newline'"));
    assert_eq!(pod.wait(&id).code(), Some(0));
    let raw = std::fs::read_to_string(pod.path().join(format!("{id}.log"))).unwrap();
    assert!(raw.contains(" stdout F out\n") && raw.contains(" stderr F err\n"), "{raw:.300}");
    let parts: Vec<&str> = raw.lines().filter(|l| l.contains("xxx")).collect();
    assert_eq!(parts.len(), 3);
    assert!(
        parts[0].contains(" stdout P ") && parts[1].contains(" stdout P ") && parts[2].contains(" stdout F ")
    );
    let stdout: String = raw.lines().filter(|l| !l.contains(" stderr ")).map(|l| format!("{l}\n")).collect();
    assert_eq!(text_of(stdout.as_bytes()), format!("out\n{long}\nno newline\n"));
}

/// The log is rotated while 100 MB are written: line for line what was written, none lost, torn or doubled.
#[test]
fn a_hundred_megabytes_with_rotation() {
    let (size, lines) = if husk_tests::in_vm() { (100, 100_000) } else { (100, 1_000_000) };
    let mut pod = Pod::new();
    // seq pads: 99 digits and a newline each.
    let id = pod.run(&format!("seq -f %0{}g 1 {lines} 2>/dev/null || seq -w 1 {lines}", size - 1));
    let path = pod.path().join(format!("{id}.log"));
    let mut old = Vec::new();
    while old.len() < 5 {
        let rotated = pod.path().join(format!("{id}.log.{}", old.len()));
        husk_tests::wait_until("the log has grown", || {
            path.metadata().is_ok_and(|meta| meta.len() > 100_000)
        });
        std::fs::rename(&path, &rotated).unwrap();
        assert_eq!(pod.client.call(Call::ReopenLog { container: id.clone() }).unwrap(), Reply::Done);
        old.push(rotated);
        if pod.container_state(&id).exit.is_some() {
            break;
        }
    }
    assert_eq!(pod.wait(&id).code(), Some(0));
    old.push(path);
    let mut next = 1u64;
    for file in &old {
        for line in text_of(&std::fs::read(file).unwrap()).lines() {
            assert_eq!(line.parse::<u64>().unwrap(), next, "in {}", file.display());
            next += 1;
        }
    }
    assert_eq!(next, lines + 1);
    assert!(old.len() > 2, "the log was rotated {} times only", old.len() - 1);
}

#[test]
fn a_full_disk_holds_up_the_writer_and_loses_nothing() {
    let disk = Tmpfs::new("256k");
    let mut pod = Pod::new();
    let mut create = pod.request(Bundle::script("seq -w 1 20000; echo end"));
    let log = disk.path().join("c.log");
    // The record is on the full disk, too.
    (create.log, create.record) = (Some(log.clone()), disk.path().join("c.exit"));
    let (id, exit_file) = (create.container.clone(), create.record.clone());
    pod.client.call(Call::Create(create)).unwrap();
    pod.start(&id);
    husk_tests::wait_until("the log stalls", || pod.container_state(&id).log_stalled);
    // Rotation while the disk is full: the torn line is cut off, and comes whole in the new file.
    let rotated = disk.path().join("c.log.1");
    std::fs::rename(&log, &rotated).unwrap();
    pod.client.call(Call::ReopenLog { container: id.clone() }).unwrap();
    let first = text_of(&std::fs::read(&rotated).unwrap());
    std::fs::remove_file(&rotated).unwrap();
    let mut text = first;
    // Room again and again, as a log rotation with a limit gives it.
    let exit = loop {
        if let Some(exit) = pod.container_state(&id).exit {
            break exit;
        }
        if pod.container_state(&id).log_stalled {
            std::fs::rename(&log, &rotated).unwrap();
            pod.client.call(Call::ReopenLog { container: id.clone() }).unwrap();
            text += &text_of(&std::fs::read(&rotated).unwrap());
            std::fs::remove_file(&rotated).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    // What was stalled at the end gets out once there is room.
    husk_tests::wait_until("the log is written", || {
        if pod.container_state(&id).log_stalled {
            std::fs::rename(&log, &rotated).unwrap();
            pod.client.call(Call::ReopenLog { container: id.clone() }).unwrap();
            text += &text_of(&std::fs::read(&rotated).unwrap());
            std::fs::remove_file(&rotated).unwrap();
        }
        // In the file that was rotated last, or in the present one.
        text.ends_with("\nend\n") || std::fs::read(&log).unwrap().ends_with(b" stdout F end\n")
    });
    assert_eq!((exit.code(), exit.record_error), (Some(0), None));
    assert_eq!(crate::pod::record(&exit_file).finished_ns, exit.finished_at as u64);
    text += &text_of(&std::fs::read(&log).unwrap());
    let mut expected: String = (1..=20_000).map(|n| format!("{n:05}\n")).collect();
    expected += "end\n";
    assert!(text == expected, "{} lines instead of {}", text.lines().count(), expected.lines().count());
}

#[test]
fn the_exit_of_a_container_with_a_full_log_is_told_and_recorded() {
    let disk = Tmpfs::new("128k");
    let mut pod = Pod::new();
    let mut create =
        pod.request(Bundle::script("echo first; trap 'exit 7' TERM; yes | head -c 300000 & wait"));
    let fill = disk.path().join("fill");
    (create.log, create.record) = (Some(disk.path().join("c.log")), disk.path().join("c.exit"));
    let id = create.container.clone();
    pod.client.call(Call::Create(create)).unwrap();
    pod.start(&id);
    husk_tests::wait_until("the log stalls", || pod.container_state(&id).log_stalled);
    let _ = std::fs::write(fill, vec![0; 200_000]);
    pod.kill(&id, 15, husk_shim_api::StopReason::Stop);
    let exit = pod.wait(&id);
    assert_eq!((exit.code(), exit.record_error), (Some(7), None));
    pod.delete(&id, false);
}

#[test]
fn a_terminal_is_logged_and_can_be_resized() {
    let mut pod = Pod::new();
    let mut bundle =
        Bundle::script("while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; tty; stty size");
    bundle.set("/process/terminal", true);
    let mut create = pod.request(bundle);
    create.terminal = true;
    let id = create.container.clone();
    pod.client.call(Call::Create(create)).unwrap();
    pod.start(&id);
    let resize = Call::Resize { container: id.clone(), width: 100, height: 40 };
    assert_eq!(pod.client.call(resize).unwrap(), Reply::Done);
    assert_eq!(pod.wait(&id).code(), Some(0));
    assert!(pod.log(&id).replace('\r', "").ends_with("40 100\n"), "{:?}", pod.log(&id));
    let tail = pod.record(&id).log_tail;
    assert_eq!(tail.last().unwrap().text, "40 100");
}

#[test]
fn attached_clients_get_a_copy_and_give_stdin() {
    use std::io::{Read, Write};
    let mut pod = Pod::new();
    let mut create = pod.request(Bundle::script("while read line; do echo \"got $line\"; done; echo end"));
    create.stdin = true;
    let id = create.container.clone();
    pod.client.call(Call::Create(create)).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let attach = Call::Attach { container: id.clone(), stdin: true, stdout: true, stderr: false };
    let (_, fds) = pod.client.call_with(attach, &[writer.as_fd()]).unwrap();
    drop(writer);
    pod.start(&id);
    let mut stdin = std::fs::File::from(fds.into_iter().next().unwrap());
    stdin.write_all(b"one\ntwo\n").unwrap();
    drop(stdin);
    pod.client.call(Call::CloseStdin { container: id.clone() }).unwrap();
    assert_eq!(pod.wait(&id).code(), Some(0));
    let mut copy = String::new();
    reader.read_to_string(&mut copy).unwrap();
    assert_eq!(copy, "got one\ngot two\nend\n");
    assert_eq!(pod.log(&id), copy);
}

/// A client that does not read is dropped; the container goes on.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let mut pod = Pod::new();
    let id = pod.create(Bundle::script("seq -w 1 1000000"));
    let (_reader, writer) = std::io::pipe().unwrap();
    let attach = Call::Attach { container: id.clone(), stdin: false, stdout: true, stderr: false };
    pod.client.call_with(attach, &[writer.as_fd()]).unwrap();
    pod.start(&id);
    assert_eq!(pod.wait(&id).code(), Some(0));
    assert_eq!(pod.log(&id).lines().count(), 1_000_000);
}
