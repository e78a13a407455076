//! Commands that look at pods, and change single ones.

use std::process::Command;

use husk_tests::cgroup::needs;
use husk_tests::{bin, run, wait_until};
use serde_json::Value;

use crate::world::World;

const SLEEPER: &str = "  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, 'trap \"exit 0\" TERM; echo up; while :; do sleep 0.1; done']}
";

fn sleeper(world: &World, name: &str) {
    let file = world.manifest(name, SLEEPER);
    world.ctl(&["run", "--detach", &file]).ok();
}

#[test]
fn exec_gives_output_and_exit_code_through() {
    let world = World::new();
    sleeper(&world, "one");
    let done = world.ctl(&["exec", "one/a", "sh", "-c", "echo out; echo err >&2; exit 7"]).expect_code(7);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(world.ctl(&["exec", "a", "--", "sh", "-c", "kill -9 $$"]).code, 137);
    let late = world.ctl(&["exec", "--timeout", "1", "a", "sleep", "1000"]).expect_code(124);
    assert!(late.stderr.contains("did not end within 1 s"), "{}", late.stderr);
    let none = world.ctl(&["exec", "b", "true"]).expect_code(1);
    assert_eq!(none.stderr, "huskctl: no container is called \"b\"\n");
}

#[test]
fn lists_show_what_runs_and_what_has_run() {
    let world = World::new();
    sleeper(&world, "one");
    sleeper(&world, "two");
    let ps = world.ctl(&["ps"]).ok().stdout;
    assert_eq!(ps.lines().count(), 3, "{ps}");
    assert!(ps.lines().skip(1).all(|l| l.contains("running") && l.contains(&world.image)), "{ps}");
    let pods = world.ctl(&["pods"]).ok().stdout;
    assert!(pods.contains("1/1 running") && pods.contains("ready"), "{pods}");
    let images = world.ctl(&["images"]).ok().stdout;
    assert!(images.contains(&world.image), "{images}");
    let json: Value = serde_json::from_str(&world.ctl(&["ps", "--json"]).ok().stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    let several = world.ctl(&["stop", "a"]).expect_code(1);
    assert!(several.stderr.starts_with("huskctl: \"a\" could be "), "{}", several.stderr);

    world.ctl(&["stop", "one"]).ok();
    assert_eq!((world.ids(&["ps", "-q"]).len(), world.ids(&["ps", "-qa"]).len()), (1, 2));
    let runs = world.ctl(&["rm", "two"]).expect_code(1);
    assert!(runs.stderr.contains("two has a container, two/a, that runs"), "{}", runs.stderr);
    let short = &world.ids(&["pods", "-q"])[0][..8];
    world.ctl(&["rm", "--force", short]).ok();
    assert_eq!(world.ids(&["pods", "-q"]).len(), 1);
}

#[test]
fn inspect_shows_pods_containers_and_images_as_json() {
    let world = World::new();
    sleeper(&world, "one");
    let shown = world.ctl(&["inspect", "one", "one/a", &world.image]).ok().stdout;
    let all: Value = serde_json::from_str(&shown).unwrap();
    let kinds: Vec<_> = all.as_array().unwrap().iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["pod", "container", "image"]);
    assert_eq!(all[1]["state"], "CONTAINER_RUNNING");
    assert!(all[0]["status"]["network"]["ip"].as_str().unwrap().starts_with("10.99.0."), "{shown}");
    let none = world.ctl(&["inspect", "nothing"]).expect_code(1);
    assert_eq!(none.stderr, "huskctl: no pod, container or image is called \"nothing\"\n");
}

#[test]
fn ends_are_explained_with_their_evidence() {
    let world = World::new();
    let file = world.manifest(
        "ends",
        "  restartPolicy: Never
  shareProcessNamespace: true
  containers:
  - {name: well, image: IMAGE, command: [sh, -c, 'exit 0']}
  - {name: three, image: IMAGE, command: [sh, -c, 'echo last words >&2; exit 3']}
  - {name: stopped, image: IMAGE, command: [sleep, '100000']}
",
    );
    world.ctl(&["run", "-d", &file]).ok();
    let running = world.ctl(&["explain", "stopped"]).ok().stdout;
    assert_eq!(running, "ends/stopped is running.\n");
    wait_until("two have ended", || world.ids(&["ps", "-q"]).len() == 1);
    world.ctl(&["stop", "stopped"]).ok();
    let said = |name: &str| world.ctl(&["explain", name]).ok().stdout;
    assert!(said("well").contains("Completed (exit code 0)"), "{}", said("well"));
    let three = said("three");
    assert!(three.contains("Error (exit code 3)") && three.contains("last words"), "{three}");
    let stopped = said("stopped");
    assert!(stopped.contains("exit code 143") && stopped.contains("SIGTERM"), "{stopped}");
    let json: Value = serde_json::from_str(&world.ctl(&["explain", "--json", "three"]).ok().stdout).unwrap();
    assert_eq!(json["exitCode"], 3);
    assert_eq!(json["record"]["id"].as_str().map(str::len), Some(64));
}

#[test]
fn too_little_memory_is_told_as_that() {
    if !needs("memory") {
        return;
    }
    let world = World::new();
    let done = world.run_pod(
        "hungry",
        "  restartPolicy: Never
  containers:
  - {name: a, image: IMAGE, command: [tail, /dev/zero], resources: {limits: {memory: 32Mi}}}
",
    );
    let done = done.expect_code(137);
    assert!(done.stderr.contains("huskctl: a: OOMKilled (137)"), "{}", done.stderr);
    let said = world.ctl(&["explain", "a"]).ok().stdout;
    assert!(said.contains("OOMKilled (exit code 137)") && said.contains("32"), "{said}");
}

#[test]
fn logs_are_followed_cut_and_stamped() {
    let world = World::new();
    let file = world.manifest(
        "log",
        "  restartPolicy: Never
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, 'for i in $(seq 200); do echo line $i; done; sleep 1; printf end']}
",
    );
    world.ctl(&["run", "-d", &file]).ok();
    let all = world.ctl(&["logs", "-f", "a"]).ok().stdout;
    assert_eq!((all.lines().count(), all.trim_end().ends_with("line 200\nend")), (201, true), "{all}");
    assert!(world.ctl(&["logs", "--tail", "2", "a"]).ok().stdout.starts_with("line 200\nend"));
    let stamped = world.ctl(&["logs", "-t", "--tail", "3", "a"]).ok().stdout;
    assert!(stamped.starts_with("20") && stamped.contains("Z line 199\n"), "{stamped}");
    let none = world.ctl(&["logs", "--previous", "a"]).expect_code(1);
    assert_eq!(none.stderr, "huskctl: log/a has no previous attempt\n");
}

#[test]
fn images_are_pulled_and_removed() {
    let world = World::new();
    let reference = world.ctl(&["pull", &world.image]).ok().stdout;
    assert!(reference.contains("sha256:"), "{reference}");
    let missing = world.ctl(&["pull", &format!("{}0", world.image)]).expect_code(1);
    assert!(
        missing.stderr.starts_with("huskctl: PullImage: ") && missing.stderr.contains("not found"),
        "{missing:?}"
    );
    world.ctl(&["rmi", &world.image]).ok();
    assert_eq!(world.ids(&["images", "-q"]).len(), 0);
    let gone = world.ctl(&["rmi", &world.image]).expect_code(1);
    assert!(gone.stderr.contains("no image is called"), "{gone:?}");
}

#[test]
fn stats_count_what_runs() {
    let world = World::new();
    sleeper(&world, "one");
    let stats = world.ctl(&["stats"]).ok().stdout;
    assert!(stats.lines().count() == 2 && stats.contains("one/a"), "{stats}");
    let json: Value = serde_json::from_str(&world.ctl(&["stats", "--json", "a"]).ok().stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
}

#[test]
fn where_no_server_answers_that_is_said() {
    let done =
        run(Command::new(bin("huskctl")).args(["--endpoint", "/nonexistent/cri.sock", "ps"])).expect_code(1);
    let expected = "huskctl: connect /nonexistent/cri.sock: No such file or directory";
    assert!(done.stderr.starts_with(expected), "{}", done.stderr);
    let done = run(Command::new(bin("huskctl")).args(["--endpoint", "tcp://1.2.3.4:5", "ps"])).expect_code(1);
    assert!(done.stderr.contains("is not the path of a socket"), "{}", done.stderr);
}
