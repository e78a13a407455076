//! The terminal of `run` and `exec`: what husk does between the caller's streams, terminal or not, and the program's.

use husk_tests::{Bundle, Container, Runtime, code_of, run, unique, wait_until};
use rustix::{
    pty::OpenptFlags,
    termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use serde_json::json;
use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

/// What a shell does: runs a command at its terminal, and tells how it ended and how it left the terminal.
const SHELL: &str = r#""$@"; echo "code $?"; stty -a | grep -o '.icanon'"#;
/// How that looks where the terminal is as it was.
fn left_well(code: i32) -> String {
    format!("code {code}\r\n icanon")
}

/// A terminal with a shell that runs a command of husk's.
struct Screen {
    master: File,
    shell: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn of(command: &Command) -> Self {
        Self::with(SHELL, command)
    }

    fn with(script: &str, command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "--wait", "bash", "--norc", "-c", script, "shell"]);
        let stream = || Stdio::from(slave.try_clone().unwrap());
        shell.arg(command.get_program()).args(command.get_args());
        shell.stdin(stream()).stdout(stream()).stderr(stream());
        let master = File::from(master);
        resize(&master, 40, 120);
        let shell = shell.spawn().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, all) = (master.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { master, shell, seen }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_until(&format!("{text:?} is seen"), || {
            assert!(!self.seen().contains("code 255"), "{}", self.seen());
            self.seen().contains(text)
        });
    }

    fn wait_for_raw(&self) {
        wait_until("the terminal is raw", || {
            !tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ICANON)
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on the terminal: {}", self.seen());
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn resize(master: &File, rows: u16, columns: u16) {
    tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

fn with_terminal(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.set("/process/terminal", true);
    bundle
}

/// `run`, and the container that it makes.
fn run_of<'a>(runtime: &'a Runtime, bundle: &Bundle) -> (Command, Container<'a>) {
    bundle.write();
    let container = Container::named(runtime, &unique("tty"));
    let mut command = runtime.command();
    command.arg("run").arg("--bundle").arg(bundle.path()).arg(&container.id);
    (command, container)
}

/// husk that stays with the container: the parent of its init.
fn husk_of(container: &Container<'_>) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

fn signal(pid: u32, name: impl AsRef<OsStr>) {
    run(Command::new("kill").arg("-s").arg(name).arg(pid.to_string())).ok();
}

#[test]
fn run_copies_between_its_streams_and_the_terminal() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("tty; stty size; echo err >&2; exit 4");
    bundle.set("/process/terminal", true).set("/process/consoleSize", json!({"height": 30, "width": 100}));
    let done = runtime.run(&bundle).expect_code(4);
    // No carriage returns: nothing shows them.
    assert_eq!(done.text(), "/dev/pts/0\n30 100\nerr");
    assert_eq!(done.stderr, "");
}

#[test]
fn keys_size_and_lines_are_the_programs_and_the_terminal_is_left_as_it_was() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("stty size; read line; echo \"got $line\"; exit 5");
    let (command, _container) = run_of(&runtime, &bundle);
    let mut screen = Screen::of(&command);
    // At once: a program asks for it when it begins.
    screen.wait_for("40 120\r\n");
    screen.wait_for_raw();
    // The line is edited by the program's terminal, not by the caller's.
    screen.master.write_all(b"x\x7fhello\r").unwrap();
    screen.wait_for("got hello\r\n");
    screen.wait_for(&left_well(5));
}

#[test]
fn a_resize_reaches_the_program() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("trap 'stty size; exit 6' WINCH; echo ready; while :; do sleep 0.1; done");
    let (command, _container) = run_of(&runtime, &bundle);
    let screen = Screen::of(&command);
    screen.wait_for("ready");
    screen.wait_for_raw();
    resize(&screen.master, 33, 77);
    screen.wait_for(&format!("33 77\r\n{}", left_well(6)));
}

#[test]
fn exec_has_the_size_and_leaves_the_terminal_as_it_was() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.start(&bundle);
    let exec = |arguments: &[&str]| {
        let mut command = runtime.command();
        command.args(["exec", "--tty", &container.id]).args(arguments);
        Screen::of(&command)
    };
    exec(&["sh", "-c", "stty size; exit 7"]).wait_for(&format!("40 120\r\n{}", left_well(7)));
    exec(&["sh", "-c", "kill -9 $$"]).wait_for(&left_well(137));
    exec(&["/no/such/program"]).wait_for(&left_well(127));
}

#[test]
fn the_terminal_is_left_as_it_was_when_the_program_is_killed() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("echo ready; sleep 100000");
    let (command, container) = run_of(&runtime, &bundle);
    let screen = Screen::of(&command);
    screen.wait_for("ready");
    screen.wait_for_raw();
    container.call("kill", &["KILL"]).ok();
    screen.wait_for(&left_well(137));
}

#[test]
fn each_signal_is_passed_on() {
    let runtime = Runtime::husk();
    let names = ["HUP", "INT", "QUIT", "USR1", "USR2", "ABRT", "TERM", "CONT", "RTMIN+3"];
    let mut traps = "trap 'echo got RTMIN+3; exit 8' 37; ".to_owned();
    for name in names.iter().filter(|name| !name.starts_with("RT")) {
        traps += &format!("trap 'echo got {name}' {name}; ");
    }
    let bundle = with_terminal(&format!("{traps} echo ready; while :; do sleep 0.1; done"));
    let (command, container) = run_of(&runtime, &bundle);
    let screen = Screen::of(&command);
    screen.wait_for("ready");
    screen.wait_for_raw();
    let husk = husk_of(&container);
    for name in names {
        signal(husk, name);
        screen.wait_for(&format!("got {name}\r\n"));
    }
    screen.wait_for(&left_well(8));
}

/// Without a PID namespace: as PID 1 it would not see a signal that it has no handler for yet.
#[test]
fn a_signal_that_comes_before_the_program_runs_is_the_programs() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["sleep", "100000"]);
    bundle.without_namespace("pid");
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "kill -TERM $PPID"]});
    bundle.push("/hooks/createRuntime", hook);
    runtime.run(&bundle).expect_code(143);
}

#[test]
fn a_hook_of_a_run_in_the_foreground_has_no_signal_blocked() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    let seen = bundle.path().join("blocked");
    let script = format!("grep SigBlk /proc/self/status >>{}", seen.display());
    for kind in ["createRuntime", "poststart", "poststop"] {
        bundle.push(&format!("/hooks/{kind}"), json!({"path": "/bin/sh", "args": ["sh", "-c", script]}));
    }
    runtime.run(&bundle).ok();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "SigBlk:\t0000000000000000\n".repeat(3));
}

/// husk once waited for the program to read, and did nothing else meanwhile.
#[test]
fn what_a_program_does_not_read_holds_up_nothing_else() {
    let runtime = Runtime::husk();
    let bundle =
        with_terminal("stty raw; trap 'echo got USR1' USR1; echo ready; while :; do sleep 0.1; done");
    let (command, container) = run_of(&runtime, &bundle);
    let screen = Screen::of(&command);
    screen.wait_for("ready");
    screen.wait_for_raw();
    let mut keys = screen.master.try_clone().unwrap();
    // Ends with an error when the terminal does.
    std::thread::spawn(move || keys.write_all(&vec![b'x'; 4 << 20]));
    signal(husk_of(&container), "USR1");
    screen.wait_for("got USR1");
    container.call("kill", &["KILL"]).ok();
    screen.wait_for("code 137");
}

/// As a pager does: the container is gone when it has ended, and what it wrote waits for the reader.
#[test]
fn output_that_nobody_reads_holds_up_nothing_but_itself() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("seq 400000");
    for read in [true, false] {
        let (mut command, container) = run_of(&runtime, &bundle);
        let mut husk = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = husk.stdout.take().unwrap();
        let mut first = [0; 4];
        output.read_exact(&mut first).unwrap();
        wait_until("much is on its way", || rustix::io::ioctl_fionread(&output).unwrap() > 10_000);
        container.call("kill", &["KILL"]).ok();
        wait_until("the container is gone", || container.call("state", &[]).code != 0);
        if read {
            let mut text = Vec::new();
            output.read_to_end(&mut text).unwrap();
            assert!(text.starts_with(b"3\n4\n5\n") && text.len() > 10_000, "{} bytes", text.len());
        } else {
            signal(husk.id(), "TERM");
        }
        assert_eq!(code_of(husk.wait().unwrap()), 137);
    }
}

#[test]
fn a_reader_that_leaves_ends_the_terminal() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("yes");
    let (command, _container) = run_of(&runtime, &bundle);
    let screen = Screen::with(r#""$@" | head -n 1; echo "code ${PIPESTATUS[0]}"; stty -a"#, &command);
    screen.wait_for("code ");
    screen.wait_for(" icanon");
    assert!(screen.seen().starts_with("y\r\n"), "{}", screen.seen());
}

#[test]
fn the_end_of_input_does_not_end_the_program() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("read line; sleep 1; echo got $line; exit 3");
    let (command, _container) = run_of(&runtime, &bundle);
    let screen = Screen::with(r#"echo hello | "$@"; echo "code $?"; stty -a"#, &command);
    screen.wait_for("got hello\r\ncode 3");
    screen.wait_for(" icanon");
}

#[test]
fn a_lot_goes_both_ways_byte_by_byte() {
    let runtime = Runtime::husk();
    let (length, half) = (1 << 20, 1 << 19);
    // cat would wait for ever: a raw terminal has no end.
    let script = format!("stty raw -echo; echo ready; head -c {length}");
    let bundle = with_terminal(&script);
    let (mut command, _container) = run_of(&runtime, &bundle);
    let mut husk = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut output) = (husk.stdin.take().unwrap(), husk.stdout.take().unwrap());
    let mut ready = [0; 6];
    output.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    let sent: Vec<u8> = (0..length).map(|at: usize| (at * 31 + (at >> 8)) as u8).collect();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || {
        let (first, second) = sent.split_at(half);
        keys.write_all(first).and_then(|()| keys.write_all(second))
    });
    let mut seen = Vec::new();
    output.read_to_end(&mut seen).unwrap();
    writer.join().unwrap().unwrap();
    assert!(seen == expected, "{} bytes", seen.len());
    assert_eq!(code_of(husk.wait().unwrap()), 0);
}

/// As systemd does with its console.
#[test]
fn a_program_may_close_its_terminal_and_open_it_again() {
    let runtime = Runtime::husk();
    let script = "exec </dev/null >/dev/null 2>&1; sleep 1; echo back >/dev/console; exit 2";
    let bundle = with_terminal(script);
    let (command, _container) = run_of(&runtime, &bundle);
    Screen::of(&command).wait_for(&format!("back\r\n{}", left_well(2)));
}

/// In the background husk is stopped, as every program that takes the terminal, and goes on in the foreground.
#[test]
fn the_background_does_not_get_the_terminal() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("read line; echo got $line; exit 5");
    let (command, _container) = run_of(&runtime, &bundle);
    let script = r#"set -m; "$@" & while ! jobs -s | grep -q Stopped; do sleep 0.1; done
        stty -a | grep -o '.icanon'; echo here; fg; echo "code $?"; stty -a | grep -o '.icanon'"#;
    let mut screen = Screen::with(script, &command);
    screen.wait_for(" icanon\r\nhere");
    screen.wait_for_raw();
    screen.master.write_all(b"hello\r").unwrap();
    screen.wait_for("got hello\r\n");
    screen.wait_for(&left_well(5));
}

/// A shell puts its own modes back when a program was stopped.
#[test]
fn the_terminal_is_raw_again_after_a_stop() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("read line; echo got $line; exit 5");
    let (command, container) = run_of(&runtime, &bundle);
    let mut screen = Screen::of(&command);
    screen.wait_for_raw();
    let husk = husk_of(&container);
    signal(husk, "STOP");
    let mut modes = tcgetattr(&screen.master).unwrap();
    modes.local_modes.insert(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&screen.master, OptionalActions::Now, &modes).unwrap();
    signal(husk, "CONT");
    screen.wait_for_raw();
    screen.master.write_all(b"hello\r").unwrap();
    screen.wait_for(&format!("got hello\r\n{}", left_well(5)));
}

/// The end of the caller's terminal is that of the program's.
#[test]
fn a_hangup_reaches_the_program() {
    let runtime = Runtime::husk();
    let bundle = with_terminal("trap 'echo hup >/hup; exit' HUP; echo ready; while :; do sleep 0.1; done");
    let (command, container) = run_of(&runtime, &bundle);
    let screen = Screen::of(&command);
    screen.wait_for("ready");
    screen.wait_for_raw();
    // Its terminal hangs up when a session's leader ends.
    signal(screen.shell.id(), "KILL");
    wait_until("the container ends", || container.call("state", &[]).code != 0);
    assert!(bundle.rootfs().join("hup").exists());
}
