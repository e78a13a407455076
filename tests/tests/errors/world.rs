//! What the cases are tried on: a runtime, a bundle, and containers in each state.

use husk_tests::{Bundle, Done, Runtime, run, unique};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// One wrong input.
pub struct Case {
    /// Values of config.json, by their JSON pointers.
    pub changes: Vec<(&'static str, Value)>,
    /// The whole of config.json, or of the file that the command line names as `{file}`.
    pub file: Option<Vec<u8>>,
    /// The command line after the global flags; `{bundle}`, `{file}` and the names of containers are filled in.
    pub line: &'static str,
    /// Whether an ordinary user calls.
    pub ordinary: bool,
    /// What the message must name.
    pub words: &'static [&'static str],
}

/// The line of cases that are about config.json.
pub const RUN: &str = "run --bundle {bundle} {new}";

impl Case {
    /// config.json with one other value.
    pub fn config(pointer: &'static str, value: Value, words: &'static [&'static str]) -> Self {
        Self { changes: vec![(pointer, value)], file: None, line: RUN, ordinary: false, words }
    }

    /// A command line.
    pub fn line(line: &'static str, words: &'static [&'static str]) -> Self {
        Self { changes: Vec::new(), file: None, line, ordinary: false, words }
    }

    /// A command line that names a file with this content.
    pub fn file(line: &'static str, content: &str, words: &'static [&'static str]) -> Self {
        Self { file: Some(content.as_bytes().to_vec()), ..Self::line(line, words) }
    }

    /// The case with another command line.
    pub fn by(self, line: &'static str) -> Self {
        Self { line, ..self }
    }

    /// The case as an ordinary user's.
    pub fn ordinary(self) -> Self {
        Self { ordinary: true, ..self }
    }

    /// The input as people write it.
    pub fn shown(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (pointer, value) in &self.changes {
            let mut field = String::new();
            for name in pointer.split('/').skip(1) {
                match name.parse::<usize>() {
                    Ok(index) => field.push_str(&format!("[{index}]")),
                    Err(_) if field.is_empty() => field.push_str(name),
                    Err(_) => field.push_str(&format!(".{name}")),
                }
            }
            parts.push(format!("{field}: {}", short(&value.to_string(), 100)));
        }
        if let Some(file) = &self.file {
            let name = if self.line == RUN { "config.json" } else { "FILE" };
            let text = String::from_utf8_lossy(file);
            parts.push(if text.is_empty() {
                format!("{name} is empty")
            } else {
                format!("{name}: {}", short(&text, 100))
            });
        }
        if self.line != RUN {
            let line =
                self.line.replace("{bundle}", "BUNDLE").replace("{file}", "FILE").replace(['{', '}'], "");
            parts.insert(0, line);
        }
        if self.ordinary {
            parts.insert(0, "as an ordinary user".into());
        }
        parts.join("; ")
    }
}

/// A text cut to so many characters.
pub fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A runtime with containers in all states. What a case leaves behind goes with it.
pub struct World {
    /// The runtime.
    pub runtime: Runtime,
    prefix: String,
    made: RefCell<BTreeMap<&'static str, Bundle>>,
}

const STATES: [&str; 4] = ["created", "running", "paused", "stopped"];

impl World {
    /// For one runtime. Containers are made when a case names them.
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime, prefix: unique("wrong"), made: RefCell::default() }
    }

    /// The id of a container that a line calls by this name.
    fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn call(&self, words: &[&str]) -> Done {
        run(self.runtime.command().args(words))
    }

    fn make(&self, state: &'static str) {
        if self.made.borrow().contains_key(state) {
            return;
        }
        let bundle = Bundle::new(&["sleep", "1000"]);
        bundle.write();
        let id = self.id(state);
        let path = bundle.path().to_string_lossy().into_owned();
        self.call(&["create", "--bundle", &path, &id]).ok();
        self.made.borrow_mut().insert(state, bundle);
        if state != "created" {
            self.call(&["start", &id]).ok();
        }
        if state == "paused" {
            self.call(&["pause", &id]).ok();
        }
        if state == "stopped" {
            self.call(&["kill", &id, "KILL"]).ok();
            husk_tests::wait_until("it has stopped", || {
                self.call(&["state", &id]).stdout.contains("\"stopped\"")
            });
        }
    }

    /// Tries a case, and gives how it ended with the one message of it.
    pub fn attempt(&self, case: &Case) -> (Done, String) {
        let mut bundle = Bundle::new(&["echo", "it ran"]);
        for (pointer, value) in &case.changes {
            bundle.set(pointer, value.clone());
        }
        bundle.write();
        let path = bundle.path().to_string_lossy().into_owned();
        let mut file = format!("{path}/config.json");
        if let Some(content) = &case.file {
            if case.line != RUN {
                file = format!("{path}/file.json");
            }
            std::fs::write(&file, content).expect("a file");
        }
        for state in STATES {
            if case.line.contains(&format!("{{{state}}}")) {
                self.make(state);
            }
        }
        let words: Vec<String> = case.line.split(' ').map(|word| self.word(word, &path, &file)).collect();
        let mut command = if case.ordinary {
            self.ordinary(&path)
        } else if case.line.starts_with("--root") {
            Command::new(self.runtime.command().get_program())
        } else {
            self.runtime.command()
        };
        let done = run(command.args(&words));
        if self.runtime.name != "husk" {
            let _ = self.call(&["delete", "--force", &self.id("new")]);
        }
        let message = self.message(&done, &path);
        (done, message)
    }

    fn word(&self, word: &str, bundle: &str, file: &str) -> String {
        let word = word.replace("{bundle}", bundle).replace("{file}", file);
        match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
            Some(name) => self.id(name),
            None if word == "''" => String::new(),
            None => word,
        }
    }

    /// The runtime as a user calls it to whom nothing belongs; a copy, as the build may lie where the user can't go.
    fn ordinary(&self, bundle: &str) -> Command {
        let copy = format!("{bundle}/{}", self.runtime.name);
        std::fs::copy(self.runtime.command().get_program(), &copy).expect("a copy of the runtime");
        std::fs::set_permissions(bundle, std::fs::Permissions::from_mode(0o777)).expect("chmod");
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=12345", "--regid=12345", "--clear-groups", "--", &copy])
            .env_remove("XDG_RUNTIME_DIR");
        command
    }

    /// What the runtime said, without what differs from run to run.
    fn message(&self, done: &Done, bundle: &str) -> String {
        let lines: Vec<&str> = done.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let logged = lines.iter().rev().find_map(|line| {
            let message =
                line.split_once("level=error msg=").or_else(|| line.split_once("level=fatal msg="))?.1;
            Some(serde_json::from_str(message).unwrap_or_else(|_| message.to_owned()))
        });
        let text = logged.unwrap_or_else(|| {
            let said = lines.iter().filter(|line| !line.starts_with("time="));
            let said = said
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
            said.map(|line| line.strip_prefix("husk: ").unwrap_or(line)).collect::<Vec<_>>().join(" ")
        });
        let root = self.runtime.root();
        let text = text.replace(bundle, "BUNDLE").replace(&*root.to_string_lossy(), "ROOT");
        let text = text.replace(&format!("{}-", self.prefix), "");
        // Where the machine's cgroups are is the machine's affair.
        let words = text.split_whitespace().map(|word| match word.strip_prefix("/sys/fs/cgroup/") {
            Some(path) => format!("/sys/fs/cgroup/…/{}", path.rsplit('/').next().unwrap_or_default()),
            None => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Fails where something of a refused container is there.
    #[track_caller]
    pub fn nothing_left(&self, case: &str) {
        for entry in std::fs::read_dir(self.runtime.root()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = STATES.iter().any(|state| name == self.id(state));
            assert!(known || name.starts_with('@'), "{case}: {name} is left");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for state in self.made.borrow().keys() {
            let _ = self.call(&["delete", "--force", &self.id(state)]);
        }
    }
}

/// A seccomp profile that allows all but for a change.
pub fn profile(change: Value) -> Value {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    for (key, value) in change.as_object().into_iter().flatten() {
        profile[key] = value.clone();
    }
    profile
}

/// A profile with one rule.
pub fn rule(change: Value) -> Value {
    let mut rule = json!({"names": ["swapon"], "action": "SCMP_ACT_ERRNO"});
    for (key, value) in change.as_object().into_iter().flatten() {
        rule[key] = value.clone();
    }
    profile(json!({"syscalls": [rule]}))
}
