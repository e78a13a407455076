//! The whole config.json.

use std::collections::BTreeMap;
use std::path::PathBuf;

use husk_cri_api::security_profile::ProfileType;
use husk_cri_api::{KeyValue, LinuxContainerConfig, Mount, NamespaceMode, NamespaceOption, SecurityProfile};
use oci_spec::runtime::Spec;

use super::*;
use crate::error::Error;

struct Case {
    daemon: Config,
    config: ContainerConfig,
    sandbox: PodSandboxConfig,
    image: ImageConfig,
    missing: Missing,
}

impl Default for Case {
    fn default() -> Self {
        let image = ImageConfig {
            env: vec!["PATH=/bin".into(), "A=1".into(), "broken".into()],
            entrypoint: vec!["/entry".into()],
            cmd: vec!["x".into()],
            ..ImageConfig::default()
        };
        Self {
            daemon: Config::default(),
            config: ContainerConfig::default(),
            sandbox: PodSandboxConfig::default(),
            image,
            missing: Missing::default(),
        }
    }
}

impl Case {
    fn with(change: impl FnOnce(&mut ContainerConfig, &mut LinuxContainerSecurityContext)) -> Self {
        let mut case = Self::default();
        let mut context = LinuxContainerSecurityContext::default();
        change(&mut case.config, &mut context);
        case.config.linux = Some(LinuxContainerConfig { security_context: Some(context), resources: None });
        case
    }

    fn build(&self) -> Result<Value> {
        let names = ["net", "ipc", "uts"].map(|name| (name.to_owned(), PathBuf::from(format!("/ns/{name}"))));
        let options = security(&self.config)
            .namespace_options
            .unwrap_or(NamespaceOption { pid: NamespaceMode::Container as i32, ..Default::default() });
        let namespaces =
            Namespaces::plan(&options, &BTreeMap::from(names), None, security(&self.config).privileged);
        let built = build(&Input {
            daemon: &self.daemon,
            config: &self.config,
            sandbox: &self.sandbox,
            image: &self.image,
            user: &User { uid: 7, gid: 8, groups: vec![8, 9] },
            namespaces: &namespaces,
            cgroup: "/husk/pod-x/y",
            rootfs: Path::new("/b/rootfs"),
            files: Path::new("/files"),
            shm: Some(Path::new("/pod/shm")),
            hostname: "host1",
            image_volumes: &[],
            missing: &self.missing,
        })?;
        // It is what the OCI's own types read.
        let _: Spec = serde_json::from_value(built.clone()).unwrap();
        Ok(built)
    }

    fn error(&self) -> String {
        self.build().unwrap_err().to_string()
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

fn mount<'a>(spec: &'a Value, destination: &str) -> Option<&'a Value> {
    spec["mounts"].as_array().unwrap().iter().find(|mount| mount["destination"] == destination)
}

#[test]
fn a_plain_container() {
    let spec = Case::default().build().unwrap();
    assert_eq!(strings(&spec["process"]["args"]), ["/entry", "x"]);
    assert_eq!(strings(&spec["process"]["env"]), ["PATH=/bin", "HOSTNAME=host1", "A=1"]);
    assert_eq!(spec["process"]["cwd"], "/");
    assert_eq!(spec["process"]["user"], json!({"uid": 7, "gid": 8, "additionalGids": [8, 9]}));
    assert_eq!(spec["linux"]["cgroupsPath"], "/husk/pod-x/y");
    assert!(strings(&spec["linux"]["maskedPaths"]).contains(&"/proc/kcore"));
    assert_eq!(spec["linux"].get("seccomp"), None);
    let namespaces = spec["linux"]["namespaces"].to_string();
    for part in [
        r#""path":"/ns/net","type":"network""#,
        r#"{"type":"pid"}"#,
        r#"{"type":"mount"}"#,
        r#"{"type":"cgroup"}"#,
    ] {
        assert!(namespaces.contains(part), "{namespaces}");
    }
    assert_eq!(mount(&spec, "/dev/shm").unwrap()["source"], "/pod/shm");
    assert_eq!(mount(&spec, "/etc/hosts").unwrap()["source"], "/files/hosts");
    assert!(strings(&mount(&spec, "/sys").unwrap()["options"]).contains(&"ro"));
}

#[test]
fn command_and_arguments_stand_for_the_image_s() {
    let args = |command: &[&str], args: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let case = Case::with(|config, _| {
            config.command = own(command);
            config.args = own(args);
        });
        strings(&case.build().unwrap()["process"]["args"]).join(" ")
    };
    assert_eq!(args(&[], &["y"]), "/entry y");
    assert_eq!(args(&["/own"], &[]), "/own");
    assert_eq!(args(&["/own"], &["y"]), "/own y");
    let none = Case { image: ImageConfig::default(), ..Default::default() };
    assert!(none.error().contains("config.command"));
}

#[test]
fn the_environment_is_the_image_s_changed_by_the_container_s() {
    let pair = |key: &str, value: &[u8]| KeyValue { key: key.into(), value: value.into() };
    let case = Case::with(|config, _| config.envs = vec![pair("A", b"2=3"), pair("B", "ü".as_bytes())]);
    let spec = case.build().unwrap();
    assert_eq!(strings(&spec["process"]["env"]), ["PATH=/bin", "HOSTNAME=host1", "A=2=3", "B=ü"]);
    for (key, value) in [("", &b""[..]), ("A=B", b""), ("A", b"\0"), ("A", b"\xff")] {
        let case = Case::with(|config, _| config.envs = vec![pair(key, value)]);
        assert!(case.error().starts_with("config.envs[0]."), "{}", case.error());
    }
}

#[test]
fn a_privileged_container_has_no_walls() {
    let case = Case::with(|_, context| {
        context.privileged = true;
        context.seccomp =
            Some(SecurityProfile { profile_type: ProfileType::RuntimeDefault as i32, ..Default::default() });
    });
    let spec = case.build().unwrap();
    for key in ["maskedPaths", "readonlyPaths", "seccomp"] {
        assert_eq!(spec["linux"].get(key), None, "{key}");
    }
    assert!(strings(&mount(&spec, "/sys/fs/cgroup").unwrap()["options"]).contains(&"rw"));
    assert_eq!(spec["linux"]["resources"]["devices"][0], json!({"allow": true, "access": "rwm"}));
    assert!(spec["linux"]["devices"].as_array().unwrap().iter().any(|device| device["path"] == "/dev/null"));
}

#[test]
fn the_default_seccomp_profile_is_given_where_it_is_asked_for() {
    let kind = |kind: ProfileType, path: &str| {
        Case::with(|_, context| {
            context.seccomp = Some(SecurityProfile { profile_type: kind as i32, localhost_ref: path.into() });
        })
    };
    let spec = kind(ProfileType::RuntimeDefault, "").build().unwrap();
    assert!(spec["linux"]["seccomp"]["syscalls"].as_array().is_some_and(|rules| !rules.is_empty()));
    assert_eq!(kind(ProfileType::Unconfined, "").build().unwrap()["linux"].get("seccomp"), None);
    assert!(kind(ProfileType::Localhost, "").error().contains("localhost_ref"));
    assert!(kind(ProfileType::Localhost, "/no/such").error().contains("/no/such"));
}

#[test]
fn a_mount_of_the_client_replaces_the_default_one() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().to_str().unwrap().to_owned();
    let case = Case::with(|config, _| {
        config.mounts = ["/etc/hosts", "/a/b", "/a"]
            .map(|path| Mount {
                container_path: path.into(),
                host_path: format!("{source}/new"),
                readonly: path == "/a",
                ..Default::default()
            })
            .into();
    });
    let spec = case.build().unwrap();
    let hosts: Vec<_> =
        spec["mounts"].as_array().unwrap().iter().filter(|m| m["destination"] == "/etc/hosts").collect();
    assert_eq!(hosts.len(), 1);
    assert_eq!(hosts[0]["source"], format!("{source}/new"));
    assert!(dir.path().join("new").is_dir());
    assert_eq!(strings(&mount(&spec, "/a").unwrap()["options"]), ["rbind", "rprivate", "ro"]);
    let order = |path| spec["mounts"].as_array().unwrap().iter().position(|m| m["destination"] == path);
    assert!(order("/a") < order("/a/b"));
}

#[test]
fn bad_mounts_are_errors_that_name_the_field() {
    let bad = |change: fn(&mut Mount)| {
        let case = Case::with(|config, _| {
            let mut mount =
                Mount { container_path: "/x".into(), host_path: "/tmp".into(), ..Default::default() };
            change(&mut mount);
            config.mounts = vec![mount];
        });
        match case.build() {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bad(|m| m.container_path = "x".into()), "config.mounts[0].container_path");
    assert_eq!(bad(|m| m.container_path = "/x/../../y".into()), "config.mounts[0].container_path");
    assert_eq!(bad(|m| m.container_path = "/".into()), "config.mounts[0].container_path");
    assert_eq!(bad(|m| m.host_path = "tmp".into()), "config.mounts[0].host_path");
    assert_eq!(bad(|m| m.recursive_read_only = true), "config.mounts[0].recursive_read_only");
    assert_eq!(bad(|m| m.mount_options = vec!["suid".into()]), "config.mounts[0].mount_options");
}

#[test]
fn annotations_reach_the_runtime_only_where_they_are_listed() {
    let mut case = Case::with(|config, _| {
        config.annotations = [("a.b/c".into(), "1".into()), ("x".into(), "2".into())].into();
    });
    assert_eq!(case.build().unwrap()["annotations"], json!({}));
    case.daemon.security.annotations = vec!["a.b/*".into()];
    assert_eq!(case.build().unwrap()["annotations"], json!({"a.b/c": "1"}));
}

#[test]
fn a_command_runs_as_the_container_s_program_does() {
    let spec = Case::default().build().unwrap();
    let process = exec_process(&spec["process"], &["ls".into()], true);
    assert_eq!((&process["args"], &process["terminal"]), (&json!(["ls"]), &json!(true)));
    assert_eq!(process["user"], spec["process"]["user"]);
    assert_eq!(process["capabilities"], spec["process"]["capabilities"]);
}
