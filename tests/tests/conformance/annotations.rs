//! `annotations`: kept, and no more than that.

use super::{idle, output, refused, run};
use husk_tests::Runtime;
use serde_json::json;

#[test]
fn they_are_in_the_state() {
    let runtime = Runtime::new();
    let container =
        idle(&runtime, |bundle| bundle.set("/annotations", json!({"org.example.a": "b", "ü": "\n"})));
    let state = container.state();
    assert_eq!(
        (&state["annotations"]["org.example.a"], &state["annotations"]["ü"]),
        (&json!("b"), &json!("\n")),
        "{state}"
    );
}

#[test]
fn the_program_does_not_see_them() {
    let shown = output("env", |bundle| bundle.set("/annotations", json!({"org.example.a": "husk-secret"})));
    assert!(shown.contains("PATH=") && !shown.contains("husk-secret"), "{shown}");
}

#[test]
fn unknown_ones_are_passed_over() {
    // "Implementations that are reading/processing this configuration file MUST NOT generate an error if they encounter an
    // unknown annotation key."
    assert_eq!(
        output("echo ran", |bundle| bundle
            .set("/annotations", json!({"com.example.unheard-of": "x", "y": ""}))),
        "ran"
    );
}

#[test]
fn a_value_that_is_no_text_is_an_error() {
    refused(|bundle| bundle.set("/annotations", json!({"a": 1})));
}

#[test]
fn none_are_no_error() {
    assert_eq!(run("exit 3", |bundle| bundle.set("/annotations", json!({}))).code, 3);
}
