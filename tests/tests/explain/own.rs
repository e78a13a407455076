//! Ends that the program chose itself.

use crate::{run_and_explain, verdict};
use husk_tests::{Bundle, Container, Runtime, run, unique};

#[test]
fn own_exit_codes_are_told_as_they_are() {
    let runtime = Runtime::husk();
    for (code, reason) in
        [(0, "Completed"), (1, "Error"), (3, "Error"), (127, "Error"), (137, "Error"), (255, "Error")]
    {
        let (husk, explained) = run_and_explain(&runtime, &Bundle::script(&format!("exit {code}")));
        assert_eq!(husk, code);
        verdict(&explained, reason, code.into(), &format!("Exited with code {code}."));
        assert!(explained["record"]["startedNs"].as_u64() < explained["record"]["finishedNs"].as_u64());
    }
}

#[test]
fn the_largest_resident_set_is_on_record() {
    let runtime = Runtime::husk();
    let largest = |script: &str| {
        let (_, explained) = run_and_explain(&runtime, &Bundle::script(script));
        explained["record"]["rusage"]["maxRssKib"].as_u64().unwrap_or_default()
    };
    // dd fills one buffer of that size.
    let large = largest("dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null");
    assert!((64 << 10..96 << 10).contains(&large), "{large} KiB");
    let small = largest("exit 0");
    assert!((100..32 << 10).contains(&small), "{small} KiB");
}

#[test]
fn a_deleted_container_is_still_explained() {
    let runtime = Runtime::husk();
    let bundle = Bundle::script("exit 3");
    bundle.write();
    let container = Container::named(&runtime, &unique("explain"));
    let mut command = runtime.command();
    run(command.arg("run").arg("--bundle").arg(bundle.path()).arg(&container.id)).expect_code(3);
    assert_ne!(container.call("state", &[]).code, 0, "it is gone");
    let done = container.call("explain", &[]).ok();
    assert!(
        done.stdout.contains("Error (exit code 3)") && done.stdout.contains("Exited with code 3."),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("Evidence:") && done.stdout.contains("wait status 0x0300"),
        "{}",
        done.stdout
    );
}

#[test]
fn what_cannot_be_explained_says_why() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "100000"]);
    let container = runtime.start(&bundle);
    let done = container.call("explain", &[]).expect_code(1);
    assert!(done.stderr.contains("has not ended: it is running"), "{}", done.stderr);
    let nobody = Container::named(&runtime, "nobody");
    let done = nobody.call("explain", &[]).expect_code(1);
    assert!(done.stderr.contains("\"nobody\" does not exist and nothing is kept of it"), "{}", done.stderr);
    let wrong = Container::named(&runtime, "a/../b");
    wrong.call("explain", &[]).expect_code(1);
}

/// The end must not get lost because the disk filled up while the container ran: its room was set aside at the start.
#[test]
fn the_end_is_recorded_on_a_full_disk() {
    // The mount namespace, and with it the tmpfs, dies with the script.
    const SCRIPT: &str = r#"set -e
        root=$1 bundle=$2; shift 2
        mount -t tmpfs -o size=1m,mode=755 tmpfs "$root"
        "$@" --root "$root" run --keep --bundle "$bundle" full </dev/null >/dev/null 2>&1 & husk=$!
        until [ -e "$bundle/rootfs/ready" ]; do kill -0 $husk; sleep 0.05; done
        dd if=/dev/zero of="$root/fill" bs=1k 2>/dev/null || true
        if echo x >"$root/more"; then echo "not full" >&2; exit 99; fi 2>/dev/null
        touch "$bundle/rootfs/go"
        code=0; wait $husk || code=$?
        echo $code
        "$@" --root "$root" explain --json full
        "$@" --root "$root" delete --force full
    "#;
    let bundle = Bundle::script("touch /ready; until [ -e /go ]; do sleep 0.05; done; exit 5");
    bundle.write();
    let root = husk_tests::temp_dir();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
    let done = run(command.arg(root.path()).arg(bundle.path()).arg(husk_tests::bin("husk"))).ok();
    let (code, json) = done.stdout.split_once('\n').unwrap();
    assert_eq!(code, "5");
    verdict(&serde_json::from_str(json).unwrap(), "Error", 5, "Exited with code 5.");
}
