//! A full disk, and a process that is killed in the middle.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use husk_image::{Auth, Error, SnapshotOptions, Store};
use husk_tests::image::{Compression, Image, Layer, Tar};
use husk_tests::registry::Registry;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::world::{assert_nothing_in, config, noise, reopen, small};

fn big() -> Image {
    let layers = (0..4).map(|at| {
        let mut tar = Tar::new();
        for file in 0..20 {
            tar = tar.file(&format!("l{at}/f{file}"), 0o644, &noise(150_000, at * 100 + file));
        }
        Layer::new(tar, Compression::Gzip)
    });
    Image::new(layers.collect(), &json!({}))
}

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new(size: &str) -> Tmpfs {
        let dir = husk_tests::temp_dir();
        let data = std::ffi::CString::new(format!("size={size}")).unwrap();
        mount("husk-test", dir.path(), "tmpfs", MountFlags::empty(), data.as_c_str()).unwrap();
        Tmpfs(dir)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_is_named_and_left_as_it_was() {
    let registry = Registry::start();
    let image = big();
    let reference = registry.push(&image, "big", "v1");
    let fits = small("fits");
    let small_reference = registry.push(&fits, "small", "v1");
    let disk = Tmpfs::new("6m");
    let root = disk.0.path().join("store");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(&root, config()).unwrap();
    let error = runtime.block_on(store.pull(&reference, &Auth::Anonymous, None)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(store.list().is_empty());
    assert_nothing_in(&root);
    // The small one fits once the big one is gone, and can be used and removed while nothing else fits.
    runtime.block_on(store.pull(&small_reference, &Auth::Anonymous, None)).unwrap();
    let options = SnapshotOptions::default();
    runtime.block_on(store.prepare("c", &small_reference, options)).unwrap();
    let filler = disk.0.path().join("filler");
    let mut bytes = 6 << 20;
    while bytes > 0 && std::fs::write(&filler, vec![1; bytes]).is_err() {
        bytes -= 4096;
    }
    let error = runtime.block_on(store.prepare("d", &small_reference, options)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    runtime.block_on(store.remove_snapshot("c")).unwrap();
    runtime.block_on(store.remove(&small_reference)).unwrap();
    assert_nothing_in(&root);
    drop((store, runtime));
}

/// What is killed by the test below; not a test of its own.
#[test]
#[ignore = "started by the test of killed pulls"]
fn child_pulls() {
    let (Some(root), Some(reference)) =
        (std::env::var_os("HUSK_TEST_ROOT"), std::env::var("HUSK_TEST_REF").ok())
    else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(Path::new(&root), config()).unwrap();
    runtime.block_on(store.pull(&reference, &Auth::Anonymous, None)).unwrap();
    let _ = runtime.block_on(store.prepare("c", &reference, SnapshotOptions::default()));
    println!("pulled");
}

#[test]
fn a_killed_pull_leaves_nothing_half_made() {
    let registry = Registry::start();
    let image = big();
    let reference = registry.push(&image, "big", "v1");
    let dir = husk_tests::temp_dir();
    let root = dir.path().join("store");
    let (mut whole, mut broken) = (0, 0);
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "crash::child_pulls"])
            .env("HUSK_TEST_ROOT", &root)
            .env("HUSK_TEST_REF", &reference)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // Moments from before the first byte to after the end, in no order.
        std::thread::sleep(Duration::from_millis(round * 37 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = reopen(&root);
        match store.status(&reference) {
            Some(found) => {
                whole += 1;
                assert_eq!(found.layers.len(), 4);
                for (at, layer) in found.layers.iter().enumerate() {
                    let files = root.join("layers").join(layer.hex()).join(format!("fs/l{at}"));
                    assert_eq!(std::fs::read_dir(files).unwrap().count(), 20);
                }
                for id in store.snapshots() {
                    runtime.block_on(store.remove_snapshot(&id)).unwrap();
                }
                runtime.block_on(store.remove(&reference)).unwrap();
            }
            None => broken += 1,
        }
        assert_nothing_in(&root);
        drop(store);
        drop(runtime);
        drop(reopen(&root));
    }
    println!("{whole} pulls were whole, {broken} were cut off");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(reopen(&root).pull(&reference, &Auth::Anonymous, None)).unwrap();
}
