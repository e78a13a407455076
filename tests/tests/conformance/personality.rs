//! `linux.personality`.

use super::{idle, output, refused};
use husk_tests::Runtime;
use serde_json::json;

#[test]
fn of_32_bits() {
    let shown = output("uname -m; cat /proc/self/personality", |bundle| {
        bundle.set("/linux/personality", json!({"domain": "LINUX32"}))
    });
    assert_eq!(shown, "i686\n00000008");
}

#[test]
fn of_64_bits() {
    let shown = output("cat /proc/self/personality", |bundle| {
        bundle.set("/linux/personality", json!({"domain": "LINUX"}))
    });
    assert_eq!(shown, "00000000");
}

#[test]
fn exec_has_it_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| bundle.set("/linux/personality", json!({"domain": "LINUX32"})));
    assert_eq!(container.exec(&["cat", "/proc/self/personality"]).ok().text(), "00000008");
}

#[test]
fn a_domain_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/linux/personality", json!({"domain": "SOLARIS"})));
}
