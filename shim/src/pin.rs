//! The pod's namespaces: made once, bound to files in the shim's directory, gone with the shim.

use crate::job::{self, Caller, Job, Stdio3, Task};
use crate::namespaces::{Request, bind, file_name};
use crate::server::{Answer, Shim, failure, internal};
use crate::sysctl;
use husk_shim_api::{Exit, Failure, FailureKind, Namespace, Pin, Pinned, Reply};
use rustix::mount::UnmountFlags;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The pod's own things.
#[derive(Debug, Default)]
pub struct Pod {
    /// What was asked for.
    pub request: Option<Pin>,
    /// What was made; None until all of it is.
    pub pinned: Option<Pinned>,
    /// Pause process, while it lives.
    pub pause_pid: Option<i32>,
    /// The pause container was created: it must be deleted.
    pub pause_made: bool,
    /// The pause process' end, if nobody asked for it.
    pub pause_exit: Option<Exit>,
    /// When it was started.
    pub pause_started: i64,
}

impl Pod {
    /// The pause process has still to end.
    pub fn pause_alive(&self) -> bool {
        self.pause_pid.is_some()
    }
}

/// Whether the pod needs the pause process.
pub fn needs_pause(pin: &Pin) -> bool {
    pin.pause || pin.namespaces.iter().any(|ns| matches!(ns, Namespace::Pid | Namespace::User))
}

/// A user namespace owns the others only if they are made in it: then the pause container makes them all.
pub fn pause_makes(pin: &Pin, namespace: Namespace) -> bool {
    pin.namespaces.contains(&Namespace::User) || namespace == Namespace::Pid
}

impl Shim {
    fn ns_file(&self, namespace: Namespace) -> PathBuf {
        self.config.dir.join("ns").join(file_name(namespace))
    }

    /// None: answered when the helper or the runtime is done.
    pub(crate) fn pin(&mut self, caller: Caller, pin: Pin) -> Option<Answer> {
        if let Some(earlier) = &self.pod.request {
            return Some(match (&self.pod.pinned, *earlier == pin) {
                (Some(pinned), true) => Ok(Reply::Pinned(pinned.clone())),
                (None, true) => Err(failure(FailureKind::State, "the namespaces are being made")),
                (_, false) => Err(failure(FailureKind::Exists, "the pod has other namespaces already")),
            });
        }
        match self.begin_pin(caller, &pin) {
            Ok(()) => {
                self.pod.request = Some(pin);
                None
            }
            Err(e) => {
                let _ = self.unbind();
                Some(Err(e))
            }
        }
    }

    fn begin_pin(&mut self, caller: Caller, pin: &Pin) -> Result<(), Failure> {
        let mut sysctls = Vec::new();
        for (name, value) in &pin.sysctls {
            let path = sysctl::check(name, value, &pin.namespaces)
                .map_err(|e| failure(FailureKind::Invalid, e.to_string()))?;
            sysctls.push((path, value.clone()));
        }
        let hostname = pin.hostname.as_deref().unwrap_or_default();
        if hostname.len() > 64 || hostname.chars().any(char::is_control) {
            let text = format!("hostname {hostname:?}: at most 64 characters, no control characters");
            return Err(failure(FailureKind::Invalid, text));
        }
        let folder = self.config.dir.join("ns");
        make_dir(&folder)?;
        for namespace in &pin.namespaces {
            let file = self.ns_file(*namespace);
            let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file);
            made.map_err(|e| internal(&format!("{}", file.display()), e))?;
        }
        let bind = pin.namespaces.iter().filter(|ns| !pause_makes(pin, **ns));
        let bind = bind.map(|ns| (*ns, self.ns_file(*ns))).collect();
        let request = Request { bind, hostname: pin.hostname.clone(), sysctls };
        if request.bind.is_empty() {
            return self.after_namespaces(caller, pin);
        }
        let slot = self.slot();
        let log = self.job_file(slot, "log");
        let json = serde_json::to_string(&request).map_err(|e| internal("request", e))?;
        let program = Path::new("/proc/self/exe");
        let pid = job::spawn(program, &["namespaces".into(), json.into()], &log, Stdio3::NONE)
            .map_err(|e| internal("the namespace helper can't be started", e))?;
        self.jobs.push(Job {
            task: Task::Namespaces,
            caller: Some(caller),
            pid,
            deadline: Instant::now() + job::TIMEOUT,
            timed_out: false,
            name: "husk-shim namespaces".into(),
            log,
            files: Vec::new(),
        });
        Ok(())
    }

    fn after_namespaces(&mut self, caller: Caller, pin: &Pin) -> Result<(), Failure> {
        if needs_pause(pin) {
            return self.create_pause(caller, pin);
        }
        self.pinned(caller, pin);
        Ok(())
    }

    fn pinned(&mut self, caller: Caller, pin: &Pin) {
        let namespaces = pin.namespaces.iter().map(|ns| (*ns, self.ns_file(*ns))).collect();
        let pinned = Pinned { namespaces, pause_pid: self.pod.pause_pid };
        self.pod.pinned = Some(pinned.clone());
        self.answer(Some(caller), Ok(Reply::Pinned(pinned)), None);
    }

    /// One of the jobs of `pin` is done.
    pub(crate) fn pin_step_done(&mut self, job: &Job, result: Result<(), Failure>) {
        let (Some(pin), Some(caller)) = (self.pod.request.clone(), job.caller) else { return };
        let result = result.and_then(|()| match job.task {
            Task::Namespaces => self.after_namespaces(caller, &pin),
            Task::PauseCreate => self.start_pause(caller, &pin, &job.files[0]),
            _ if !self.pod.pause_alive() => {
                Err(failure(FailureKind::Runtime, "the pause process ended at once"))
            }
            _ => {
                self.pod.pause_started = crate::clock::now();
                self.pinned(caller, &pin);
                Ok(())
            }
        });
        if let Err(mut e) = result {
            // The sentence of the helper begins with the program's name.
            e.message = e.message.trim_start_matches("husk-shim: ").to_owned();
            self.stop_pause();
            let _ = self.unbind();
            self.pod.request = None;
            self.answer(Some(caller), Err(e), None);
        }
    }

    /// Binds the namespaces that the pause container has made.
    pub(crate) fn bind_pause(&mut self, pid: i32, pin: &Pin) -> Result<(), Failure> {
        let ns = PathBuf::from(format!("/proc/{pid}/ns"));
        for namespace in pin.namespaces.iter().filter(|ns| pause_makes(pin, **ns)) {
            bind(&ns, *namespace, &self.ns_file(*namespace)).map_err(|e| internal("pin", e))?;
        }
        Ok(())
    }

    /// Unmounts the namespaces.
    fn unbind(&mut self) -> Result<(), Failure> {
        let folder = self.config.dir.join("ns");
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries.flatten() {
            let file = entry.path();
            // As often as something is mounted: a pin that failed may have been tried again.
            while rustix::mount::unmount(&file, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
            std::fs::remove_file(&file).map_err(|e| internal(&format!("{}", file.display()), e))?;
        }
        std::fs::remove_dir(&folder).map_err(|e| internal("rmdir", e))
    }

    /// Unpins and removes the shim's directory.
    pub(crate) fn unpin(&mut self) -> Result<(), Failure> {
        self.unbind()?;
        match std::fs::remove_dir_all(&self.config.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(internal("the shim's directory", e)),
            _ => Ok(()),
        }
    }
}

/// Makes a directory of mode 0700, which may exist.
pub fn make_dir(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(internal(&format!("mkdir {}", path.display()), e))
        }
        _ => Ok(()),
    }
}
