//! The terminal of `run`, which husk copies to and from streams that are none, too.

use husk_tests::{Bundle, Runtime};
use serde_json::json;

#[test]
fn run_copies_between_its_streams_and_the_terminal() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::script("tty; stty size; echo err >&2; exit 4");
    bundle.set("/process/terminal", true).set("/process/consoleSize", json!({"height": 30, "width": 100}));
    let done = runtime.run(&bundle).expect_code(4);
    assert_eq!(done.text().replace('\r', ""), "/dev/pts/0\n30 100\nerr");
    assert_eq!(done.stderr, "");
}
