//! The pause process: PID 1 of a pod that shares its PID namespace, and what keeps a user namespace of the pod.
//!
//! It is a container like any other, started by the runtime: without capabilities, in a root of its own that has
//! nothing but the program. A bare process in the host's mount namespace would let a container with CAP_SYS_PTRACE
//! enter the host through /proc/1/root.

use crate::create::{JobStart, open_pidfd, read_pid};
use crate::job::{Caller, Stdio3, Task};
use crate::namespaces::file_name;
use crate::pin::{make_dir, pause_makes};
use crate::server::{Shim, failure, internal};
use husk_shim_api::{Event, Exit, Failure, FailureKind, IdMapping, Namespace, Pin};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

impl Shim {
    fn pause_program(&self) -> Result<PathBuf, Failure> {
        let program = match &self.config.pause {
            Some(program) => program.clone(),
            None => {
                let own = std::env::current_exe().map_err(|e| internal("/proc/self/exe", e))?;
                own.with_file_name("husk-pause")
            }
        };
        if program.is_file() {
            return Ok(program);
        }
        Err(failure(FailureKind::Internal, format!("the pause program {} is missing", program.display())))
    }

    pub(crate) fn create_pause(&mut self, caller: Caller, pin: &Pin) -> Result<(), Failure> {
        let program = self.pause_program()?;
        let bundle = self.config.dir.join("pause");
        let root = bundle.join("rootfs");
        make_dir(&bundle)?;
        make_dir(&root)?;
        let open = |path: &Path, mode| {
            rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(mode)).map_err(|e| internal("chmod", e))
        };
        if let Some(map) = pin.gid_mappings.iter().find(|map| map.container == 0) {
            // Root of the user namespace must get through the shim's directory to its root file system. The socket is
            // still this user's alone.
            let group = Some(rustix::fs::Gid::from_raw(map.host));
            rustix::fs::chown(&self.config.dir, None, group).map_err(|e| internal("chown", e))?;
            open(&self.config.dir, 0o710)?;
        }
        open(&bundle, 0o755)?;
        open(&root, 0o755)?;
        std::fs::write(root.join("pause"), []).map_err(|e| internal("pause root", e))?;
        for name in ["proc", "dev"] {
            make_dir(&root.join(name))?;
            open(&root.join(name), 0o755)?;
        }
        let spec = self.pause_spec(pin, &program);
        std::fs::write(bundle.join("config.json"), spec.to_string())
            .map_err(|e| internal("pause bundle", e))?;
        let slot = self.slot();
        let pid_file = self.job_file(slot, "pid");
        let args: Vec<OsString> = vec![
            "--bundle".into(),
            bundle.into(),
            "--pid-file".into(),
            pid_file.clone().into(),
            self.config.id.clone().into(),
        ];
        let mut start = JobStart::of(Task::PauseCreate, Some(caller));
        start.files.push(pid_file);
        let runtime = self.config.runtime.clone();
        // From here on something may be there to be deleted.
        self.pod.pause_made = true;
        self.run_runtime(&runtime, "create", args, Stdio3::NONE, start)
    }

    pub(crate) fn start_pause(&mut self, caller: Caller, pin: &Pin, pid_file: &Path) -> Result<(), Failure> {
        let pid = read_pid(pid_file)?;
        let _alive = open_pidfd(pid)?;
        self.pod.pause_pid = Some(pid);
        self.claim_stray(pid);
        if self.pod.pause_pid.is_none() {
            return Err(failure(FailureKind::Runtime, "the pause process ended at once"));
        }
        self.bind_pause(pid, pin)?;
        let runtime = self.config.runtime.clone();
        let start = JobStart::of(Task::PauseStart, Some(caller));
        self.run_runtime(&runtime, "start", vec![self.config.id.clone().into()], Stdio3::NONE, start)
    }

    /// Ends the pause process; its end is then nothing to tell.
    pub(crate) fn stop_pause(&mut self) {
        if !std::mem::take(&mut self.pod.pause_made) {
            return;
        }
        let runtime = self.config.runtime.clone();
        let args = vec!["--force".into(), self.config.id.clone().into()];
        if self
            .run_runtime(&runtime, "delete", args, Stdio3::NONE, JobStart::nobody(Task::PauseDelete))
            .is_err()
            && let Some(pid) = self.pod.pause_pid.and_then(rustix::process::Pid::from_raw)
        {
            // Not reaped yet, so the pid is still its own.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    pub(crate) fn pause_ended(&mut self, status: i32, at: i64) {
        self.pod.pause_pid = None;
        if !self.pod.pause_made || self.pod.pinned.is_none() {
            return;
        }
        let exit = Exit {
            status: Some(status),
            started_at: self.pod.pause_started,
            finished_at: at,
            timed_out: false,
            record: None,
            record_error: None,
        };
        self.pod.pause_exit = Some(exit.clone());
        self.links.tell(&self.poll, Event::PauseExited { exit });
    }

    fn pause_spec(&self, pin: &Pin, program: &Path) -> Value {
        let mut namespaces = vec![json!({"type": "mount"})];
        if !pin.namespaces.contains(&Namespace::Pid) {
            // Its own then: procfs can only be mounted by the owner of the PID namespace.
            namespaces.push(json!({"type": "pid"}));
        }
        for namespace in &pin.namespaces {
            let kind = match namespace {
                Namespace::Net => "network",
                other => file_name(*other),
            };
            namespaces.push(if pause_makes(pin, *namespace) {
                json!({"type": kind})
            } else {
                json!({"type": kind, "path": self.config.dir.join("ns").join(file_name(*namespace))})
            });
        }
        let mut linux = json!({
            "namespaces": namespaces,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": [],
            "readonlyPaths": [],
        });
        if let Some(cgroup) = &pin.pause_cgroup {
            linux["cgroupsPath"] = json!(cgroup);
        }
        let in_user_namespace = pin.namespaces.contains(&Namespace::User);
        if in_user_namespace {
            linux["uidMappings"] = mappings(&pin.uid_mappings);
            linux["gidMappings"] = mappings(&pin.gid_mappings);
            linux["sysctl"] = json!(pin.sysctls);
        }
        let mut spec = json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs", "readonly": true},
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": ["/pause"],
                "cwd": "/",
                "noNewPrivileges": true,
                "oomScoreAdj": crate::oom_score::present(),
                "capabilities": {},
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                {"destination": "/pause", "type": "bind", "source": program, "options": ["bind", "ro", "nosuid", "nodev"]},
            ],
            "linux": linux,
        });
        if in_user_namespace
            && pin.namespaces.contains(&Namespace::Uts)
            && let Some(name) = &pin.hostname
        {
            spec["hostname"] = json!(name);
        }
        spec
    }
}

fn mappings(list: &[IdMapping]) -> Value {
    list.iter().map(|m| json!({"containerID": m.container, "hostID": m.host, "size": m.size})).collect()
}
