//! `process.apparmorProfile` and `exec --apparmor`, with profiles of the test's own.

use husk_tests::{Bundle, Runtime, run, skip, temp_dir, unique};
use serde_json::json;
use std::{path::Path, process::Command};

/// A loaded profile that lets everything be done but reading /secret; it goes away with the value.
struct Profile {
    name: String,
    dir: tempfile::TempDir,
}

impl Profile {
    /// None, and the test skipped, where the kernel has no AppArmor.
    fn load() -> Option<Self> {
        let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        if !enabled.is_ok_and(|text| text.starts_with('Y')) {
            skip("AppArmor is not on in this kernel");
            return None;
        }
        let profile = Self { name: unique("profile"), dir: temp_dir() };
        let text = format!(
            "profile {} flags=(attach_disconnected,mediate_deleted) {{
                file, capability, network, mount, umount, pivot_root, signal, ptrace, unix,
                deny /secret r,
            }}\n",
            profile.name
        );
        std::fs::write(profile.file(), text).unwrap();
        profile.parser("--replace");
        Some(profile)
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("profile")
    }

    fn parser(&self, action: &str) {
        let flags = [action, "--skip-cache", "--quiet"];
        run(Command::new("/sbin/apparmor_parser").args(flags).arg(self.file())).ok();
    }

    fn enforced(&self) -> String {
        format!("{} (enforce)", self.name)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        if Path::new("/sys/kernel/security/apparmor").exists() {
            self.parser("--remove");
        }
    }
}

const LOOK: &str = "cat /proc/self/attr/current; cat /secret || echo denied";

fn bundle(script: &str) -> Bundle {
    let bundle = Bundle::script(script);
    std::fs::write(bundle.rootfs().join("secret"), "secret\n").unwrap();
    bundle
}

#[test]
fn the_program_is_confined() {
    let runtime = Runtime::new();
    let Some(profile) = Profile::load() else { return };
    for no_new_privileges in [true, false] {
        let mut bundle = bundle(LOOK);
        bundle.set("/process/noNewPrivileges", no_new_privileges);
        assert_eq!(runtime.run(&bundle).ok().text(), "unconfined\nsecret");
        bundle.set("/process/apparmorProfile", profile.name.as_str());
        let done = runtime.run(&bundle).ok();
        assert_eq!(done.text(), format!("{}\ndenied", profile.enforced()), "{done:?}");
        assert!(done.stderr.contains("Permission denied"), "{done:?}");
    }
}

#[test]
fn in_a_user_namespace_and_for_an_ordinary_user() {
    let runtime = Runtime::new();
    let Some(profile) = Profile::load() else { return };
    let mut bundle = bundle(LOOK);
    bundle.set("/process/apparmorProfile", profile.name.as_str());
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(runtime.run(&bundle).ok().text(), format!("{}\ndenied", profile.enforced()));
    bundle.push("/linux/namespaces", json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        bundle.set(&format!("/linux/{map}"), json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]));
    }
    std::os::unix::fs::chown(bundle.rootfs(), Some(200_000), Some(200_000)).unwrap();
    assert_eq!(runtime.run(&bundle).ok().text(), format!("{}\ndenied", profile.enforced()));
}

#[test]
fn an_exec_has_the_containers_profile_or_one_of_its_own() {
    let runtime = Runtime::new();
    let (Some(profile), Some(other)) = (Profile::load(), Profile::load()) else { return };
    let mut bundle = bundle("exec sleep 100000");
    bundle.set("/process/apparmorProfile", profile.name.as_str());
    let container = runtime.start(&bundle);
    let attribute = std::fs::read_to_string(format!("/proc/{}/attr/current", container.pid())).unwrap();
    assert_eq!(attribute.trim(), profile.enforced());
    assert_eq!(container.sh(LOOK).ok().text(), format!("{}\ndenied", profile.enforced()));
    let done = container.call_with("exec", &["--apparmor", &other.name], &["sh", "-c", LOOK]).ok();
    assert_eq!(done.text(), format!("{}\ndenied", other.enforced()));
}

#[test]
fn a_profile_that_is_not_loaded_is_named() {
    let runtime = Runtime::husk();
    if Profile::load().is_none() {
        return;
    }
    let mut spec = bundle("true");
    spec.set("/process/apparmorProfile", "husk-test-none");
    let done = runtime.run(&spec).expect_code(1);
    assert!(done.stderr.contains("process.apparmorProfile \"husk-test-none\""), "{done:?}");
    // Kept: a bundle that goes away takes the root filesystem from under the container.
    let bundle = bundle("exec sleep 100000");
    let container = runtime.start(&bundle);
    let done = container.call_with("exec", &["--apparmor", "husk-test-none"], &["true"]);
    assert!(done.code != 0 && done.stderr.contains("husk-test-none"), "{done:?}");
}

#[test]
fn without_apparmor_a_profile_is_refused() {
    if Path::new("/sys/module/apparmor/parameters/enabled").exists() {
        // The tests above are the ones for such a kernel.
        return;
    }
    let mut spec = bundle("true");
    spec.set("/process/apparmorProfile", "any");
    let done = Runtime::husk().run(&spec).expect_code(1);
    assert!(done.stderr.contains("process.apparmorProfile \"any\"; is AppArmor on"), "{done:?}");
}
