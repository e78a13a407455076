//! `husk features`: shows what this runtime can do, as JSON (OCI runtime specification, features.md).

use crate::cli::Global;
use crate::plan::{caps, namespaces};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::ExitCode;

/// Arguments of `husk features`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Mount options that husk, or the kernel for every file system, gives a meaning; others are passed on to the file system.
const MOUNT_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// Shows the features. What is not implemented says false, so that nobody relies on it.
pub fn run(global: &Global, _args: &Args) -> anyhow::Result<ExitCode> {
    let checkpoint = crate::checkpoint::works(global);
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&features(checkpoint))?)?;
    Ok(ExitCode::SUCCESS)
}

fn features(checkpoint: bool) -> Value {
    let capabilities: Vec<String> = (0..64).map_while(caps::name).collect();
    let namespaces: Vec<&str> = namespaces::Kind::ALL.iter().map(|kind| kind.word()).collect();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": {"v1": false, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
            "seccomp": seccomp(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false, "schemata": false, "monitoring": false},
            "memoryPolicy": {
                "modes": ["MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                    "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"],
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]
            },
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true}
        },
        "annotations": {
            "io.husk.version": env!("CARGO_PKG_VERSION"),
            // The name under which engines look for it; annotations are texts.
            "org.opencontainers.runc.checkpoint.enabled": checkpoint.to_string()
        },
        "potentiallyUnsafeConfigAnnotations": [husk_cgroup::systemd::PROPERTY_PREFIX]
    })
}

fn seccomp() -> Value {
    let flags = [
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];
    // The tables of system calls that husk has; a kernel runs programs of its own family alone.
    let archs: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => &[],
    };
    json!({
        "enabled": !archs.is_empty(),
        "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
            "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"],
        "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
            "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
        "archs": archs,
        "knownFlags": flags,
        "supportedFlags": flags
    })
}

#[cfg(test)]
mod tests {
    use super::{MOUNT_OPTIONS, features};
    use crate::plan;
    use serde_json::json;

    #[test]
    fn it_has_the_shape_of_the_specification() {
        let features = features(true);
        let parsed: oci_spec::runtime::Features = serde_json::from_value(features.clone()).unwrap();
        assert!(parsed.linux().is_some());
        assert_eq!(features["linux"]["namespaces"].as_array().unwrap().len(), 8);
        assert_eq!(features["linux"]["capabilities"].as_array().unwrap().len(), 41);
        assert!(features["linux"]["capabilities"][0].as_str().unwrap().starts_with("CAP_"));
    }

    /// An option that husk does not know is left for the file system; fsconfig(2) takes these four for any.
    #[test]
    fn mount_options_are_known() {
        for option in MOUNT_OPTIONS {
            let mount = match *option {
                "idmap" | "ridmap" | "dirsync" | "lazytime" | "mand" | "sync" => continue,
                "bind" | "rbind" => json!({"destination": "/x", "source": "/y", "options": [option]}),
                _ => json!({"destination": "/x", "type": "tmpfs", "options": [option]}),
            };
            let plan = plan::testing::plan_with(|spec| spec["mounts"] = json!([mount])).unwrap();
            if let plan::mounts::Source::Filesystem { options, .. } = &plan.mounts[0].source {
                assert!(options.is_empty(), "{option}: {options:?}");
            }
        }
    }
}
