//! Layers that try to get out, or to be too much (CVE-2021-32760, CVE-2025-47290). Each is one clear error; nothing is
//! written elsewhere, nothing stays.

use husk_image::{Config, Error};
use husk_tests::image::{Compression, Header, Image, Layer, Tar};
use serde_json::json;

use crate::world::{World, config};

#[track_caller]
fn refused(world: &World, layer: Layer, says: &str) {
    let error = world.load(&Image::new(vec![layer], &json!({}))).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::BadLayer { .. }), "{text}");
    assert!(text.contains(says), "{text}");
    assert!(!text.contains('\n'), "one line: {text}");
    world.assert_empty();
}

#[track_caller]
fn refused_tar(world: &World, tar: Tar, says: &str) {
    refused(world, Layer::new(tar, Compression::Gzip), says);
}

#[test]
fn cve_2021_32760_cve_2025_47290_ways_out_are_refused() {
    let world = World::new();
    // What an attack would hit; it has to be the same afterwards.
    let victim = world.dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("file"), "untouched").unwrap();
    let victim_path = victim.to_str().unwrap();
    let absolute = format!("{victim_path}/file");
    let up = format!("{}{absolute}", "../".repeat(8).trim_end_matches('/'));
    let new = Tar::new;
    let link = |name: &str| new().symlink(name, victim_path);

    refused_tar(&world, new().file("../escaped", 0o644, b"x"), "leads out of the layer");
    refused_tar(&world, new().file("a/../../escaped", 0o644, b"x"), "leads out of the layer");
    refused_tar(&world, new().file(&absolute, 0o644, b"x"), "leads out of the layer");
    refused_tar(
        &world,
        new().pax(&[("path", up.as_bytes())]).file("x", 0o644, b"x"),
        "leads out of the layer",
    );
    refused_tar(&world, new().hard_link("x", &absolute), "leads out of the layer");
    refused_tar(&world, new().hard_link("x", "../victim/file"), "leads out of the layer");
    refused_tar(&world, new().dir("..", 0o777), "leads out of the layer");
    refused_tar(&world, link("a").file("a/file", 0o644, b"x"), "symlinked parent");
    refused_tar(&world, link("a").dir("a/b/", 0o777), "symlinked parent");
    refused_tar(&world, link("a").symlink("a/b", "x"), "symlinked parent");
    refused_tar(&world, link("a").file("a/.wh.file", 0, b""), "symlinked parent");
    refused_tar(&world, link("a").file("a/.wh..wh..opq", 0, b""), "symlinked parent");
    refused_tar(&world, link("a").hard_link("b", "a/file"), "not in the same layer");
    refused_tar(
        &world,
        new().symlink("a", "b").symlink("b", victim_path).file("a/file", 0o644, b"x"),
        "symlinked",
    );
    refused_tar(&world, new().file("a", 0o644, b"").file("a/file", 0o644, b"x"), "used as a directory");
    // A symlink in the place of a file is replaced, never followed.
    let replaced = link("a").file("a", 0o600, b"mine");
    world.load(&Image::new(vec![Layer::new(replaced, Compression::Gzip)], &json!({}))).unwrap();

    assert_eq!(std::fs::read_to_string(victim.join("file")).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
    assert!(!world.root().join("ingest/escaped").exists());
}

#[test]
fn devices_and_strange_entries_are_refused() {
    let world = World::new();
    let node = |kind, device| {
        Tar::new().entry(&Header { name: "node", kind, device, mode: 0o666, ..Header::default() }, &[])
    };
    refused_tar(&world, node(b'4', (8, 0)), "device");
    refused_tar(&world, node(b'3', (1, 1)), "device");
    refused_tar(&world, node(b'3', (0, 0)), "device");
    refused_tar(&world, node(b'Z', (0, 0)), "unknown type");
    refused_tar(&world, Tar::new().hard_link("x", "none"), "not in the same layer");
    refused_tar(&world, Tar::new().dir("d", 0o755).hard_link("x", "d"), "hard link to a directory");
    refused_tar(&world, Tar::new().symlink("x", ""), "without a target");
    refused_tar(&world, Tar::new().file(".wh.", 0, b""), "whiteout of no name");
    refused_tar(&world, Tar::new().file(".", 0, b""), "no directory");
    refused_tar(&world, Tar::new().pax(&[("uid", b"4294967295")]).file("x", 0o644, b""), "bad uid");
    refused_tar(&world, Tar::new().pax(&[("size", b"-5")]).file("x", 0o644, b""), "PAX");
    refused_tar(&world, Tar::new().pax(&[("path", b"a\0b")]).file("x", 0o644, b""), "PAX");
    let huge = Header { name: "L", kind: b'L', size: 1 << 33, ..Header::default() };
    let huge = Header { size: (1 << 33) - 1, ..huge };
    refused_tar(&world, Tar::new().entry(&huge, b""), "longer than");
    let deep = "d/".repeat(1500);
    refused_tar(&world, Tar::new().pax(&[("path", deep.as_bytes())]).dir("x", 0o755), "deeper than");
}

#[test]
fn damaged_streams_are_refused() {
    let world = World::new();
    let tar = Tar::new().file("x", 0o644, &[7; 100_000]).finish();
    let whole = Layer::from_bytes(&tar, Compression::Gzip);
    let cut = Layer { blob: whole.blob[..whole.blob.len() / 2].to_vec(), ..whole.clone() };
    refused(&world, cut, "gzip stream is damaged");
    let mut flipped = whole.clone();
    let middle = flipped.blob.len() / 2;
    flipped.blob[middle] ^= 0xff;
    refused(&world, flipped, "damaged");
    let zstd = Layer::from_bytes(&tar, Compression::Zstd);
    let cut = Layer { blob: zstd.blob[..zstd.blob.len() - 5].to_vec(), ..zstd };
    refused(&world, cut, "zstd stream is damaged");
    refused(&world, Layer::from_bytes(&tar[..50_000], Compression::Gzip), "ends within");
    let mut bad_sum = tar.clone();
    bad_sum[0] ^= 1;
    refused(&world, Layer::from_bytes(&bad_sum, Compression::Gzip), "checksum");
    refused(&world, Layer::from_bytes(b"no tar at all", Compression::Plain), "ends within a header");
    // The right stream under another diff id.
    let mut wrong = whole;
    wrong.diff_id = husk_tests::image::digest(b"other");
    let error = world.load(&Image::new(vec![wrong], &json!({}))).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    world.assert_empty();
}

#[test]
fn bombs_are_stopped() {
    let world = World::with(Config { max_layer_bytes: 1 << 20, max_layer_entries: 100, ..config() });
    refused_tar(&world, Tar::new().file("zeros", 0o644, &vec![0; 8 << 20]), "more than 1048576 bytes");
    let claims = Header { name: "claims", size: 1 << 32, ..Header::default() };
    refused_tar(&world, Tar::new().entry(&claims, b""), "more than 1048576 bytes");
    let many = (0..101).fold(Tar::new(), |tar, at| tar.file(&format!("f{at}"), 0o644, b""));
    refused_tar(&world, many, "more than 100 entries");
}

#[test]
fn attributes_that_steer_overlayfs_are_not_taken_over() {
    let world = World::new();
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"label"),
        ])
        .dir("d", 0o755);
    let image = Image::new(vec![Layer::new(tar, Compression::Gzip)], &json!({}));
    world.load(&image).unwrap();
    let mut names = [0; 256];
    let got =
        rustix::fs::llistxattr(world.layer(&image.layers[0].diff_id).join("d"), &mut names[..]).unwrap();
    let names = String::from_utf8_lossy(&names[..got]).into_owned();
    assert!(!names.contains("overlay") && !names.contains("selinux"), "{names}");
}
