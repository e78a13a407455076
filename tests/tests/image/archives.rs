//! Archives: every form, and what Debian's tar makes compared with what it unpacks.

use std::path::Path;
use std::process::Command;

use husk_image::Error;
use husk_tests::image::{Compression, Image, Layer, Tar, digest};
use husk_tests::run;
use serde_json::json;

use crate::world::{World, small};

fn tar_of(dir: &Path, options: &str) -> std::path::PathBuf {
    let file = dir.with_extension("tar");
    run(Command::new("tar").arg(options).arg(&file).arg("-C").arg(dir).arg(".")).ok();
    file
}

#[test]
fn oci_layouts_and_archives() {
    let world = World::new();
    let image = small("archive");
    let temp = husk_tests::temp_dir();
    let dir = temp.path().join("layout");
    image.write_layout(&dir, Some("registry.example/a/b:v1"));
    for (at, options) in ["-cf", "-czf"].into_iter().enumerate() {
        let file = tar_of(&dir, options);
        let loaded = world.runtime.block_on(world.store.load_archive(&file)).unwrap();
        assert_eq!((loaded.len(), loaded[0].id.to_string()), (1, image.id()), "{at}");
        assert_eq!(loaded[0].digest.as_ref().unwrap().to_string(), image.digest());
        let found = world.store.status("registry.example/a/b:v1").unwrap();
        assert_eq!(found.digests, [format!("registry.example/a/b@{}", image.digest())]);
        world.runtime.block_on(world.store.remove(&image.id())).unwrap();
    }
    let blob = dir.join("blobs/sha256").join(&digest(&image.layers[0].blob)["sha256:".len()..]);
    std::fs::remove_file(blob).unwrap();
    let error = world.runtime.block_on(world.store.load_archive(&dir)).unwrap_err();
    assert!(matches!(error, Error::BadArchive { .. }) && error.to_string().contains("is missing"), "{error}");
    let error = world.runtime.block_on(world.store.load_archive(temp.path())).unwrap_err();
    assert!(matches!(error, Error::BadArchive { .. }), "{error}");
    assert!(world.runtime.block_on(world.store.load_archive(Path::new("/none"))).is_err());
    world.assert_empty();
}

#[test]
fn docker_archives() {
    let world = World::new();
    let temp = husk_tests::temp_dir();
    let dir = temp.path().join("docker");
    let (first, second) = (
        Layer::new(Tar::new().file("a", 0o644, b"a"), Compression::Plain),
        Layer::new(Tar::new().file("b", 0o644, b"b"), Compression::Gzip),
    );
    let image = Image::new(vec![first.clone(), second.clone(), first.clone()], &json!({ "Cmd": ["x"] }));
    std::fs::create_dir_all(dir.join("one")).unwrap();
    std::fs::create_dir_all(dir.join("three")).unwrap();
    std::fs::write(dir.join("one/layer.tar"), &first.blob).unwrap();
    std::fs::write(dir.join("two.tar"), &second.blob).unwrap();
    std::os::unix::fs::symlink("../one/layer.tar", dir.join("three/layer.tar")).unwrap();
    std::fs::write(dir.join("config.json"), &image.config).unwrap();
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["busybox:1", "registry.example/x:2"],
        "Layers": ["one/layer.tar", "two.tar", "three/layer.tar"],
    }]);
    std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    let file = tar_of(&dir, "-cf");
    let loaded = world.runtime.block_on(world.store.load_archive(&file)).unwrap();
    assert_eq!((loaded[0].id.to_string(), &loaded[0].digest), (image.id(), &None));
    let found = world.store.status("busybox:1").unwrap();
    assert_eq!(found.tags, ["docker.io/library/busybox:1", "registry.example/x:2"]);
    // A name in manifest.json that leads elsewhere.
    let manifest = json!([{ "Config": "../../../../etc/passwd", "Layers": [] }]);
    std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    for path in [dir.clone(), tar_of(&dir, "-cf")] {
        let error = world.runtime.block_on(world.store.load_archive(&path)).unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
    }
}

/// Name, type, mode, owner, times, size, links and targets of everything, and the content.
fn listing(dir: &Path) -> String {
    let format = r"%P %y %m %U %G %T@ %s %n %l\n";
    let find = run(Command::new("find").arg(dir).args([
        "-mindepth",
        "1",
        "-type",
        "d",
        "-printf",
        r"%P %y %m %U %G %T@\n",
    ]))
    .ok();
    let files = run(Command::new("find").arg(dir).args(["!", "-type", "d", "-printf", format])).ok();
    let sums =
        run(Command::new("sh").arg("-c").arg("cd \"$0\" && find . -type f -exec sha256sum {} +").arg(dir))
            .ok();
    let mut lines: Vec<&str> =
        find.stdout.lines().chain(files.stdout.lines()).chain(sums.stdout.lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn what_tar_makes_is_unpacked_as_tar_does() {
    let world = World::new();
    let temp = husk_tests::temp_dir();
    let dir = temp.path().join("tree");
    let script = r#"
        mkdir -p "$0/sub/deep" && cd "$0" || exit 1
        echo hello > file; chmod 4711 file; chown 12:34 file
        ln file hard; ln -s file soft; ln -s /nowhere/at/all broken; mkfifo fifo
        head -c 3000000 /dev/urandom > sub/random
        truncate -s 20M sparse; printf mid | dd of=sparse bs=1 seek=9000000 conv=notrunc 2>/dev/null
        printf end | dd of=sparse bs=1 seek=20971000 conv=notrunc 2>/dev/null
        truncate -s 5M holes
        n=$(printf 'n%.0s' $(seq 200)); mkdir -p "$n/$n"; echo long > "$n/$n/$n"; ln -s "$n/$n/$n" long-link
        printf 'x' > 'weird name \ é'; touch -d 1965-01-01 ancient; touch -d '2040-01-01 00:00:00.123456789' future
        chmod 1777 sub; chmod 2750 sub/deep; chown 100000:200000 sub/deep
        touch -d 2001-02-03 sub/deep sub .
    "#;
    run(Command::new("sh").arg("-c").arg(script).arg(&dir)).ok();
    for (format, more) in [
        ("gnu", "-S"),
        ("pax", "-S"),
        ("pax", "--sparse-version=0.1"),
        ("pax", "--sparse-version=0.0"),
        ("pax", "--hard-dereference"),
        ("gnu", "--"),
    ] {
        let file = temp.path().join("layer.tar");
        let mut tar = Command::new("tar");
        tar.args(["--format", format, "-S"]).arg("-cf").arg(&file).arg("-C").arg(&dir);
        if more != "--" {
            tar.arg(more);
        }
        run(tar.arg(".")).ok();
        let expected = temp.path().join("expected");
        std::fs::create_dir(&expected).unwrap();
        run(Command::new("tar").arg("-xpf").arg(&file).arg("--same-owner").arg("-C").arg(&expected)).ok();
        let layer = Layer::from_bytes(&std::fs::read(&file).unwrap(), Compression::Zstd);
        let image = Image::new(vec![layer], &json!({}));
        world.load(&image).unwrap();
        let got = world.layer(&image.layers[0].diff_id);
        let (expected_list, got_list) = (listing(&expected), listing(&got));
        // tar keeps whole seconds only in its own format; both readers agree on that.
        for (left, right) in expected_list.lines().zip(got_list.lines()) {
            assert_eq!(left, right, "{format} {more}");
        }
        assert_eq!(expected_list.lines().count(), got_list.lines().count());
        use std::os::unix::fs::MetadataExt;
        assert!(std::fs::metadata(got.join("sparse")).unwrap().blocks() < 1000, "holes stay holes");
        std::fs::remove_dir_all(&expected).unwrap();
        world.runtime.block_on(world.store.remove(&image.id())).unwrap();
    }
}
