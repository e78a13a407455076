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
