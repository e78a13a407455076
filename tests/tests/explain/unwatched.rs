//! Containers that another program waited for, and how one is found that is long gone.

use husk_tests::{Bundle, Container, Runtime, bin, run, temp_dir, unique};
use serde_json::Value;
use std::process::Command;

/// The shell is PID 1: it becomes the parent of what husk leaves, and fetches its status.
const BEGIN: &str = r#"set -e
    husk="$1 --root $2" bundle=$3
    until_reaped() { while [ -d "/proc/$pid" ]; do sleep 0.05; done; }
"#;

/// Runs such a script, which has `husk run` write `$bundle/pid`. Gives what `husk explain --json` printed in it.
#[track_caller]
fn explanations(mut bundle: Bundle, script: &str) -> Vec<Value> {
    // The tests' containers have one id, each in a root of its own, and must not have one group.
    bundle.set("/linux/cgroupsPath", format!("/husk/{}", unique("unwatched")));
    bundle.write();
    let root = temp_dir();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]);
    command.arg(format!("{BEGIN}{script}")).arg("sh").arg(bin("husk")).arg(root.path()).arg(bundle.path());
    let done = run(&mut command).ok();
    serde_json::Deserializer::from_str(&done.stdout).into_iter().collect::<Result<_, _>>().unwrap()
}

#[track_caller]
fn is_unknown(told: &Value, words: &str) {
    assert_eq!((&told["reason"], &told["exitCode"]), (&"Unknown".into(), &Value::Null), "{told:#}");
    assert!(told["message"].as_str().unwrap().contains(words), "{told:#}");
}

#[test]
fn what_another_program_waited_for_is_told_as_that_also_when_deleted() {
    let told = explanations(
        Bundle::new(&["sleep", "100000"]),
        r#"$husk run --detach --bundle "$bundle" --pid-file "$bundle/pid" seen </dev/null >/dev/null 2>&1
        pid=$(cat "$bundle/pid")
        $husk kill seen KILL
        until_reaped
        $husk explain --json seen
        $husk delete seen
        $husk explain --json se"#,
    );
    assert_eq!(told.len(), 2);
    for told in told {
        is_unknown(&told, "known to the program that waited for it");
        assert!(told["evidence"].to_string().contains("husk sent SIGKILL at "), "{told:#}");
        let (start, end) = (told["record"]["startedNs"].as_u64(), told["record"]["finishedNs"].as_u64());
        // The start is made of clock ticks since boot: it must be a time of today.
        assert!(start < end && start > end.map(|end| end - 600_000_000_000), "{told:#}");
    }
}

#[test]
fn a_killed_monitor_leaves_an_unknown_end_and_no_invented_one() {
    let told = explanations(
        Bundle::new(&["sleep", "100000"]),
        r#"$husk run --keep --bundle "$bundle" --pid-file "$bundle/pid" seen </dev/null >/dev/null 2>&1 &
        until [ "$($husk state seen 2>&1 | grep -c '"status": "running"')" = 1 ]; do sleep 0.05; done
        kill -KILL $!
        wait $! || true
        pid=$(cat "$bundle/pid")
        kill -KILL "$pid"
        until_reaped
        $husk explain --json seen
        $husk delete seen
        $husk explain --json seen"#,
    );
    assert_eq!(told.len(), 2);
    told.iter().for_each(|told| is_unknown(told, "the process that watched it was killed"));
}

#[test]
fn an_id_may_be_cut_short_where_one_alone_begins_so() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script("exit 3");
    bundle.write();
    for id in ["first-1", "first-2", "second"] {
        run(runtime.command().arg("run").arg("--bundle").arg(bundle.path()).arg(id)).expect_code(3);
    }
    let explain = |id: &str| Container::named(&runtime, id).call("explain", &[]);
    for (short, id) in [("first-1", "first-1"), ("s", "second")] {
        let done = explain(short).ok();
        assert!(done.stdout.starts_with(&format!("{id}: Error (exit code 3)")), "{done:?}");
    }
    let done = explain("first").expect_code(1);
    assert!(
        done.stderr.contains("2 containers have an id that begins with \"first\": first-1, first-2"),
        "{done:?}"
    );
    explain("third").expect_code(1);
}

#[test]
fn the_last_ends_are_listed_the_latest_first() {
    let runtime = Runtime::husk();
    let list = |flags: &[&str]| run(runtime.command().arg("explain").args(flags)).ok().stdout;
    assert_eq!(list(&[]).lines().count(), 1, "the head alone");
    for (id, code) in [("one", 3), ("two", 4)] {
        let bundle = Bundle::script(&format!("exit {code}"));
        bundle.write();
        run(runtime.command().arg("run").arg("--bundle").arg(bundle.path()).arg(id)).expect_code(code);
    }
    let bundle = Bundle::new(&["sleep", "100000"]);
    let running = runtime.start(&bundle);
    let (table, json) = (list(&[]), list(&["--json"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].contains("two") && lines[1].contains("Error") && lines[1].contains("code 4"), "{table}");
    assert!(lines[2].contains("one") && !table.contains(&running.id), "{table}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["id"], &json[1]["exitCode"]), (&"two".into(), &3.into()), "{json:#}");
}
