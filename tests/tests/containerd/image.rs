//! Containers of an image: limits, and checkpoints, which `ctr` makes of nothing else. They need every controller and criu,
//! so they run in the VM.

use crate::engine::Containerd;
use husk_tests::image::{Compression, Image, Layer, busybox};
use husk_tests::{cgroup, criu, run, wait_until};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

/// The name of the image.
const IMAGE: &str = "example.org/busybox:1";

fn import(containerd: &Containerd) {
    let layout = containerd.path().join("layout");
    let image = Image::new(vec![Layer::new(busybox(), Compression::Plain)], &json!({"Env": ["PATH=/bin"]}));
    image.write_layout(&layout, Some("1"));
    let tar = containerd.path().join("image.tar");
    run(Command::new("tar").arg("-C").arg(&layout).arg("-cf").arg(&tar).arg(".")).ok();
    containerd.ctr(&["images", "import", "--base-name", "example.org/busybox", tar.to_str().unwrap()]).ok();
}

fn metrics(containerd: &Containerd, id: &str) -> Value {
    let done = containerd.ctr(&["task", "metrics", "--format", "json", id]).ok();
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

#[test]
fn limits_metrics_and_the_event_of_an_oom_kill() {
    if !(cgroup::needs("memory") && cgroup::needs("cpu")) {
        return;
    }
    let containerd = Containerd::new();
    import(&containerd);
    let events = containerd.events();
    let flags = ["--detach", "--memory-limit", "67108864", "--cpus", "0.5"];
    containerd.run_image("box", IMAGE, &flags, &["sh", "-c", "sleep 1000 & sleep 1000"]).ok();
    let tasks = containerd.ctr(&["task", "ls"]).ok().stdout;
    let pid =
        tasks.lines().find_map(|line| line.strip_prefix("box ")?.split_whitespace().next()?.parse().ok());
    let quota = std::fs::read_to_string(cgroup::of_process(pid.unwrap()).join("cpu.max")).unwrap();
    assert_eq!(quota.trim(), "50000 100000");
    wait_until("both processes are counted", || metrics(&containerd, "box")["pids"]["current"] == 2);
    let seen = metrics(&containerd, "box");
    assert_eq!(seen["memory"]["usage_limit"], 67_108_864);
    assert!(seen["memory"]["usage"].as_u64().is_some_and(|bytes| bytes > 0), "{seen}");
    assert!(seen["cpu"]["usage_usec"].as_u64().is_some_and(|time| time > 0), "{seen}");

    let flags = ["--detach", "--memory-limit", "16777216"];
    containerd.run_image("greedy", IMAGE, &flags, &["sh", "-c", "tail /dev/zero; sleep 1000"]).ok();
    wait_until("the kill is told", || events.has("/tasks/oom", r#""container_id":"greedy""#));
    assert_eq!(containerd.status("greedy"), "RUNNING");
}

/// A `ctr containers restore`, which waits for the end of what it restores.
struct Restored(Child);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn checkpoints_on_disk_and_as_images_that_are_restored() {
    if !criu() {
        return;
    }
    let containerd = Containerd::new();
    import(&containerd);
    let counter = "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.2; done";
    containerd.run_image("box", IMAGE, &["--detach"], &["sh", "-c", counter]).ok();
    let execs = std::cell::Cell::new(0);
    let count = |id: &str| {
        execs.set(execs.get() + 1);
        let exec = format!("e{}", execs.get());
        let done = containerd.ctr(&["task", "exec", "--exec-id", &exec, id, "cat", "/count"]);
        done.text().parse::<u64>().unwrap_or(0)
    };
    let counts_on = |id: &str, from: u64| wait_until("the counter goes on", || count(id) > from);
    counts_on("box", 0);

    let (images, work) = (containerd.path().join("images"), containerd.path().join("work"));
    std::fs::create_dir(&work).unwrap();
    let flags = ["--image-path", images.to_str().unwrap(), "--work-path", work.to_str().unwrap()];
    containerd.ctr(&[&["task", "checkpoint"], &flags[..], &["box"]].concat()).ok();
    assert!(images.join("inventory.img").exists());
    counts_on("box", count("box"));

    let stopped_after = count("box");
    containerd
        .ctr(&["containers", "checkpoint", "--task", "--rw", "--image", "box", "example.org/cp:1"])
        .ok();
    containerd.ctr(&["task", "rm", "--force", "box"]).ok();
    let mut restore =
        containerd.command(&["containers", "restore", "--live", "--rw", "again", "example.org/cp:1"]);
    let log = containerd.path().join("restored");
    let to = std::fs::File::create(&log).unwrap();
    let restored = restore.stdin(Stdio::null()).stdout(to.try_clone().unwrap()).stderr(to).spawn().unwrap();
    let mut restored = Restored(restored);
    wait_until("it is restored", || {
        let ended = restored.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?} {}", std::fs::read_to_string(&log).unwrap());
        containerd.status("again") == "RUNNING"
    });
    counts_on("again", stopped_after);
    let done = containerd.ctr(&["task", "exec", "--exec-id", "x", "again", "cat", "/proc/1/cmdline"]).ok();
    assert!(done.stdout.contains("i=0;"), "{done:?}");
    containerd.ctr(&["task", "kill", "--signal", "KILL", "again"]).ok();
    wait_until("it has ended", || containerd.status("again") == "STOPPED");
}
