//! A pull that is cut off, a shim that dies, a machine that is started anew.

use std::time::Duration;

use husk_cri_api::{
    ContainerState, ImageSpec, ListImagesRequest, ListPodSandboxRequest, PodSandboxState, PullImageRequest,
    RemoveImageRequest,
};
use husk_tests::image::{Compression, Image, Layer, busybox};
use husk_tests::wait_until;
use serde_json::json;

use crate::node::Node;
use crate::pods::{host_pod, own_pids, pod, script, with_namespaces};
use crate::registry::serve;

#[test]
fn a_pull_that_was_cut_off_leaves_nothing_half_made() {
    let mut node = Node::start();
    // Bytes that do not compress: the pull takes its time.
    let mut seed = 1u64;
    let mut bytes = vec![0; 2 << 20];
    for byte in &mut bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (seed >> 56) as u8;
    }
    let tar = busybox().file("bytes", 0o644, &bytes);
    let run = json!({"Env": ["PATH=/bin"], "Cmd": ["wc", "-c", "/bytes"]});
    let image = Image::new(vec![Layer::new(tar, Compression::Gzip)], &run);
    let name = format!("{}/slow/image:1", serve(&node, image, Duration::from_millis(3)));
    let pull = |node: &Node| {
        let mut client = node.images.clone();
        let image = Some(ImageSpec { image: name.clone(), ..Default::default() });
        node.spawn(async move { client.pull_image(PullImageRequest { image, ..Default::default() }).await })
    };
    let mut cut = 0;
    for round in 0..20u64 {
        let call = pull(&node);
        std::thread::sleep(Duration::from_millis(round * 11));
        node.kill();
        let answered = node.wait(call).unwrap().is_ok();
        node.up();
        let mut client = node.images.clone();
        let list = node.wait(async move { client.list_images(ListImagesRequest::default()).await }).unwrap();
        let count = list.into_inner().images.len();
        // The image is there whole, or not at all; if the answer came, it is there.
        assert!(count == 2 || (count == 1 && !answered), "{count} images, answered: {answered}");
        if count == 2 {
            let mut client = node.images.clone();
            let image = Some(ImageSpec { image: name.clone(), ..Default::default() });
            node.wait(async move { client.remove_image(RemoveImageRequest { image }).await }).unwrap();
        } else {
            cut += 1;
        }
    }
    assert!(cut > 0, "no pull was cut off");
    node.wait(pull(&node)).unwrap().expect("PullImage");
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let mut container = script("sum", "");
    container.image = Some(ImageSpec { image: name.clone(), ..Default::default() });
    container.command = Vec::new();
    let id = node.run(&pod, &container, &config);
    assert_eq!(node.end(&id).exit_code, 0);
    assert!(node.lines("sum")[0].contains(&bytes.len().to_string()), "{:?}", node.lines("sum"));
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn an_exit_is_known_even_where_the_shim_dies() {
    let node = Node::start();
    let config = host_pod(&node);
    let pod = node.run_pod(&config);
    let wait = "while [ ! -e /go ]; do sleep 0.1; done; exit 42";
    let ends = node.run(&pod, &script("ends", wait), &config);
    let stays = node.run(&pod, &script("stays", "sleep 1000"), &config);
    let shim = node.shim();
    husk_tests::run(std::process::Command::new("kill").args(["-KILL", &shim])).ok();
    wait_until("the sandbox to be told as dead", || {
        let mut client = node.runtime.clone();
        let list = node.wait(async move { client.list_pod_sandbox(ListPodSandboxRequest::default()).await });
        list.unwrap().into_inner().items[0].state() == PodSandboxState::SandboxNotready
    });
    assert_eq!(node.status(&ends).state(), ContainerState::ContainerRunning);
    // Its root is mounted in the node's namespace, not in the test's.
    let path = node.path().join("state/containers").join(&ends).join("rootfs/go");
    husk_tests::run(node.command("touch").arg(path)).ok();
    let status = node.end(&ends);
    // Before Linux 6.15 the kernel does not tell, and husk-cri does not guess.
    let expected = [(42, "Error"), (255, "Unknown")];
    assert!(expected.contains(&(status.exit_code, status.reason.as_str())), "{status:?}");
    assert_eq!(node.status(&stays).state(), ContainerState::ContainerRunning);
    node.stop(&stays, 0);
    assert!([137, 255].contains(&node.status(&stays).exit_code));
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

#[test]
fn after_a_reboot_nothing_is_told_as_running() {
    let mut node = Node::start();
    let config = with_namespaces(pod(&node), own_pids());
    let pod = node.run_pod(&config);
    let id = node.run(&pod, &script("a", "sleep 1000"), &config);
    node.kill();
    // What a reboot does: no process, no mount, no state; and another boot id.
    node.power_off();
    let record = node.path().join("root/sandboxes").join(&pod).join("sandbox.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()));
    std::fs::write(&record, text.replace(boot.trim(), "another-boot")).unwrap();
    node.up();
    let status = node.status(&id);
    assert_eq!((status.state(), status.reason.as_str()), (ContainerState::ContainerExited, "Unknown"));
    assert!(status.message.contains("reboot") || status.message.contains("anew"), "{status:?}");
    node.remove_pod(&pod);
    assert_eq!(node.leftovers(), Vec::<String>::new());
}

impl Node {
    /// The only shim's process.
    fn shim(&self) -> String {
        let groups = std::fs::read_dir(self.group()).unwrap().flatten();
        let ours = |path: &std::path::PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shim-"))
        };
        let group = groups.map(|item| item.path()).find(ours).expect("the shim's group");
        let pids = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
        pids.lines().next().expect("a process in the shim's group").to_owned()
    }
}
