//! `huskctl run`: pods from manifests to their end.

use std::process::Stdio;

use husk_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::World;

#[test]
fn a_pod_runs_its_init_containers_first_and_shows_all_logs() {
    let world = World::new();
    let done = world.run_pod(
        "web",
        "  restartPolicy: Never
  initContainers:
  - {name: first, image: IMAGE, command: [sh, -c, 'echo one > /data/x; echo from first'], volumeMounts: [{name: d, mountPath: /data}]}
  containers:
  - {name: good, image: IMAGE, command: [sh, -c, 'cat /data/x; echo to err >&2; hostname'], volumeMounts: [{name: d, mountPath: /data, readOnly: true}]}
  - {name: bad, image: IMAGE, command: [sh, -c, 'exit 3']}
  volumes: [{name: d, emptyDir: {}}]
",
    );
    let done = done.expect_code(3);
    assert_eq!(done.stdout, "first | from first\ngood  | one\ngood  | web\n");
    assert!(done.stderr.contains("good  | to err\n"), "{}", done.stderr);
    assert!(done.stderr.contains("huskctl: good: Completed (0)"), "{}", done.stderr);
    assert!(done.stderr.contains("huskctl: bad: Error (3)"), "{}", done.stderr);
    assert_eq!(world.ctl(&["logs", "web/good"]).ok().stdout, "one\nweb\n");
    assert_eq!(world.kept(), 1);
    world.ctl(&["rm", "web"]).ok();
    assert_eq!((world.kept(), world.ids(&["ps", "-aq"]).len(), world.ids(&["pods", "-q"]).len()), (0, 0, 0));
}

#[test]
fn with_rm_nothing_stays() {
    let world = World::new();
    let file = world.manifest(
        "once",
        "  restartPolicy: Never
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, 'mount | grep /ram'], volumeMounts: [{name: ram, mountPath: /ram}]}
  volumes: [{name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
",
    );
    let done = world.ctl(&["run", "--rm", &file]).ok();
    assert!(
        done.stdout.contains("tmpfs on /ram type tmpfs") && done.stdout.contains("size=1024k"),
        "{}",
        done.stdout
    );
    assert_eq!((world.kept(), world.ids(&["ps", "-aq"]).len(), world.ids(&["pods", "-q"]).len()), (0, 0, 0));
    assert_eq!(world.mounts().iter().filter(|m| m.contains("/data/pods/")).count(), 0);
}

#[test]
fn a_container_that_fails_is_started_again_and_the_log_before_is_kept() {
    let world = World::new();
    let file = world.manifest(
        "again",
        "  restartPolicy: OnFailure
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, 'echo x >> /d/n; echo run $(cat /d/n | wc -l); [ $(cat /d/n | wc -l) = 3 ]'], volumeMounts: [{name: d, mountPath: /d}]}
  volumes: [{name: d, emptyDir: {}}]
",
    );
    let done = world.ctl(&["run", "--backoff", "0.1", &file]).ok();
    assert_eq!(done.stdout, "run 1\nrun 2\nrun 3\n");
    assert_eq!(done.stderr.matches("Starting again in").count(), 2, "{}", done.stderr);
    assert_eq!(world.ctl(&["logs", "a"]).ok().stdout, "run 3\n");
    assert_eq!(world.ctl(&["logs", "--previous", "a"]).ok().stdout, "run 2\n");
    assert_eq!(world.ids(&["ps", "-aq"]).len(), 2);
}

#[test]
fn settings_of_the_manifest_arrive_in_the_container() {
    let world = World::new();
    let done = world.run_pod(
        "set",
        "  restartPolicy: Never
  hostname: inside
  securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000}
  containers:
  - name: a
    image: IMAGE
    workingDir: /tmp
    command: [sh, -c]
    args: ['id; pwd; hostname; echo $(GREETING); touch /v/x && stat -c %g /v/x; grep NoNewPrivs /proc/self/status; cat /etc/resolv.conf; touch /x']
    env: [{name: NAME, value: pod}, {name: GREETING, value: hello $(NAME)}]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}
    volumeMounts: [{name: v, mountPath: /v}]
  dnsConfig: {nameservers: [192.0.2.1], searches: [a.test]}
  volumes: [{name: v, emptyDir: {}}]
",
    );
    let done = done.expect_code(1);
    let expected = "uid=1000 gid=2000 groups=2000,3000\n/tmp\ninside\nhello pod\n3000\nNoNewPrivs:\t1\n";
    assert!(done.stdout.starts_with(expected), "{}", done.stdout);
    assert!(
        done.stdout.contains("nameserver 192.0.2.1") && done.stdout.contains("search a.test"),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("/x: Read-only file system"), "{}", done.stderr);
}

#[test]
fn containers_share_the_network_and_if_asked_the_processes() {
    let world = World::new();
    let spec = "  restartPolicy: Never
  shareProcessNamespace: SHARE
  containers:
  - {name: server, image: IMAGE, command: [sh, -c, 'echo hi > /tmp/index.html; httpd -p 80 -h /tmp; sleep 100000']}
  - {name: client, image: IMAGE, command: [sh, -c, 'until wget -q -O - http://127.0.0.1/; do sleep 0.1; done; ps | grep -c [s]leep.100000']}
";
    for (share, seen) in [("false", "hi\n0\n"), ("true", "hi\n1\n")] {
        let file = world.manifest("pair", &spec.replace("SHARE", share));
        world.ctl(&["run", "-d", &file]).ok();
        assert_eq!(world.ctl(&["logs", "--follow", "pair/client"]).ok().stdout, seen, "share: {share}");
        world.ctl(&["rm", "--force", "pair"]).ok();
    }
}

#[test]
fn ctrl_c_stops_the_pod_in_order_and_removes_it_if_asked() {
    let world = World::new();
    let file = world.manifest(
        "long",
        "  terminationGracePeriodSeconds: 60
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, 'trap \"echo told; exit 0\" TERM; echo up; while :; do sleep 0.1; done']}
",
    );
    let out = world.path("out");
    let mut child = world
        .command(&["run", "--rm", &file])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(world.path("err")).unwrap())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&out).unwrap();
    wait_until("the container is up", || said() == "up\n");
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT).unwrap();
    wait_until("huskctl ends", || child.try_wait().unwrap().is_some());
    let err = std::fs::read_to_string(world.path("err")).unwrap();
    assert_eq!(said(), "up\ntold\n", "{err}");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    assert_eq!((world.kept(), world.ids(&["pods", "-q"]).len()), (0, 0));
}

#[test]
fn what_is_wrong_is_said_in_one_sentence_and_nothing_stays() {
    let world = World::new();
    let c = |fields: &str| {
        format!("  restartPolicy: Never\n  containers:\n  - {{name: a, image: IMAGE{fields}}}\n")
    };
    let cases = [
        (c(", comand: [x]"), ".yaml:7: spec.containers[0].comand: unknown field"),
        (c("").replace("IMAGE", "'127.0.0.1:1/none:1'"), "PullImage: "),
        (
            c(", imagePullPolicy: Never").replace("IMAGE", "none:1"),
            "image none:1 is not here, and imagePullPolicy is Never",
        ),
        (
            c(", securityContext: {runAsNonRoot: true}"),
            "container a: runAsNonRoot is set, and the image runs as root",
        ),
        (
            c(", volumeMounts: [{name: v, mountPath: /v}]")
                + "  volumes: [{name: v, hostPath: {path: /nonexistent, type: Directory}}]\n",
            "container a: volume v: stat /nonexistent: No such file or directory",
        ),
    ];
    for (spec, expected) in cases {
        let done = world.run_pod("wrong", &spec).expect_code(1);
        assert!(done.stderr.contains(expected), "{}\nwanted: {expected}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert_eq!(
            (world.kept(), world.ids(&["pods", "-q"]).len(), world.ids(&["ps", "-aq"]).len()),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_program_that_is_missing_ends_its_container_alone() {
    let world = World::new();
    let done = world.run_pod(
        "half",
        "  restartPolicy: Never
  containers:
  - {name: missing, image: IMAGE, command: [/bin/no-such-program]}
  - {name: fine, image: IMAGE, command: [sh, -c, 'sleep 1; echo fine']}
",
    );
    assert!(matches!(done.code, 127 | 128), "{done:?}");
    assert_eq!(done.stdout, "fine    | fine\n");
    let said = world.ctl(&["explain", "half/missing"]).ok().stdout;
    assert!(said.contains("/bin/no-such-program"), "{said}");
}
