//! Ids of every legal form, and paths that are long or odd.

use crate::{create, nothing_left, sleeper};
use husk_tests::{Bundle, Container, Runtime, run};
use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, net::UnixListener},
    },
    path::PathBuf,
};

#[test]
fn ids_of_every_length_and_character() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let alphabet: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("_+-.".chars()).collect();
    // A leading dash would be a flag; runc takes such ids no better.
    let mut ids =
        vec![format!("x{alphabet}"), "x".to_owned(), "...".to_owned(), "_".to_owned(), "+x".to_owned()];
    ids.extend([100, 200, 249, 250, 251, 255].map(|length| "y".repeat(length)));
    for id in ids {
        let container = Container::named(&runtime, &id);
        let done = run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(&id)).ok();
        assert_eq!(done.stderr, "", "{id}");
        nothing_left(&container, &runtime, &id);
        let told = container.call("explain", &[]).ok();
        assert!(told.stdout.contains(&id), "{id}: {}", told.stdout);
    }
    for id in
        ["y".repeat(256), "a/b".into(), "..".into(), ".".into(), "é".into(), "a b".into(), String::new()]
    {
        assert_eq!(create(&runtime, &bundle, &id).code, 1, "{id:?}");
    }
}

/// Two ids that differ at the end alone keep their own records.
#[test]
fn long_ids_are_told_apart() {
    let runtime = Runtime::husk();
    let begin = "z".repeat(254);
    for (id, code) in [(format!("{begin}a"), 3), (format!("{begin}b"), 4)] {
        let bundle = Bundle::script(&format!("exit {code}"));
        bundle.write();
        run(runtime.command().args(["run", "--bundle"]).arg(bundle.path()).arg(id)).expect_code(code);
    }
    let told = Container::named(&runtime, &format!("{begin}a")).call("explain", &["--json"]).ok();
    assert!(told.stdout.contains("\"exitCode\": 3"), "{}", told.stdout);
}

#[test]
fn paths_with_spaces_line_ends_and_other_scripts() {
    let runtime = Runtime::husk();
    for name in ["with space", "line\nend", "ünï☃", "quo\"te's", "$(x) *", "-dash", "..a"] {
        let dir = husk_tests::temp_dir();
        let (inside, bundle) = (dir.path().join(name), sleeper());
        fs::create_dir(&inside).unwrap();
        let (place, state, pid) = (inside.join("bundle"), inside.join("state"), inside.join("pid"));
        fs::rename(bundle.path(), &place).unwrap();
        let husk = || {
            let mut command = std::process::Command::new(runtime.command().get_program());
            command.arg("--root").arg(&state);
            command
        };
        let id = husk_tests::unique("odd");
        let (mut create, mut delete) = (husk(), husk());
        create.arg("create").arg("--bundle").arg(&place).arg("--pid-file").arg(&pid).arg(&id);
        let created = run(&mut create);
        let shown = run(husk().arg("state").arg(&id));
        let deleted = run(delete.args(["delete", "--force"]).arg(&id));
        fs::rename(&place, bundle.path()).unwrap();
        created.ok();
        deleted.ok();
        let shown: serde_json::Value = serde_json::from_str(&shown.ok().stdout).unwrap();
        assert_eq!(shown["bundle"].as_str(), place.to_str());
        assert_eq!(shown["pid"].to_string(), fs::read_to_string(&pid).unwrap());
    }
}

#[test]
fn a_bundle_whose_path_is_no_text_is_refused_by_its_name() {
    let (runtime, dir, bundle) = (Runtime::husk(), husk_tests::temp_dir(), sleeper());
    let place = dir.path().join(OsStr::from_bytes(b"raw\xff"));
    fs::rename(bundle.path(), &place).unwrap();
    let done = run(runtime.command().args(["create", "--bundle"]).arg(&place).arg("raw"));
    fs::rename(&place, bundle.path()).unwrap();
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("raw\\xFF") && done.stderr.contains("UTF-8"), "{}", done.stderr);
    assert!(!runtime.root().join("raw").exists());
}

/// A directory nearly as deep as a path may be long.
fn deep(top: &std::path::Path) -> PathBuf {
    let mut path = top.to_owned();
    while path.as_os_str().len() < 3700 {
        path.push("d".repeat(200));
    }
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn paths_as_long_as_the_kernel_takes_them() {
    let (runtime, dir, bundle) = (Runtime::husk(), husk_tests::temp_dir(), sleeper());
    let deep = deep(dir.path());
    fs::rename(bundle.path(), deep.join("b")).unwrap();
    let mut command = std::process::Command::new(runtime.command().get_program());
    command.arg("--root").arg(deep.join("s")).arg("run").arg("--bundle").arg(deep.join("b"));
    fs::write(
        deep.join("b/config.json"),
        fs::read_to_string(deep.join("b/config.json")).unwrap().replace("1000\"", "0\""),
    )
    .unwrap();
    let done = run(command.arg("--pid-file").arg(deep.join("pid")).arg("deep"));
    fs::rename(deep.join("b"), bundle.path()).unwrap();
    done.ok();
    assert!(fs::read_to_string(deep.join("pid")).unwrap().parse::<u32>().is_ok());
    let mut command = runtime.command();
    let done = run(command.args(["create", "--bundle"]).arg("e".repeat(256)).arg("longer"));
    assert!(done.code == 1 && done.stderr.contains("File name too long"), "{}", done.stderr);
}

/// The address of a socket holds 107 bytes; its path may be longer, and its name alone, too.
#[test]
fn console_sockets_at_any_path() {
    let runtime = Runtime::husk();
    let mut bundle = sleeper();
    bundle.set("/process/terminal", true);
    bundle.write();
    let dir = husk_tests::temp_dir();
    for path in
        [dir.path().join("short"), dir.path().join("n".repeat(255)), deep(dir.path()).join("n".repeat(150))]
    {
        // Bound by a short name, then moved: bind has the same limit.
        let short = dir.path().join("bound");
        let listener = UnixListener::bind(&short).unwrap();
        fs::rename(&short, &path).unwrap();
        let container = Container::named(&runtime, &husk_tests::unique("socket"));
        let mut create = runtime.command();
        create.args(["create", "--console-socket"]).arg(&path).arg("--bundle").arg(bundle.path());
        let done = run(create.arg(&container.id));
        done.ok();
        listener.set_nonblocking(true).unwrap();
        let (stream, _) = listener.accept().expect("somebody has called");
        assert!(stream.as_raw_fd() > 2);
    }
}
