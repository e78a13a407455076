//! The pod's namespaces.

use crate::pod::Pod;
use husk_shim_api::{Call, CallError, FailureKind, IdMapping, Namespace, Pin, Pinned, Reply};
use husk_tests::Bundle;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn pin(pod: &mut Pod, request: Pin) -> Pinned {
    match pod.client.call(Call::Pin(request)).unwrap() {
        Reply::Pinned(pinned) => pinned,
        other => panic!("{other:?}"),
    }
}

fn join(bundle: &mut Bundle, pinned: &Pinned) {
    for (namespace, path) in &pinned.namespaces {
        let kind = match namespace {
            Namespace::Net => "network",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Pid => "pid",
            Namespace::User => "user",
        };
        bundle.join_namespace(kind, path);
    }
}

#[test]
fn containers_share_the_pods_namespaces() {
    let mut pod = Pod::new();
    let request = Pin {
        namespaces: vec![Namespace::Net, Namespace::Ipc, Namespace::Uts],
        hostname: Some("pod-host".into()),
        sysctls: [
            ("net.ipv4.ip_unprivileged_port_start".into(), "80".into()),
            ("kernel.shm_rmid_forced".into(), "1".into()),
        ]
        .into(),
        ..Pin::default()
    };
    let pinned = pin(&mut pod, request.clone());
    // The same call again answers the same.
    assert_eq!(pin(&mut pod, request), pinned);
    assert!(matches!(pod.client.call(Call::Pin(Pin::default())),
        Err(CallError::Failed(f)) if f.kind == FailureKind::Exists));
    let script = "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced; \
                  readlink /proc/self/ns/net; ip addr show lo | grep -o 'inet 127.0.0.1'";
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut bundle = Bundle::script(script);
        bundle.spec.as_object_mut().unwrap().remove("hostname");
        join(&mut bundle, &pinned);
        let id = pod.create(bundle);
        pod.start(&id);
        assert_eq!(pod.wait(&id).code(), Some(0), "{}", pod.log(&id));
        seen.push(pod.log(&id));
    }
    assert_eq!(seen[0], seen[1]);
    let lines: Vec<&str> = seen[0].lines().collect();
    assert_eq!((lines[0], lines[1], lines[2]), ("pod-host", "80", "1"));
    assert_ne!(lines[3], std::fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
    assert_eq!(lines[4], "inet 127.0.0.1");
    // They are there without any process in them, and the state tells them to the next daemon.
    pod.reconnect();
    assert_eq!(pod.state().pinned, Some(pinned.clone()));
    let files: Vec<_> = pinned.namespaces.values().cloned().collect();
    drop(pod);
    assert!(files.iter().all(|file| !file.exists()));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!files.iter().any(|file| mounts.contains(file.to_str().unwrap())));
}

#[test]
fn cve_2022_0811_sysctls_of_the_node_are_refused() {
    let mut pod = Pod::new();
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for (name, value) in [
        ("kernel.core_pattern", "|/evil"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/evil"),
        ("net/../kernel/core_pattern", "|/evil"),
        ("vm.overcommit_memory", "1"),
    ] {
        let request = Pin {
            namespaces: vec![Namespace::Net, Namespace::Ipc],
            sysctls: [(name.into(), value.into())].into(),
            ..Pin::default()
        };
        match pod.client.call(Call::Pin(request)).unwrap_err() {
            CallError::Failed(failure) => assert_eq!(failure.kind, FailureKind::Invalid, "{failure}"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
    // A failure of the helper leaves nothing and can be tried again.
    let request = Pin {
        namespaces: vec![Namespace::Net],
        sysctls: [("net.ipv4.no_such_key".into(), "1".into())].into(),
        ..Pin::default()
    };
    match pod.client.call(Call::Pin(request)).unwrap_err() {
        CallError::Failed(failure) => assert!(failure.message.contains("no_such_key"), "{failure}"),
        other => panic!("{other}"),
    }
    pin(&mut pod, Pin { namespaces: vec![Namespace::Net], ..Pin::default() });
}

#[test]
fn a_shared_pid_namespace_has_a_pause_process_that_reaps() {
    let mut pod = Pod::new();
    let request = Pin {
        namespaces: vec![Namespace::Pid, Namespace::Ipc],
        pause_cgroup: Some(format!("/{}/pause", pod.id)),
        ..Pin::default()
    };
    let pinned = pin(&mut pod, request);
    let pause = pinned.pause_pid.unwrap();
    let comm = || std::fs::read_to_string(format!("/proc/{pause}/comm")).unwrap();
    husk_tests::wait_until("the pause program runs", || comm() == "pause\n");
    // No capability, nothing of the host's files: a container with CAP_SYS_PTRACE finds only an empty root.
    let status = std::fs::read_to_string(format!("/proc/{pause}/status")).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let root = format!("/proc/{pause}/root");
    assert!(!Path::new(&root).join("etc").exists() && Path::new(&root).join("pause").exists());

    // Two containers see one another; orphans become the pause process' children and are reaped.
    let mut bundle = Bundle::script("sleep 983");
    join(&mut bundle, &pinned);
    let sleeper = pod.create(bundle);
    pod.start(&sleeper);
    let script = "(sh -c 'exit 0' &) ; i=0; while ps -o stat,args | grep -q '^Z'; do i=$((i+1)); [ $i = 600 ] && exit 1; \
                  sleep 0.1; done; ps -o pid,args | grep 'sleep 98[3]'; ps -o pid,args | grep '^ *1 '";
    let mut bundle = Bundle::script(script);
    join(&mut bundle, &pinned);
    let looker = pod.create(bundle);
    pod.start(&looker);
    assert_eq!(pod.wait(&looker).code(), Some(0), "{}", pod.log(&looker));
    assert!(
        pod.log(&looker).contains("sleep 983") && pod.log(&looker).contains("1 /pause"),
        "{}",
        pod.log(&looker)
    );
    // SIGTERM ends it, and with it the pod.
    let pid = rustix::process::Pid::from_raw(pause).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(pod.wait(&sleeper).code(), Some(137));
    husk_tests::wait_until("the pause process is missed", || pod.state().pause_exit.is_some());
}

#[test]
fn a_user_namespace_owns_the_others() {
    let mut pod = Pod::new();
    let map = vec![IdMapping { container: 0, host: 200_000, size: 65_536 }];
    let request = Pin {
        namespaces: vec![Namespace::User, Namespace::Net, Namespace::Uts, Namespace::Ipc],
        hostname: Some("mapped".into()),
        uid_mappings: map.clone(),
        gid_mappings: map,
        pause_cgroup: Some(format!("/{}/pause", pod.id)),
        ..Pin::default()
    };
    let pinned = pin(&mut pod, request);
    let pause = pinned.pause_pid.unwrap();
    assert_eq!(Path::new(&format!("/proc/{pause}")).metadata().unwrap().uid(), 200_000);
    let of = |name: &str| std::fs::metadata(format!("/proc/{pause}/ns/{name}")).unwrap().ino();
    assert_eq!(pinned.namespaces[&Namespace::Net].metadata().unwrap().ino(), of("net"));
    assert_eq!(pinned.namespaces[&Namespace::User].metadata().unwrap().ino(), of("user"));
    assert_ne!(of("net"), std::fs::metadata("/proc/self/ns/net").unwrap().ino());
}
