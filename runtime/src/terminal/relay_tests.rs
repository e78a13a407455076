use super::Relay;
use rustix::{event::Timespec, pty::OpenptFlags, termios::OptionalActions};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A relay between a pty in raw mode and two pipes: what the test writes to `keys` is typed, and `screen` is what is seen.
struct World {
    relay: Relay,
    slave: File,
    keys: Option<File>,
    screen: File,
}

fn world() -> World {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
    let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    let (stdin, keys) = rustix::pipe::pipe().unwrap();
    let (screen, stdout) = rustix::pipe::pipe().unwrap();
    let relay = Relay::new(master, stdin, stdout).unwrap();
    World { relay, slave: slave.into(), keys: Some(keys.into()), screen: screen.into() }
}

/// Lets the relay work until the condition holds.
#[track_caller]
fn work(relay: &mut Relay, mut until: impl FnMut(&Relay) -> bool) {
    let begin = Instant::now();
    while !until(relay) {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain: {relay:?}");
        let slice = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        rustix::event::poll(&mut relay.interest(), Some(&slice)).unwrap();
        relay.advance();
    }
}

/// Does something that waits in a thread.
fn aside<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(task()));
    receive
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + (at >> 8)) as u8).collect()
}

fn same(fd: &File) -> File {
    fd.as_fd().try_clone_to_owned().map(OwnedFd::into).unwrap()
}

#[test]
fn every_byte_of_a_lot_of_output_arrives() {
    let World { mut relay, slave, screen, .. } = world();
    let written = pattern(3 << 20);
    let expected = written.clone();
    let writer = aside(move || same(&slave).write_all(&written).map(|()| slave));
    let reader = aside(move || {
        let mut seen = Vec::new();
        same(&screen).read_to_end(&mut seen).map(|_| seen)
    });
    let mut kept = None;
    work(&mut relay, |_| {
        kept = kept.take().or_else(|| writer.try_recv().ok());
        kept.is_some()
    });
    drop(kept);
    relay.end();
    work(&mut relay, Relay::is_done);
    // The thread that writes has the last descriptor.
    assert!(reader.recv().unwrap().unwrap() == expected);
}

#[test]
fn every_byte_of_a_lot_of_input_arrives() {
    let World { mut relay, slave, keys, .. } = world();
    let written = pattern(1 << 20);
    let (expected, mut seen) = (written.clone(), vec![0; written.len()]);
    let writer = aside(move || keys.map(|mut keys| keys.write_all(&written)));
    let reader = aside(move || (&slave).read_exact(&mut seen).map(|()| (seen, slave)));
    let mut read = None;
    work(&mut relay, |_| {
        read = read.take().or_else(|| reader.try_recv().ok());
        read.is_some()
    });
    assert!(read.unwrap().unwrap().0 == expected);
    writer.recv().unwrap().unwrap().unwrap();
}

#[test]
fn a_program_that_does_not_read_holds_up_the_input_alone() {
    let World { mut relay, mut slave, keys, mut screen } = world();
    let pasted = aside(move || keys.map(|mut keys| keys.write_all(&pattern(4 << 20))));
    // Full up to the pipe.
    work(&mut relay, |relay| !relay.to_program.is_empty());
    slave.write_all(b"alive").unwrap();
    let mut seen = [0; 5];
    let shown = aside(move || screen.read_exact(&mut seen).map(|()| (seen, screen)));
    let mut got = None;
    work(&mut relay, |_| {
        got = got.take().or_else(|| shown.try_recv().ok());
        got.is_some()
    });
    let (seen, _screen) = got.unwrap().unwrap();
    assert_eq!(&seen, b"alive");
    assert!(pasted.try_recv().is_err(), "4 MiB are more than husk may take in");
    drop(slave);
    relay.end();
    work(&mut relay, Relay::is_done);
}

#[test]
fn a_caller_who_does_not_read_holds_up_the_output_alone() {
    let World { mut relay, slave, keys, mut screen } = world();
    // Nobody waits for this one: it writes what there is room for.
    rustix::fs::fcntl_setfl(&slave, rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK).unwrap();
    let all = pattern(4 << 20);
    let mut written = 0;
    let mut full_since = Instant::now();
    work(&mut relay, |_| {
        while let Ok(length) = (&slave).write(&all[written..]) {
            written += length;
            full_since = Instant::now();
        }
        full_since.elapsed() > Duration::from_secs(1)
    });
    assert!(written < all.len(), "4 MiB are more than husk may take in");
    keys.as_ref().unwrap().write_all(b"typed").unwrap();
    let mut seen = Vec::new();
    work(&mut relay, |_| {
        let mut key = [0; 1];
        seen.extend((&slave).read(&mut key).is_ok().then_some(key[0]));
        seen == b"typed"
    });
    // What was on its way is not lost when the program ends then.
    drop(slave);
    relay.end();
    assert!(!relay.is_done());
    let reader = aside(move || {
        let mut seen = Vec::new();
        screen.read_to_end(&mut seen).map(|_| seen)
    });
    work(&mut relay, Relay::is_done);
    assert!(reader.recv().unwrap().unwrap() == all[..written]);
}

#[test]
fn the_end_of_input_is_not_that_of_output() {
    let World { mut relay, mut slave, keys, mut screen } = world();
    drop(keys);
    work(&mut relay, |relay| relay.input.is_none());
    slave.write_all(b"still here").unwrap();
    drop(slave);
    relay.end();
    work(&mut relay, Relay::is_done);
    let mut seen = String::new();
    screen.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "still here");
}

#[test]
fn output_that_nobody_takes_any_more_hangs_up() {
    let World { mut relay, mut slave, screen, .. } = world();
    drop(screen);
    slave.write_all(b"to nobody").unwrap();
    work(&mut relay, Relay::is_done);
    assert!(relay.master().is_none() && relay.interest().is_empty());
    assert_eq!(slave.write_all(b"more").unwrap_err().raw_os_error(), Some(5));
}

#[test]
fn a_terminal_that_is_closed_for_a_while_stays_quiet_and_works_again() {
    // Whoever types is still there: the end of input would be something to wake up for.
    let World { mut relay, slave, keys: _keys, mut screen } = world();
    drop(slave);
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut relay.interest(), Some(&none)).unwrap(), 0, "a busy loop");
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(relay.master().unwrap(), flags).unwrap();
    File::from(slave).write_all(b"again").unwrap();
    relay.end();
    work(&mut relay, Relay::is_done);
    let mut seen = String::new();
    screen.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "again");
}
