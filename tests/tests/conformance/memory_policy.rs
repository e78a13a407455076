//! `linux.memoryPolicy`.

use super::{idle, output, refused};
use husk_tests::Runtime;
use serde_json::{Value, json};

/// The policy of the program's stack, which is the process' own.
fn shown(policy: Value) -> String {
    output("grep stack /proc/self/numa_maps | cut -d' ' -f2", |bundle| {
        bundle.set("/linux/memoryPolicy", policy)
    })
}

fn there() -> bool {
    let there = std::path::Path::new("/proc/self/numa_maps").exists();
    if !there {
        husk_tests::skip("the kernel has no NUMA");
    }
    there
}

#[test]
fn bound_to_a_node() {
    if !there() {
        return;
    }
    assert_eq!(shown(json!({"mode": "MPOL_BIND", "nodes": "0"})), "bind:0");
}

#[test]
fn preferred_and_interleaved() {
    if !there() {
        return;
    }
    assert_eq!(shown(json!({"mode": "MPOL_PREFERRED", "nodes": "0"})), "prefer:0");
    assert_eq!(shown(json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"})), "interleave:0");
}

#[test]
fn default_and_local() {
    if !there() {
        return;
    }
    assert_eq!(shown(json!({"mode": "MPOL_DEFAULT"})), "default");
    assert_eq!(shown(json!({"mode": "MPOL_LOCAL"})), "local");
}

#[test]
fn with_a_flag() {
    if !there() {
        return;
    }
    assert_eq!(
        shown(json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]})),
        "bind=static:0"
    );
}

#[test]
fn a_mode_that_there_is_not_is_an_error() {
    refused(|bundle| bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_NOPE"})));
}

#[test]
fn a_flag_that_there_is_not_is_an_error() {
    refused(|bundle| {
        bundle
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOPE"]}))
    });
}

#[test]
fn a_mode_that_needs_nodes_without_them_is_an_error() {
    refused(|bundle| bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND"})));
}

#[test]
fn exec_is_possible_under_it() {
    let runtime = Runtime::new();
    let container =
        idle(&runtime, |bundle| bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_DEFAULT"})));
    container.exec(&["true"]).ok();
}
