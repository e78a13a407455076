//! Limits on devices that need a module or a setting of the kernel: block devices with weights, RDMA devices.

use crate::file;
use husk_cgroup::Cgroup;
use husk_tests::cgroup::{Group, needs};
use husk_tests::{Bundle, Runtime, in_vm, run, skip, temp_dir};
use serde_json::{Value, json};
use std::fs::write;
use std::path::Path;
use std::process::Command;

/// Whether the machine is ours to change; skips the test where it isn't.
fn is_ours() -> bool {
    if !in_vm() {
        skip("loads modules of the kernel and changes what it has for all");
    }
    in_vm()
}

#[track_caller]
fn call(line: &str) -> String {
    let mut words = line.split(' ');
    run(Command::new(words.next().unwrap()).args(words)).ok().text().to_owned()
}

/// What a container with these limits has in files of its group, and what it has after `update`.
#[track_caller]
fn limited(resources: Value, update: Value, names: &[&str]) -> [Vec<String>; 2] {
    let (runtime, group) = (Runtime::husk(), Group::reserve("hardware"));
    let mut bundle = Bundle::script("exec sleep 100000");
    bundle.set("/linux/cgroupsPath", group.path.as_str());
    for (key, value) in resources.as_object().unwrap() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    let container = runtime.start(&bundle);
    let files = || names.iter().map(|name| file(&Cgroup::open(group.dir()), name)).collect();
    let before = files();
    let changes = bundle.path().join("update.json");
    write(&changes, update.to_string()).unwrap();
    container.call_with("update", &["--resources", changes.to_str().unwrap()], &[]).ok();
    [before, files()]
}

/// A block device.
struct Disk {
    name: String,
    number: String,
    _dir: tempfile::TempDir,
}

impl Disk {
    fn make() -> Self {
        let dir = temp_dir();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        call("modprobe loop");
        let device = call(&format!("losetup --find --show {}", image.display()));
        let name = device.trim_start_matches("/dev/").to_owned();
        let number = std::fs::read_to_string(format!("/sys/block/{name}/dev")).unwrap().trim().to_owned();
        Self { name, number, _dir: dir }
    }

    fn schedule(&self, scheduler: &str) -> std::io::Result<()> {
        write(format!("/sys/block/{}/queue/scheduler", self.name), scheduler)
    }

    fn cost(&self, on: u8) -> std::io::Result<()> {
        write("/sys/fs/cgroup/io.cost.qos", format!("{} enable={on}", self.number))
    }

    /// `linux.resources` with a weight for all devices and one for this.
    fn weight(&self, of_all: u16, own: u16) -> Value {
        let [major, minor] =
            [0, 1].map(|part| self.number.split(':').nth(part).unwrap().parse::<i64>().unwrap());
        json!({"blockIO": {"weight": of_all, "weightDevice": [{"major": major, "minor": minor, "weight": own}]}})
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.cost(0);
        let _ = self.schedule("none");
        let _ = run(Command::new("losetup").arg("--detach").arg(format!("/dev/{}", self.name)));
    }
}

/// By itself, as a module that is loaded changes which files all groups have.
#[test]
fn alone_block_devices_with_weights() {
    if !is_ours() || !needs("io") {
        return;
    }
    let disk = Disk::make();
    let number = &disk.number;
    let cost = ["default 4950", "2930", "default 10000", "3940"];
    if !Path::new("/sys/module/bfq").exists() {
        let mut bundle = Bundle::script("true");
        bundle.set("/linux/resources/blockIO", disk.weight(500, 300)["blockIO"].clone());
        let done = Runtime::husk().run(&bundle).expect_code(1);
        assert!(done.stderr.contains("neither the scheduler bfq nor a cost model"), "{done:?}");
        disk.cost(1).unwrap();
        let shown = limited(disk.weight(500, 300), disk.weight(1000, 400), &["io.weight"]);
        assert_eq!(shown[0][0], format!("{}\n{number} {}", cost[0], cost[1]));
        assert_eq!(shown[1][0], format!("{}\n{number} {}", cost[2], cost[3]));
    }
    call("modprobe bfq");
    // It is there, but not for this disk.
    disk.cost(1).unwrap();
    let files = ["io.bfq.weight", "io.weight"];
    let shown = limited(disk.weight(500, 300), disk.weight(10, 400), &files);
    assert_eq!(shown[0], ["default 500".to_owned(), format!("default 100\n{number} {}", cost[1])]);
    assert_eq!(shown[1], ["default 10".to_owned(), format!("default 100\n{number} {}", cost[3])]);
    disk.cost(0).unwrap();
    disk.schedule("bfq").unwrap();
    let shown = limited(disk.weight(500, 300), disk.weight(1000, 400), &["io.bfq.weight"]);
    assert_eq!(shown[0][0], format!("default 500\n{number} 300"));
    assert_eq!(shown[1][0], format!("default 1000\n{number} 400"));
}

/// By itself and last, as the device stays until the VM ends: Linux 6.12 crashes when one goes that a removed group had limits on
/// (rdmacg_unregister_device).
#[test]
fn alone_rdma_devices_with_handles_and_objects() {
    if !is_ours() || !needs("rdma") {
        return;
    }
    let name = "huskrdma0";
    if !Path::new("/sys/class/infiniband").join(name).exists() {
        call("modprobe rdma_rxe");
        call("ip link add huskdummy0 type dummy");
        call("ip link set huskdummy0 up");
        call(&format!("rdma link add {name} type rxe netdev huskdummy0"));
    }
    let both = json!({"rdma": {name: {"hcaHandles": 3, "hcaObjects": 1000}}});
    let shown = limited(both, json!({"rdma": {name: {"hcaHandles": 5}}}), &["rdma.max"]);
    assert_eq!(shown[0][0], format!("{name} hca_handle=3 hca_object=1000"));
    assert_eq!(shown[1][0], format!("{name} hca_handle=5 hca_object=1000"));
    let shown = limited(json!({"rdma": {name: {"hcaObjects": 7}}}), json!({}), &["rdma.max"]);
    assert_eq!(shown[0][0], format!("{name} hca_handle=max hca_object=7"));
}
