//! Commands at the same time.

use crate::{create, nothing_left, sleeper};
use husk_tests::{Container, Runtime, run, unique, wait_until};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whoever looks while containers come and go gets an answer that is whole, or that there is no such container.
#[test]
fn looking_works_while_everything_changes() {
    let runtime = Runtime::husk();
    let bundle = sleeper();
    let ids: Vec<String> = (0..3).map(|_| unique("look")).collect();
    let _guards: Vec<_> = ids.iter().map(|id| Container::named(&runtime, id)).collect();
    std::fs::create_dir_all(runtime.root()).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Two hands on each id, so that commands also meet a container that the other hand is changing.
        let workers: Vec<_> = (0..6)
            .map(|hand| {
                let (runtime, bundle, id) = (&runtime, &bundle, &ids[hand % 3]);
                scope.spawn(move || {
                    let container = Container::named(runtime, id);
                    for round in 0..3 {
                        create(runtime, bundle, id);
                        container.call("start", &[]);
                        container.exec(&["true"]);
                        container.call("pause", &[]);
                        container.call("resume", &[]);
                        container.call("kill", &["KILL"]);
                        if (round + hand) % 2 == 0 {
                            container.call("delete", &[]);
                        }
                        container.call_with("delete", &["--force"], &[]).ok();
                    }
                })
            })
            .collect();
        let looker = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                let list = run(runtime.command().args(["list", "--format", "json"])).ok();
                let rows: Value = serde_json::from_str(&list.stdout).expect("JSON from list");
                assert!(rows.is_array() || rows.is_null(), "{rows}");
                assert_eq!(list.stderr, "", "list has nothing to complain about");
                for id in &ids {
                    let state = run(runtime.command().arg("state").arg(id));
                    if state.code == 0 {
                        let state: Value = serde_json::from_str(&state.stdout).expect("JSON from state");
                        assert_eq!(state["id"].as_str(), Some(id.as_str()));
                    } else {
                        assert!(state.stderr.contains("does not exist"), "{}", state.stderr);
                    }
                }
                looks += 1;
            }
            looks
        });
        let failed = workers.into_iter().map(|worker| worker.join()).filter(Result::is_err).count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0);
        assert!(looker.join().unwrap() > 0);
    });
    for id in &ids {
        nothing_left(&Container::named(&runtime, id), &runtime, "at the end");
    }
}

/// An exec that is on its way in when its container goes ends with an error or with its program, and leaves nothing.
#[test]
fn a_delete_meets_execs() {
    let runtime = Runtime::husk();
    let bundle = sleeper();
    for _ in 0..3 {
        let container = Container::named(&runtime, &unique("exec"));
        create(&runtime, &bundle, &container.id).ok();
        container.call("start", &[]).ok();
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !gone.load(Ordering::Relaxed) {
                        container.exec(&["sleep", "0"]);
                    }
                    assert_ne!(container.exec(&["true"]).code, 0, "exec into a deleted container");
                });
            }
            container.exec(&["true"]).ok();
            container.call_with("delete", &["--force"], &[]).ok();
            gone.store(true, Ordering::Relaxed);
        });
        nothing_left(&container, &runtime, "after the delete");
    }
}

/// The id is free as soon as delete has come back, and one create of many gets it.
#[test]
fn an_id_changes_hands() {
    let runtime = Runtime::husk();
    let bundle = sleeper();
    let container = Container::named(&runtime, &unique("hands"));
    for _ in 0..3 {
        let winners: usize = std::thread::scope(|scope| {
            let hands: Vec<_> =
                (0..4).map(|_| scope.spawn(|| create(&runtime, &bundle, &container.id))).collect();
            let done: Vec<_> = hands.into_iter().map(|hand| hand.join().unwrap()).collect();
            for lost in done.iter().filter(|done| done.code != 0) {
                assert!(lost.stderr.contains("exists already"), "{}", lost.stderr);
            }
            done.iter().filter(|done| done.code == 0).count()
        });
        assert_eq!(winners, 1, "exactly one create wins");
        assert_eq!(container.status(), "created");
        let started: usize = std::thread::scope(|scope| {
            let hands: Vec<_> = (0..4).map(|_| scope.spawn(|| container.call("start", &[]))).collect();
            hands.into_iter().map(|hand| hand.join().unwrap()).filter(|done| done.code == 0).count()
        });
        assert_eq!(started, 1, "exactly one start wins");
        wait_until("it runs", || container.status() == "running");
        let deleted: usize = std::thread::scope(|scope| {
            let delete = || container.call_with("delete", &["--force"], &[]);
            let hands: Vec<_> = (0..4).map(|_| scope.spawn(delete)).collect();
            hands.into_iter().map(|hand| hand.join().unwrap()).filter(|done| done.code == 0).count()
        });
        assert_eq!(deleted, 4, "what --force asks for is so");
        nothing_left(&container, &runtime, "after the deletes");
    }
}
