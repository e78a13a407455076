//! Memory is a feature: at most 0.25 MiB per pod.

use crate::pod::Pod;

/// Proportional set size of a process, KiB.
fn pss(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_shim_stays_small() {
    // Text pages are shared by all shims of a node: a few others stand for the rest of it.
    let _others: Vec<Pod> = (0..30).map(|_| Pod::new()).collect();
    let mut pod = Pod::new();
    let first = pod.run("seq -w 1 200000; sleep 1000");
    husk_tests::wait_until("it has logged", || pod.log_lines(&first) == 200_000);
    let one = pss(pod.pid);
    for _ in 0..2 {
        let id = pod.run("seq -w 1 200000; sleep 1000");
        husk_tests::wait_until("it has logged", || pod.log_lines(&id) == 200_000);
    }
    for _ in 0..20 {
        let exec = pod.exec(&first, "true", 60_000, None);
        pod.wait_exec(&first, Some(&exec));
    }
    pod.state();
    let three = pss(pod.pid);
    println!("PSS of the shim with 1 container: {one} KiB, with 3: {three} KiB");
    let release = !husk_tests::bin("husk-shim").metadata().is_ok_and(|meta| meta.len() > 4_000_000);
    if !release {
        husk_tests::skip("husk-shim is no release build");
        return;
    }
    assert!(three <= 256, "{three} KiB with 3 containers ({one} with one)");
}
