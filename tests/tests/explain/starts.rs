//! Programs that could not be started.

use crate::{explain, run_and_explain, verdict};
use husk_tests::{Bundle, Runtime};
use std::os::unix::fs::PermissionsExt;

/// A 64-bit program for `machine` that names `loader`, and does nothing.
fn elf(machine: u16, loader: &str) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16] = 2;
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[20] = 1;
    file[32] = 64;
    file[52] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = 3;
    file[72] = 120;
    file[96] = loader.len() as u8 + 1;
    file.extend(loader.as_bytes());
    file.push(0);
    file
}

fn bundle_with(name: &str, content: &[u8], mode: u32) -> Bundle {
    let bundle = Bundle::new(&[&format!("/bin/{name}")]);
    let path = bundle.rootfs().join("bin").join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    bundle
}

#[test]
fn each_failure_has_its_sentence_and_code() {
    let runtime = Runtime::husk();
    let (native, foreign) = if cfg!(target_arch = "x86_64") { (62, 183) } else { (183, 62) };
    let loader = elf(native, "/lib64/ld-husk.so.9");
    let other = elf(foreign, "/lib/ld.so");
    for (content, mode, code, words) in [
        (&loader[..], 0o755, 127, "needs the loader /lib64/ld-husk.so.9, which does not exist"),
        (&other[..], 0o755, 126, "is built for "),
        (b"#!/bin/sh\r\necho\r\n", 0o755, 127, "ends in CR LF"),
        (b"#!/opt/perl -w\n", 0o755, 127, "names /opt/perl, which does not exist"),
        (b"x", 0o644, 126, "has no execute permission"),
        (b"", 0o755, 126, "is empty"),
        (b"echo\n", 0o755, 126, "has no #! line"),
    ] {
        let (husk, explained) = run_and_explain(&runtime, &bundle_with("prog", content, mode));
        assert_eq!(husk, code, "{explained:#}");
        verdict(&explained, "ContainerCannotRun", code.into(), words);
        assert!(explained["advice"][0].as_str().is_some(), "{explained:#}");
    }
}

#[test]
fn missing_programs_and_directories() {
    let runtime = Runtime::husk();
    let (husk, explained) = run_and_explain(&runtime, &Bundle::new(&["nope"]));
    assert_eq!(husk, 127);
    verdict(&explained, "ContainerCannotRun", 127, "there is no nope in any directory of PATH");
    let (husk, explained) = run_and_explain(&runtime, &Bundle::new(&["/etc"]));
    assert_eq!(husk, 126);
    verdict(&explained, "ContainerCannotRun", 126, "/etc is a directory");
    let mut bundle = Bundle::new(&["true"]);
    bundle.set("/process/cwd", "/none");
    let (husk, explained) = run_and_explain(&runtime, &bundle);
    assert_eq!(husk, 126);
    verdict(&explained, "ContainerCannotRun", 126, "the working directory /none does not exist");
}

#[test]
fn a_program_on_a_noexec_mount() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["/mnt/prog"]);
    let outside = husk_tests::temp_dir();
    let program = outside.path().join("prog");
    std::fs::copy("/bin/busybox", &program).unwrap();
    bundle.mount("/mnt", "bind", outside.path().to_str().unwrap(), &["bind", "noexec"]);
    let (husk, explained) = run_and_explain(&runtime, &bundle);
    assert_eq!(husk, 126);
    verdict(&explained, "ContainerCannotRun", 126, "lies on a mount with the option noexec (/mnt)");
}

#[test]
fn start_tells_what_create_could_not_know() {
    // The program goes between create and start.
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["/bin/true"]);
    let container = runtime.create(&bundle);
    std::fs::remove_file(bundle.rootfs().join("bin/true")).unwrap();
    let done = container.call("start", &[]).expect_code(127);
    assert!(done.stderr.contains("/bin/true does not exist"), "{}", done.stderr);
    verdict(&explain(&container), "ContainerCannotRun", 127, "/bin/true does not exist in the container");
}
