//! Pulls from a real registry.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::{Arc, Mutex};

use husk_image::{Auth, Error, Progress};
use husk_tests::image::{Compression, Family, Header, Image, Layer, Tar, busybox, digest, index};
use husk_tests::registry::Registry;
use serde_json::json;

use crate::world::{World, noise, small};

#[test]
fn by_tag_and_by_digest_in_every_form() {
    let registry = Registry::start();
    let world = World::new();
    let run = json!({
        "User": "1002:50", "Env": ["A=b"], "Entrypoint": ["/bin/sh"], "Cmd": ["-c", "true"], "WorkingDir": "/tmp",
        "Volumes": { "/data": {} }, "StopSignal": "SIGQUIT", "Labels": { "k": "v" },
    });
    for (family, compression) in [
        (Family::Oci, Compression::Plain),
        (Family::Oci, Compression::Gzip),
        (Family::Oci, Compression::Zstd),
        (Family::Docker, Compression::Gzip),
    ] {
        let text = format!("{family:?}{compression:?}");
        let layer = Layer::new(Tar::new().file("text", 0o644, text.as_bytes()), compression);
        let image = Image::with(vec![layer], &run, family, &husk_tests::image::arch());
        let name = text.to_lowercase();
        let reference = registry.push(&image, &name, "v1");
        let pulled = world.pull(&reference).unwrap();
        assert_eq!(pulled.id.to_string(), image.id());
        assert_eq!(pulled.digest.unwrap().to_string(), image.digest());
        let diff_id = &image.layers[0].diff_id;
        assert_eq!(std::fs::read_to_string(world.layer(diff_id).join("text")).unwrap(), text);
        let by_digest = format!("{}/{name}@{}", registry.host(), image.digest());
        assert_eq!(world.pull(&by_digest).unwrap().id.to_string(), image.id());
        for known in [&reference, &by_digest, &image.id(), &image.id()["sha256:".len()..][..12].to_owned()] {
            let found = world.store.status(known).unwrap_or_else(|| panic!("{known}"));
            assert_eq!(found.tags, [reference.as_str()]);
            assert_eq!(found.digests, [by_digest.as_str()]);
            assert_eq!(found.config.uid(), Some(1002));
            assert_eq!(found.config.stop_signal.as_deref(), Some("SIGQUIT"));
            assert_eq!((found.config.env.len(), found.config.volumes.len()), (1, 1));
        }
    }
    assert_eq!(world.store.list().len(), 4);
}

#[test]
fn an_index_gives_this_machines_image() {
    let registry = Registry::start();
    let world = World::new();
    let own = small("own");
    let foreign = Image::with(small("foreign").layers, &json!({}), Family::Oci, "sparc64");
    for family in [Family::Oci, Family::Docker] {
        registry.push(&own, "multi", "own");
        registry.push(&foreign, "multi", "foreign");
        let arch = husk_tests::image::arch();
        let (bytes, media_type) = index(&[(&foreign, "sparc64"), (&own, &arch)], family);
        registry.push_manifest("multi", "both", media_type, &bytes);
        let pulled = world.pull(&format!("{}/multi:both", registry.host())).unwrap();
        assert_eq!(pulled.id.to_string(), own.id());
        assert_eq!(pulled.digest.unwrap().to_string(), digest(&bytes));
        let (bytes, media_type) = index(&[(&foreign, "sparc64")], family);
        registry.push_manifest("multi", "none", media_type, &bytes);
        let error = world.pull(&format!("{}/multi:none", registry.host())).unwrap_err();
        assert!(error.to_string().contains("it has linux/sparc64"), "{error}");
        let error = world.pull(&format!("{}/multi:foreign", registry.host())).unwrap_err();
        assert!(matches!(error, Error::NoPlatform { .. }), "{error}");
    }
}

#[test]
fn a_tag_moves_and_an_image_has_several() {
    let registry = Registry::start();
    let world = World::new();
    let (old, new) = (small("old"), small("new"));
    let reference = registry.push(&old, "moving", "latest");
    let second = registry.push(&old, "moving", "second");
    world.pull(&reference).unwrap();
    world.pull(&second).unwrap();
    assert_eq!(world.store.status(&old.id()).unwrap().tags, [reference.clone(), second.clone()]);
    registry.push(&new, "moving", "latest");
    world.pull(&reference).unwrap();
    assert_eq!(world.store.status(&reference).unwrap().id.to_string(), new.id());
    assert_eq!(world.store.status(&old.id()).unwrap().tags, [second.as_str()]);
    world.runtime.block_on(world.store.remove(&second)).unwrap();
    assert!(world.store.status(&old.id()).is_none());
    // Removing twice is no error, and the other image is untouched.
    world.runtime.block_on(world.store.remove(&second)).unwrap();
    assert!(world.layer(&new.layers[0].diff_id).join("etc/text").exists());
    assert!(!world.layer(&old.layers[0].diff_id).exists());
    world.runtime.block_on(world.store.remove(&new.id())).unwrap();
    world.assert_empty();
}

#[test]
fn unknown_names_and_closed_ports_are_told_apart() {
    let registry = Registry::start();
    let world = World::new();
    registry.push(&small("x"), "there", "v1");
    for missing in ["there:v2", "nowhere:v1"] {
        let error = world.pull(&format!("{}/{missing}", registry.host())).unwrap_err();
        assert!(matches!(error, Error::UnknownImage { .. }), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
    let closed = registry.host();
    drop(registry);
    let error = world.pull(&format!("{closed}/there:v1")).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(matches!(world.pull("UPPER").unwrap_err(), Error::BadReference { .. }));
    world.assert_empty();
}

#[test]
fn many_pulls_of_one_image_are_one() {
    let registry = Registry::start();
    let world = World::new();
    let layers = (0..6).map(|at| {
        let tar = Tar::new().file(&format!("f{at}"), 0o644, &noise(2_000_000, at));
        Layer::new(tar, Compression::Gzip)
    });
    let image = Image::new(layers.collect(), &json!({}));
    let tags: Vec<String> = (0..3).map(|tag| registry.push(&image, "shared", &format!("t{tag}"))).collect();
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    world.runtime.block_on(async {
        let mut waiting = Vec::new();
        for at in 0..12 {
            let (store, tag, seen) = (world.store.clone(), tags[at % 3].clone(), Arc::clone(&seen));
            waiting.push(tokio::spawn(async move {
                let report = Arc::new(move |progress| seen.lock().unwrap().push(progress));
                store.pull(&tag, &Auth::Anonymous, Some(report)).await
            }));
        }
        // Some stop waiting: the others still get their image.
        for task in waiting.iter().take(4) {
            task.abort();
        }
        for task in waiting.into_iter().skip(4) {
            assert_eq!(task.await.unwrap().unwrap().id.to_string(), image.id());
        }
    });
    assert_eq!(world.store.status(&tags[0]).unwrap().tags, tags);
    let seen = seen.lock().unwrap();
    let last = seen.iter().max_by_key(|progress| progress.layers_done).unwrap();
    assert_eq!((last.layers, last.layers_done), (6, 6));
    assert!(seen.iter().all(|progress| progress.bytes_done <= progress.bytes));
    let left = std::fs::read_dir(world.root().join("ingest")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn files_are_as_the_layer_says() {
    let registry = Registry::start();
    let world = World::new();
    let capability = b"\x01\x00\x00\x02\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let long = format!("{}/file", "long-name-".repeat(20));
    let tar = busybox()
        .entry(&Header { name: "su", mode: 0o4755, owner: (0, 7), size: 3, ..Header::default() }, b"abc")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("mtime", b"1600000000.25")])
        .entry(&Header { name: "ping", mode: 0o755, owner: (5, 6), ..Header::default() }, &[])
        .pax(&[("path", long.as_bytes()), ("uid", b"3000000000")])
        .file("short", 0o600, b"long")
        .symlink("absolute", "/etc/passwd")
        .symlink("outside", "../../../../etc/passwd")
        .entry(&Header { name: "pipe", kind: b'6', ..Header::default() }, &[])
        .entry(&Header { name: "null", kind: b'3', mode: 0o666, device: (1, 3), ..Header::default() }, &[])
        .file("twice", 0o644, b"first")
        .file("twice", 0o640, b"second");
    let image = Image::new(vec![Layer::new(tar, Compression::Gzip)], &json!({}));
    world.pull(&registry.push(&image, "files", "v1")).unwrap();
    let root = world.layer(&image.layers[0].diff_id);
    let su = std::fs::symlink_metadata(root.join("su")).unwrap();
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 0, 7, 1_700_000_000));
    let ping = std::fs::symlink_metadata(root.join("ping")).unwrap();
    assert_eq!((ping.uid(), ping.mtime(), ping.mtime_nsec()), (5, 1_600_000_000, 250_000_000));
    let mut value = [0; 64];
    let got = rustix::fs::lgetxattr(root.join("ping"), "security.capability", &mut value[..]).unwrap();
    assert_eq!(&value[..got], capability);
    let named = std::fs::symlink_metadata(root.join(&long)).unwrap();
    assert_eq!((named.uid(), named.size()), (3_000_000_000, 4));
    assert_eq!(std::fs::read_link(root.join("absolute")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(std::fs::read_link(root.join("outside")).unwrap().to_str(), Some("../../../../etc/passwd"));
    assert!(std::fs::symlink_metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(std::fs::symlink_metadata(root.join("null")).unwrap().rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(std::fs::read(root.join("twice")).unwrap(), b"second");
    let links = std::fs::metadata(root.join("bin/busybox")).unwrap();
    assert_eq!(links.ino(), std::fs::metadata(root.join("bin/ls")).unwrap().ino());
    assert_eq!(std::fs::metadata(root.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(std::fs::metadata(root.join("bin")).unwrap().mtime(), 1_700_000_000);
}
