use super::{Args, resolve};
use clap::Parser;
use oci_spec::runtime::{Capability, Process, Spec};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn spec() -> Spec {
    serde_json::from_value(serde_json::json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": true, "user": {"uid": 5, "gid": 6, "additionalGids": [7]}, "args": ["own"],
            "env": ["PATH=/bin", "A=1"], "cwd": "/own", "noNewPrivileges": true, "oomScoreAdj": 100,
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
            "apparmorProfile": "own-profile",
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}],
        },
    }))
    .unwrap()
}

fn with(flags: &[&str]) -> anyhow::Result<Process> {
    let all = std::iter::once("exec").chain(flags.iter().copied());
    resolve(&Cli::try_parse_from(all)?.args, &spec())
}

#[test]
fn flags_change_the_containers_own_process() {
    let plain = with(&["c", "ls", "-l"]).unwrap();
    assert_eq!(plain.args().as_deref().unwrap(), ["ls", "-l"]);
    assert_eq!((plain.terminal(), plain.user().uid(), plain.cwd().to_str()), (Some(false), 5, Some("/own")));
    assert_eq!(plain.apparmor_profile().as_deref(), Some("own-profile"));

    let changed = with(&[
        "--tty",
        "--cwd",
        "/x",
        "--user",
        "1000:1001",
        "-g",
        "8,9",
        "-g",
        "10",
        "--env",
        "A=2",
        "-e",
        "B=",
        "--cap",
        "net_admin",
        "--apparmor",
        "p",
        "--process-label",
        "l",
        "c",
        "id",
    ])
    .unwrap();
    assert_eq!((changed.terminal(), changed.cwd().to_str()), (Some(true), Some("/x")));
    assert_eq!((changed.user().uid(), changed.user().gid()), (1000, 1001));
    assert_eq!(changed.user().additional_gids().as_deref().unwrap(), [7, 8, 9, 10]);
    assert_eq!(changed.env().as_deref().unwrap(), ["PATH=/bin", "A=1", "A=2", "B="]);
    assert_eq!(changed.apparmor_profile().as_deref(), Some("p"));
    assert_eq!(changed.selinux_label().as_deref(), Some("l"));
    let capabilities = changed.capabilities().clone().unwrap();
    for set in [capabilities.bounding(), capabilities.effective(), capabilities.permitted()] {
        let set = set.as_ref().unwrap();
        assert!(set.len() == 2 && set.contains(&Capability::NetAdmin) && set.contains(&Capability::Kill));
    }
    assert!(capabilities.ambient().is_none());
}

#[test]
fn a_user_without_group_keeps_the_containers_group() {
    let process = with(&["--user", "9", "c", "id"]).unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (9, 6));
}

#[test]
fn wrong_flags_are_named() {
    let message = |flags: &[&str]| format!("{:#}", with(flags).unwrap_err());
    assert!(message(&["--user", "root", "c", "id"]).starts_with("--user \"root\": \"root\" is not a number"));
    assert!(message(&["--user", "4294967296", "c", "id"]).contains("4294967296 is no id"));
    assert!(message(&["-g", "-1", "c", "id"]).contains("-1"));
    assert!(
        message(&["--cap", "CAP_FLY", "c", "id"])
            .starts_with("--cap \"CAP_FLY\": there is no such capability")
    );
    assert!(message(&["--env", "=x", "c", "id"]).starts_with("--env \"=x\": must be NAME=VALUE"));
    assert!(message(&["--cwd", "x", "c", "id"]).starts_with("--cwd \"x\": must be an absolute path"));
    assert!(message(&["c"]).starts_with("no program is given"));
}

#[test]
fn a_process_file_is_taken_as_it_is_but_never_wider_than_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("process.json");
    std::fs::write(&path, r#"{"user":{"uid":1,"gid":2},"args":["x"],"cwd":"/"}"#).unwrap();
    let process = with(&["--process", path.to_str().unwrap(), "c"]).unwrap();
    assert_eq!(process.user().additional_gids(), &None);
    assert_eq!(process.env(), &None);
    assert_eq!(process.no_new_privileges(), Some(true));
    assert_eq!(process.apparmor_profile().as_deref(), Some("own-profile"));
    assert_eq!(process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len(), 1);
    assert_eq!(process.rlimits().as_ref().unwrap().len(), 1);
    std::fs::write(&path, "{").unwrap();
    let error = format!("{:#}", with(&["--process", path.to_str().unwrap(), "c"]).unwrap_err());
    assert!(error.contains("process.json"), "{error}");
    assert!(
        format!("{:#}", with(&["--process", "/none", "c"]).unwrap_err()).starts_with("read --process /none")
    );
}
