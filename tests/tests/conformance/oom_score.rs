//! `process.oomScoreAdj`.

use super::{idle, output, refused};
use husk_tests::Runtime;

const SHOW: &str = "cat /proc/self/oom_score_adj";

#[test]
fn set() {
    assert_eq!(output(SHOW, |bundle| bundle.set("/process/oomScoreAdj", 500)), "500");
}

#[test]
fn the_highest() {
    assert_eq!(output(SHOW, |bundle| bundle.set("/process/oomScoreAdj", 1000)), "1000");
}

#[test]
fn not_set_is_not_changed() {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(output(SHOW, super::same), own.trim());
}

#[test]
fn exec_has_it_too() {
    let runtime = Runtime::new();
    let container = idle(&runtime, |bundle| bundle.set("/process/oomScoreAdj", 321));
    assert_eq!(container.sh(SHOW).ok().text(), "321");
}

#[test]
fn one_beyond_the_kernels_is_an_error() {
    refused(|bundle| bundle.set("/process/oomScoreAdj", 5000));
}
