//! No room on the disk, few descriptors, closed streams, no directory to stand in.

use crate::sleeper;
use husk_tests::{Bundle, Runtime, run, temp_dir, unique};
use std::process::Command;

/// Runs a script with husk as `$HUSK`, a bundle as `$B`, an empty directory as `$DIR` and an id as `$ID`, in a mount
/// namespace of its own.
fn script(bundle: &Bundle, text: &str) -> husk_tests::Done {
    let (runtime, dir, id) = (Runtime::husk(), temp_dir(), unique("scarce"));
    bundle.write();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", text])
        .env("HUSK", runtime.command().get_program())
        .env("B", bundle.path())
        .env("DIR", dir.path())
        .env("ID", &id);
    let done = run(&mut command);
    let group = crate::group(&id);
    if group.exists() {
        let _ = std::fs::write(group.join("cgroup.kill"), "1");
        husk_tests::wait_until("the cgroup is empty", || std::fs::remove_dir(&group).is_ok());
        panic!("the cgroup is left: {done:#?}");
    }
    done
}

/// Where the state can't be written, the container is not made, and nothing stays; where it can, it runs to its end.
#[test]
fn a_full_disk_is_told_before_the_program_runs() {
    for size in (4..=40).step_by(4) {
        let text = format!(
            "mount -t tmpfs -o size={size}k none $DIR && $HUSK --root $DIR run --bundle $B $ID; code=$?; \
             ls $DIR | grep -v @exits; echo code $code"
        );
        let done = script(&Bundle::new(&["echo", "ran"]), &text).ok();
        match done.text() {
            "ran\ncode 0" => {}
            "code 1" => assert!(done.stderr.contains("No space left"), "{size}: {}", done.stderr),
            other => panic!("{size}: {other}: {}", done.stderr),
        }
    }
}

#[test]
fn a_disk_that_fills_up_keeps_nobody_from_ending_a_container() {
    let text = "mount -t tmpfs -o size=64k none $DIR && $HUSK --root $DIR run --detach --bundle $B $ID >/dev/null || exit
        dd if=/dev/zero of=$DIR/.fill bs=1k count=100 2>/dev/null
        $HUSK --root $DIR list -q | grep -c . && $HUSK --root $DIR exec $ID echo in
        $HUSK --root $DIR pause $ID && $HUSK --root $DIR resume $ID || exit
        $HUSK --root $DIR kill $ID KILL 2>/dev/null && $HUSK --root $DIR delete --force $ID && ls $DIR | grep -v @exits";
    let done = script(&sleeper(), text);
    assert_eq!(done.text(), "1\nin", "{}", done.stderr);
}

#[test]
fn a_root_that_can_not_be_written_is_named() {
    let text = "mount -t tmpfs -o ro none $DIR; $HUSK --root $DIR run --bundle $B $ID; echo code $?
        $HUSK --root $DIR list -q; $HUSK --root $DIR delete --force $ID; echo $?";
    let done = script(&Bundle::new(&["echo", "ran"]), text).ok();
    assert_eq!(done.text(), "code 1\n0");
    assert!(done.stderr.contains("Read-only file system"), "{}", done.stderr);
}

/// Too few descriptors are an error that leaves nothing; with enough of them it works.
#[test]
fn few_descriptors_are_an_error_or_enough() {
    let text = "for n in $(seq 3 40); do (ulimit -n $n; exec $HUSK --root $DIR run --bundle $B $ID) 2>$DIR/.err
          code=$?; [ $code = 0 ] || grep -q 'Too many open files' $DIR/.err || { echo $n $code; cat $DIR/.err; }
          ls $DIR | grep -v @exits; done";
    let mut bundle = Bundle::new(&["echo", "ran"]);
    bundle.set("/process/rlimits", serde_json::json!([]));
    let done = script(&bundle, text);
    let lines: Vec<&str> = done.text().lines().collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| *line == "ran"), "{lines:#?}");
}

#[test]
fn closed_streams_are_no_trouble() {
    let text = "echo a >$DIR/in; $HUSK --root $DIR/r run --bundle $B $ID <&- >$DIR/1; echo $?
        $HUSK --root $DIR/r run --bundle $B $ID >&- ; echo $?
        $HUSK --root $DIR/r run --bundle $B $ID <&- >&- 2>&- ; echo $?; cat $DIR/1";
    let done = script(&Bundle::script("ls /proc/self/fd | wc -l; exit 5"), text).ok();
    let lines: Vec<&str> = done.text().lines().collect();
    assert_eq!(lines[..3], ["5", "5", "5"], "{}", done.stderr);
    assert_eq!(lines[3], "4", "three streams and the directory: {lines:?}");
}

#[test]
fn a_working_directory_that_is_gone_matters_only_where_it_is_meant() {
    let text =
        "mkdir $DIR/gone; cd $DIR/gone; rmdir $DIR/gone; $HUSK --root $DIR run --bundle $B $ID; echo $?
        $HUSK --root $DIR run $ID; echo $?";
    let done = script(&Bundle::new(&["echo", "ran"]), text).ok();
    assert_eq!(done.text(), "ran\n0\n1");
    assert!(done.stderr.contains("bundle .: No such file"), "{}", done.stderr);
}
