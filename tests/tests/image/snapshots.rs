//! Snapshots on real overlayfs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use husk_image::{Error, Snapshot, SnapshotOptions};
use husk_tests::image::{Compression, Image, Layer, Tar};
use husk_tests::run;
use serde_json::json;

use crate::world::World;

/// A mount that goes with the value.
struct Mounted(PathBuf);

impl Mounted {
    fn new(snapshot: &Snapshot, target: &Path) -> Mounted {
        std::fs::create_dir_all(target).unwrap();
        snapshot.mount(target).unwrap();
        Mounted(target.into())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Snapshot::unmount(&self.0).unwrap();
    }
}

fn image(tars: Vec<Tar>) -> Image {
    Image::new(tars.into_iter().map(|tar| Layer::new(tar, Compression::Gzip)).collect(), &json!({}))
}

fn prepare(world: &World, id: &str, image: &Image, read_only: bool) -> Snapshot {
    let options = SnapshotOptions { read_only };
    world.runtime.block_on(world.store.prepare(id, &image.id(), options)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn whiteouts_hide_what_is_below() {
    let world = World::new();
    let below = Tar::new()
        .dir("./", 0o751)
        .dir("d", 0o755)
        .file("d/one", 0o644, b"1")
        .file("d/two", 0o644, b"2")
        .dir("opaque", 0o755)
        .file("opaque/old", 0o644, b"old")
        .dir("replaced", 0o755)
        .file("replaced/old", 0o644, b"old")
        .dir("whole", 0o755)
        .file("whole/x", 0o644, b"x")
        .file("same", 0o644, b"below");
    let above = Tar::new()
        .dir("d", 0o700)
        .file("d/.wh.one", 0, b"")
        .file("opaque/new", 0o644, b"new")
        .file("opaque/.wh..wh..opq", 0, b"")
        .file(".wh.replaced", 0, b"")
        .dir("replaced", 0o755)
        .file("replaced/new", 0o644, b"new")
        .file(".wh.whole", 0, b"")
        .file("same", 0o644, b"above");
    let image = image(vec![below, above]);
    world.load(&image).unwrap();
    let snapshot = prepare(&world, "c1", &image, false);
    let mounted = Mounted::new(&snapshot, &world.dir.path().join("m"));
    let root = &mounted.0;
    assert_eq!(names(root), ["d", "opaque", "replaced", "same"]);
    assert_eq!(names(&root.join("d")), ["two"]);
    assert_eq!(names(&root.join("opaque")), ["new"]);
    assert_eq!(names(&root.join("replaced")), ["new"]);
    assert_eq!(std::fs::read(root.join("same")).unwrap(), b"above");
    assert_eq!(std::fs::metadata(root).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(std::fs::metadata(root.join("d")).unwrap().mode() & 0o7777, 0o700);

    // Containers of one image don't see each other's changes.
    std::fs::write(root.join("written"), vec![1; 100_000]).unwrap();
    std::fs::remove_file(root.join("same")).unwrap();
    let second = prepare(&world, "c2", &image, false);
    let other = Mounted::new(&second, &world.dir.path().join("m2"));
    assert_eq!(names(&other.0), ["d", "opaque", "replaced", "same"]);
    let usage = world.runtime.block_on(world.store.snapshot_usage("c1")).unwrap();
    assert!(usage.bytes >= 100_000 && usage.inodes >= 3, "{usage:?}");
    drop((mounted, other));
}

#[test]
fn directories_that_a_layer_only_implies_keep_their_attributes() {
    let world = World::new();
    let owned = |name: &'static str| husk_tests::image::Header {
        name,
        kind: b'5',
        mode: 0o1777,
        owner: (11, 12),
        ..Default::default()
    };
    let below = Tar::new()
        .dir("usr", 0o711)
        .entry(&owned("usr/tmp"), &[])
        .dir("gone", 0o700)
        .dir("changed", 0o700)
        .dir("opaque", 0o700)
        .dir("new", 0o750);
    let middle = Tar::new()
        .file(".wh.gone", 0, b"")
        .dir("changed", 0o770)
        .file("opaque/.wh..wh..opq", 0, b"")
        .file("usr/tmp/middle", 0o644, b"");
    let above = Tar::new()
        .file("usr/tmp/file", 0o644, b"x")
        .file("gone/file", 0o644, b"x")
        .file("changed/file", 0o644, b"x")
        .file("opaque/file", 0o644, b"x")
        .file("fresh/file", 0o644, b"x");
    let image = image(vec![below, middle, above]);
    world.load(&image).unwrap();
    for read_only in [false, true] {
        let snapshot = prepare(&world, if read_only { "ro" } else { "rw" }, &image, read_only);
        let mounted = Mounted::new(&snapshot, &world.dir.path().join("m"));
        let mode = |name: &str| {
            let data = std::fs::metadata(mounted.0.join(name)).unwrap();
            (data.mode() & 0o7777, data.uid(), data.gid())
        };
        assert_eq!(mode("usr"), (0o711, 0, 0));
        assert_eq!(mode("usr/tmp"), (0o1777, 11, 12));
        assert_eq!(names(&mounted.0.join("usr/tmp")), ["file", "middle"]);
        // Removed and made anew: what was below says nothing any more.
        assert_eq!(mode("gone"), (0o755, 0, 0));
        assert_eq!(mode("opaque"), (0o755, 0, 0));
        assert_eq!(mode("changed"), (0o770, 0, 0));
        assert_eq!(mode("fresh"), (0o755, 0, 0));
        assert_eq!(mode("new"), (0o750, 0, 0));
    }
}

#[test]
fn snapshots_outlive_their_image_and_a_restart() {
    let world = World::new();
    let image = image(vec![Tar::new().file("f", 0o644, b"content")]);
    world.load(&image).unwrap();
    let snapshot = prepare(&world, "keeps", &image, false);
    assert_eq!(prepare(&world, "keeps", &image, false), snapshot);
    world.runtime.block_on(world.store.remove(&image.id())).unwrap();
    assert!(world.store.list().is_empty());
    let World { store, runtime, dir } = world;
    drop(runtime);
    drop(store);
    let root = dir.path().join("store");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = crate::world::reopen(&root);
    assert!(matches!(husk_image::Store::open(&root, crate::world::config()), Err(Error::Locked(_))));
    let again = store.snapshot("keeps").unwrap();
    assert_eq!(again, snapshot);
    let mounted = Mounted::new(&again, &dir.path().join("m"));
    assert_eq!(std::fs::read(mounted.0.join("f")).unwrap(), b"content");
    drop(mounted);
    runtime.block_on(store.remove_snapshot("keeps")).unwrap();
    runtime.block_on(store.remove_snapshot("keeps")).unwrap();
    crate::world::assert_nothing_in(&root);
}

#[test]
fn bad_ids_and_unknown_images_are_refused() {
    let world = World::new();
    let (first, second) = (image(vec![Tar::new().dir("a", 0o755)]), image(vec![Tar::new().dir("b", 0o755)]));
    world.load(&first).unwrap();
    world.load(&second).unwrap();
    prepare(&world, "taken", &first, false);
    let prepare = |id: &str, image: &str| {
        world.runtime.block_on(world.store.prepare(id, image, SnapshotOptions::default())).unwrap_err()
    };
    assert!(matches!(prepare("../x", &first.id()), Error::BadSnapshotId { .. }));
    assert!(matches!(prepare("taken", &second.id()), Error::BadSnapshotId { .. }));
    assert!(matches!(prepare("x", "nothing:1"), Error::NotFound { .. }));
}

#[test]
fn three_hundred_layers_and_a_layer_twice() {
    let world = World::new();
    let mut tars: Vec<Tar> =
        (0..300).map(|at| Tar::new().file(&format!("f{at}"), 0o644, at.to_string().as_bytes())).collect();
    tars.push(Tar::new().file(".wh.f7", 0, b""));
    tars.push(tars[7].clone());
    let image = image(tars);
    world.load(&image).unwrap();
    let snapshot = prepare(&world, "many", &image, false);
    let mounted = Mounted::new(&snapshot, &world.dir.path().join("m"));
    assert_eq!(names(&mounted.0).len(), 300);
    assert_eq!(std::fs::read(mounted.0.join("f299")).unwrap(), b"299");
    drop(mounted);
    let classic = Image::new(image.layers[100..].to_vec(), &json!({}));
    world.load(&classic).unwrap();
    let snapshot = prepare(&world, "classic", &classic, false);
    let target = world.dir.path().join("m");
    snapshot.mount_classic(&target).unwrap();
    let mounted = Mounted(target);
    assert_eq!(names(&mounted.0).len(), 201);
    drop(mounted);
    // An image volume: nothing can be written, whatever the layers allow.
    let snapshot = prepare(&world, "volume", &image, true);
    let mounted = Mounted::new(&snapshot, &world.dir.path().join("v"));
    assert_eq!(names(&mounted.0).len(), 300);
    let error = std::fs::write(mounted.0.join("new"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn fs_info_is_what_du_says() {
    let world = World::new();
    let image = image(vec![husk_tests::image::busybox(), Tar::new().file("x", 0o644, &[1; 300_000])]);
    world.load(&image).unwrap();
    let snapshot = prepare(&world, "c", &image, false);
    std::fs::write(snapshot.upper.unwrap().0.join("data"), vec![7; 500_000]).unwrap();
    let du = |dirs: &[&str]| -> u64 {
        let mut command = std::process::Command::new("du");
        command.args(["-s", "-c", "-B1"]);
        for dir in dirs {
            command.arg(world.root().join(dir));
        }
        let done = run(&mut command);
        // The background sync replaces files by rename, which du may come upon.
        if done.code != 0 {
            return 0;
        }
        let last = done.text().lines().last().unwrap().to_owned();
        last.split('\t').next().unwrap().parse().unwrap()
    };
    // Blocks are final once the background sync has run.
    let told = || {
        let info = world.runtime.block_on(world.store.fs_info()).unwrap();
        (info.images.bytes, info.snapshots.bytes)
    };
    let counted = || (du(&["images", "layers", "ingest", "trash"]), du(&["snapshots"]));
    husk_tests::wait_until("what is told is what is counted", || {
        let (told, counted) = (told(), counted());
        told == counted || {
            println!("{told:?} {counted:?}");
            false
        }
    });
    let told = told();
    assert!(told.0 > 300_000 && told.1 >= 500_000);
    let before = world.runtime.block_on(world.store.fs_info()).unwrap();
    world.runtime.block_on(world.store.remove_snapshot("c")).unwrap();
    world.runtime.block_on(world.store.remove(&image.id())).unwrap();
    let after = world.runtime.block_on(world.store.fs_info()).unwrap();
    assert!(after.images.bytes + 300_000 < before.images.bytes, "{before:?} {after:?}");
    assert_eq!(du(&["images", "layers", "ingest", "trash"]), after.images.bytes);
}
