//! What programs have open goes on: trees of processes, files, pipes, sockets, terminals.

use crate::world::{World, criu};
use husk_tests::{Bundle, Container, Receiver, command::code_of, run, unique, wait_until};
use std::{
    io::{Read as _, Write as _},
    process::Command,
};

/// Each round goes once through all that is open, and writes its number when each answer was right.
const PROGRAM: &str = r#"
use strict; use Socket; use IO::Handle; use Fcntl qw(:flock SEEK_SET);
$SIG{CHLD} = 'IGNORE';
sub line { my ($to, $from, $text) = @_; syswrite($to, "$text\n"); my $got = ''; while ($got !~ /\n/) {
  sysread($from, $got, 100, length $got) or die "closed: $!"; } chomp $got; $got eq "<$text>" or die "$text: $got"; }
sub echo { my ($from, $to) = @_; my $got; while (($got = readline $from)) { chomp $got; syswrite($to, "<$got>\n"); } exit 0; }
# a child, and its child, by pipes
pipe(my $r1, my $w1); pipe(my $r2, my $w2);
if (!fork) { close $w1; if (!fork) { echo($r1, $w2); } sleep 1000 while 1; }
# a pair of unix sockets
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die;
if (!fork) { close $a; echo($b, $b); }
# a named unix socket
my $path = '/tmp/socket';
socket(my $ul, AF_UNIX, SOCK_STREAM, 0) or die; bind($ul, pack_sockaddr_un($path)) or die "bind: $!"; listen($ul, 5);
if (!fork) { accept(my $c, $ul); echo($c, $c); }
socket(my $uc, AF_UNIX, SOCK_STREAM, 0) or die; connect($uc, pack_sockaddr_un($path)) or die "connect: $!";
# TCP on loopback
socket(my $tl, AF_INET, SOCK_STREAM, 0) or die; bind($tl, pack_sockaddr_in(7777, INADDR_LOOPBACK)) or die; listen($tl, 5);
if (!fork) { accept(my $c, $tl); echo($c, $c); }
socket(my $tc, AF_INET, SOCK_STREAM, 0) or die; connect($tc, pack_sockaddr_in(7777, INADDR_LOOPBACK)) or die "tcp: $!";
# UDP
socket(my $us, AF_INET, SOCK_DGRAM, 0) or die; bind($us, pack_sockaddr_in(7778, INADDR_LOOPBACK)) or die;
# a file with its place in it, a deleted one, a lock
open(my $log, '>>', '/tmp/log') or die; open(my $gone, '+>', '/tmp/gone') or die; unlink '/tmp/gone';
open(my $lock, '>', '/tmp/lock') or die; flock($lock, LOCK_EX) or die;
my $secret = join '', map { chr(33 + $_ % 90) } 1 .. 300000; my $sum = unpack('%32C*', $secret);
for (my $n = 1; ; $n++) {
  line($w1, $r2, "pipe $n"); line($a, $a, "pair $n"); line($uc, $uc, "unix $n"); line($tc, $tc, "tcp $n");
  send($us, "udp $n", 0, pack_sockaddr_in(7778, INADDR_LOOPBACK)); recv($us, my $got, 100, 0); $got eq "udp $n" or die "udp $got";
  sysseek($gone, 0, SEEK_SET); if ($n > 1) { sysread($gone, $got, 100); $got eq sprintf('%06d', $n - 1) or die "deleted $got"; }
  sysseek($gone, 0, SEEK_SET); syswrite($gone, sprintf('%06d', $n));
  unpack('%32C*', $secret) == $sum or die 'memory';
  syswrite($log, "$n\n"); open(my $new, '>', '/tmp/new'); print $new $n; close $new; rename '/tmp/new', '/tmp/count';
  select(undef, undef, undef, 0.1);
}
"#;

/// Debian's perl-base and the libraries that it needs, into the root filesystem.
pub fn with_perl(bundle: &Bundle) {
    let script = r#"
        set -e
        cd "$1"
        mkdir -p usr/lib usr/lib64 usr/bin
        for link in lib lib64; do [ -e $link ] || ln -s usr/$link $link; done
        for file in $(ldd /usr/bin/perl | grep -o '/[^ ]*'); do
            mkdir -p ".$(dirname "$file")"
            cp -L "$file" ".$file"
        done
        cp /usr/bin/perl usr/bin/perl
        for dir in /usr/lib/*/perl-base; do mkdir -p ".$(dirname "$dir")"; cp -a "$dir" ".$dir"; done
    "#;
    run(Command::new("sh").args(["-c", script, "sh"]).arg(bundle.rootfs())).ok();
}

#[test]
fn processes_pipes_sockets_and_files_go_on() {
    if !criu() {
        return;
    }
    // runc leaves the network namespace without its loopback.
    let world = World::husk();
    let bundle = Bundle::new(&["/usr/bin/perl", "/program"]);
    with_perl(&bundle);
    std::fs::write(bundle.rootfs().join("program"), PROGRAM).unwrap();
    let container = world.start(&bundle);
    let count = || -> u32 {
        let text = std::fs::read_to_string(bundle.rootfs().join("tmp/count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    wait_until("all of it works", || count() > 3);
    let processes = |container: &Container<'_>| {
        container.call_with("ps", &["--format", "json"], &[]).ok().stdout.matches(',').count() + 1
    };
    let before = processes(&container);
    assert_eq!(before, 6, "init and five others");
    world.checkpoint(&container, &["--tcp-established", "--file-locks", "--link-remap"]).ok();
    let at = count();
    world.restore(&bundle, &container, &["--tcp-established", "--file-locks"]).ok();
    wait_until("all of it goes on", || count() > at + 3);
    assert_eq!(processes(&container), before);
    // Nothing was lost, nothing came twice.
    let log = std::fs::read_to_string(bundle.rootfs().join("tmp/log")).unwrap();
    let numbers: Vec<u32> = log.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{log}");
}

#[test]
fn pipes_of_the_caller_carry_on() {
    if !criu() {
        return;
    }
    let world = World::new();
    let bundle = Bundle::script("while read line; do echo \"got $line\"; done; echo end >&2; exit 5");
    bundle.write();
    let container = Container::named(&world.runtime, &unique("pipes"));
    let mut first = world.runtime.command();
    first.args(["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&container.id);
    let pipe = |(reader, writer): (std::io::PipeReader, std::io::PipeWriter)| (reader, writer);
    let (input, mut to) = pipe(std::io::pipe().unwrap());
    let (mut from, output) = pipe(std::io::pipe().unwrap());
    let status = first
        .stdin(input.try_clone().unwrap())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    let mut hear = |expected: &str| {
        let mut buffer = vec![0; expected.len()];
        from.read_exact(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer), expected);
    };
    to.write_all(b"one\n").unwrap();
    hear("got one\n");
    world.checkpoint(&container, &[]).ok();
    let mut restore = world.restore_command(&bundle, &container);
    let mut child = restore.stdin(input).stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    drop(restore);
    to.write_all(b"two\n").unwrap();
    hear("got two\n");
    drop(to);
    hear("end\n");
    assert_eq!(code_of(child.wait().unwrap()), 5);
}

#[test]
fn a_terminal_is_handed_over_anew() {
    if !criu() {
        return;
    }
    let world = World::new();
    let mut bundle = Bundle::script("while read line; do echo \"got $line\"; done");
    bundle.set("/process/terminal", true);
    bundle.write();
    let console = Receiver::new();
    let container = Container::named(&world.runtime, &unique("tty"));
    let mut first = world.runtime.command();
    first.args(["run", "--detach", "--console-socket"]).arg(console.path());
    first.arg("--bundle").arg(bundle.path()).arg(&container.id);
    let mut master = console.receive_from(&mut first);
    talk(&mut master, "one");
    world.checkpoint(&container, &[]).ok();
    drop(master);
    let mut restore = world.restore_command(&bundle, &container);
    restore.arg("--detach").arg("--console-socket").arg(console.path());
    let mut master = console.receive_from(&mut restore);
    talk(&mut master, "two");
    assert_eq!(container.exec(&["readlink", "/proc/1/fd/0"]).ok().text(), "/dev/pts/0");
}

fn talk(master: &mut std::fs::File, word: &str) {
    writeln!(master, "{word}").unwrap();
    let mut seen = String::new();
    wait_until("the program answers", || {
        let mut buffer = [0; 256];
        let length = master.read(&mut buffer).unwrap_or(0);
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        seen.contains(&format!("got {word}"))
    });
}
