//! Command lines: ids, flags, files, states, and the files that commands read.

use super::world::Case;
use serde_json::json;

pub fn ids() -> Vec<Case> {
    let ids = [
        ("run --bundle {bundle} ''", "id"),
        ("run --bundle {bundle} a/b", "a/b"),
        ("run --bundle {bundle} ../x", "../x"),
        ("run --bundle {bundle} ..", ".."),
        ("run --bundle {bundle} ü", "ü"),
        ("run --bundle {bundle} a:b", "a:b"),
        ("state ../x", "../x"),
        ("kill a/b", "a/b"),
        ("state nobody", "nobody"),
        ("start nobody", "nobody"),
        ("delete nobody", "nobody"),
        ("kill nobody", "nobody"),
        ("ps nobody", "nobody"),
        ("pause nobody", "nobody"),
        ("resume nobody", "nobody"),
        ("update --pids-limit 5 nobody", "nobody"),
        ("events nobody", "nobody"),
        ("exec nobody true", "nobody"),
    ];
    ids.into_iter().map(|(line, word)| Case::line(line, Box::leak(Box::new([word])))).collect()
}

pub fn flags() -> Vec<Case> {
    let terminal = |line| Case::config("/process/terminal", json!(true), &["terminal"]).by(line);
    vec![
        Case::line("no-such-command", &["no-such-command"]),
        Case::line("run --no-such-flag x", &["--no-such-flag"]),
        Case::line("run", &["ID"]),
        Case::line("run a b", &["b"]),
        Case::line("list --format xml", &["xml"]),
        Case::line("--log-format xml list", &["xml"]),
        Case::line("--log {bundle}/none/log list", &["/none/log"]),
        Case::line("--rootless maybe list", &["maybe"]),
        Case::line("--root {bundle}/none list", &["/none"]),
        Case::line("--root {bundle}/none state nobody", &["nobody", "/none"]),
        Case::line("--root /etc/passwd run --bundle {bundle} x", &["/etc/passwd"]),
        Case::line("--root /proc/x run --bundle {bundle} x", &["/proc/x"]),
        Case::line("run --bundle /no/such/bundle {new}", &["/no/such/bundle"]),
        Case::line("run --bundle /etc/passwd {new}", &["/etc/passwd"]),
        Case::line("run --bundle /etc {new}", &["/etc/config.json"]),
        Case::line("spec --bundle /no/such/bundle", &["/no/such/bundle"]),
        Case::line("spec --bundle {bundle}", &["exists"]),
        terminal("create --bundle {bundle} {new}"),
        terminal("create --console-socket /no/such/socket --bundle {bundle} {new}"),
        Case::line("create --console-socket /no/such/socket --bundle {bundle} {new}", &["console-socket"]),
        Case::line(
            "create --pid-file {bundle}/none/pid --bundle {bundle} {new}",
            &["--pid-file", "/none/pid"],
        ),
        Case::line("create --preserve-fds 90 --bundle {bundle} {new}", &["preserve-fds"]),
        Case::line("create --preserve-fds -1 --bundle {bundle} {new}", &["--preserve-fds", "-1"]),
        Case::line("--root {bundle}/state run --bundle {bundle} x", &["user namespace"]).ordinary(),
        Case::line("--root /run/husk-test-denied run --bundle {bundle} x", &["/run/husk-test-denied"])
            .ordinary(),
    ]
}

pub fn states() -> Vec<Case> {
    vec![
        Case::line("run --bundle {bundle} {running}", &["running", "exists"]),
        Case::line("create --bundle {bundle} {stopped}", &["stopped", "exists"]),
        Case::line("start {running}", &["-running"]),
        Case::line("start {stopped}", &["-stopped"]),
        Case::line("delete {running}", &["running"]),
        Case::line("delete {paused}", &["paused"]),
        Case::line("kill {stopped} TERM", &["stopped"]),
        Case::line("pause {paused}", &["paused"]),
        Case::line("pause {stopped}", &["stopped"]),
        Case::line("resume {running}", &["running"]),
        Case::line("resume {stopped}", &["stopped"]),
        Case::line("events {stopped}", &["stopped"]),
        Case::line("update --pids-limit 5 {stopped}", &["stopped"]),
        Case::line("exec {stopped} true", &["-stopped"]),
        Case::line("exec {paused} true", &["-paused"]),
    ]
}

pub fn exec() -> Vec<Case> {
    let line = |line, words| Case::line(line, words);
    let process = |content, words| Case::file("exec --process {file} {running}", content, words);
    vec![
        line("exec {running}", &["program"]),
        line("exec {running} no-such-program", &["no-such-program"]),
        line("exec {running} /etc/passwd", &["/etc/passwd"]),
        line("exec --cwd relative {running} true", &["--cwd", "relative"]),
        line("exec --cwd /no/such {running} true", &["/no/such"]),
        line("exec --user ann {running} true", &["--user", "ann"]),
        line("exec --user 4294967296 {running} true", &["--user", "4294967296"]),
        line("exec --additional-gids staff {running} true", &["--additional-gids", "staff"]),
        line("exec --env NAME {running} true", &["--env", "NAME"]),
        line("exec --cap CAP_NOPE {running} true", &["CAP_NOPE"]),
        line("exec --cgroup ../x {running} true", &["--cgroup", "../x"]),
        line("exec --preserve-fds 90 {running} true", &["--preserve-fds"]),
        line("exec --tty --detach {running} true", &["--console-socket"]),
        line("exec --pid-file {bundle}/none/pid {running} true", &["--pid-file", "/none/pid"]),
        line("exec --process /no/such/process.json {running}", &["/no/such/process.json"]),
        process("", &["file.json"]),
        process("[]", &["file.json"]),
        process("{\"cwd\": \"/\"}", &["program"]),
        process("{\"args\": [\"true\"], \"cwd\": \"relative\"}", &["process.cwd"]),
        process("{\"args\": [\"true\"], \"cwd\": \"/\", \"user\": {\"uid\": -1}}", &["uid"]),
        process(
            "{\"args\": [\"true\"], \"cwd\": \"/\", \"capabilities\": {\"bounding\": [\"NOPE\"]}}",
            &["NOPE"],
        ),
        process("{\"args\": \"true\", \"cwd\": \"/\"}", &["args"]),
    ]
}

pub fn changes() -> Vec<Case> {
    let resources = |content, words| Case::file("update --resources {file} {running}", content, words);
    vec![
        Case::line("update --memory much {running}", &["--memory", "much"]),
        Case::line("update --memory 9999999999g {running}", &["--memory", "9999999999g"]),
        Case::line("update --pids-limit many {running}", &["--pids-limit", "many"]),
        Case::line("update --cpu-period -5 {running}", &["--cpu-period", "-5"]),
        Case::line("update --blkio-weight 100000 {running}", &["100000"]),
        Case::line("update --resources /no/such/file {running}", &["/no/such/file"]),
        resources("", &["file.json"]),
        resources("{\"memory\": {\"limit\": \"1G\"}}", &["file.json", "limit"]),
        resources("{\"pids\": 5}", &["pids"]),
        resources("[]", &["file.json"]),
        Case::line("kill {running} NOPE", &["NOPE"]),
        Case::line("kill {running} 4096", &["4096"]),
        Case::line("kill {running} -1", &["-1"]),
        Case::line("kill {running} ''", &["signal"]),
        Case::line("events --interval 0s {running}", &["--interval"]),
        Case::line("events --interval 5 {running}", &["--interval"]),
        Case::line("ps --format xml {running}", &["xml"]),
        Case::line("state {running} {paused}", &["paused"]),
    ]
}
