//! What husk asks of systemd (org.freedesktop.systemd1(5), "The Manager Object").

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use serde::Serialize;
use zbus::wire::DynamicType;
use zbus::{Array, OwnedObjectPath, OwnedVariant, Str, Variant};

use super::bus::{Bus, Refused};
use super::message::{Message, Method};
use super::properties::{self, Property};
use super::{Name, text};
use crate::resources::plan;
use crate::{Error, Hierarchy, Result};

const SYSTEMD: Method<'static> = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
};
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// How long a unit that has ended may take to be forgotten by systemd, before its name is free again.
const FORGETTING: Duration = Duration::from_secs(5);
/// `CPUWeight` 0 is `cpu.idle` from this version on, and an invalid value before.
const IDLE_SINCE: u32 = 252;

/// A scope to be made.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Its name and slice.
    pub name: &'a Name,
    /// The container's id, for the description that `systemctl` shows.
    pub id: &'a str,
    /// The process that it begins with: systemd makes none that is empty, and ends it when the last process goes.
    pub pid: u32,
    /// The container's limits.
    pub resources: Option<&'a LinuxResources>,
    /// The container's annotations: `org.systemd.property.*` are further properties.
    pub annotations: &'a BTreeMap<String, String>,
}

/// A connection to the systemd that owns the tree, for one command of husk: what is done over one connection has a minute.
pub struct Manager {
    bus: Bus,
    watched: bool,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

impl Manager {
    /// The machine's systemd, or the user's own. Nothing is started where none runs.
    pub fn connect(user: bool) -> Result<Self> {
        Ok(Self { bus: Bus::connect(user)?, watched: false })
    }

    /// Makes a scope with one process in it, with its limits in force, and gives its directory once it is there.
    pub fn start(&mut self, scope: &Scope<'_>) -> Result<PathBuf> {
        let unit = &scope.name.unit;
        let mut wanted: Vec<Property> = [
            ("Description", Variant::from(format!("husk container {}", scope.id))),
            ("Slice", Variant::from(scope.name.slice.clone())),
            ("Delegate", Variant::from(true)),
            // Without these a shutdown of the machine would wait for, and be waited for by, other units.
            ("DefaultDependencies", Variant::from(false)),
            // A scope whose processes were killed is not kept as failed: its name is free again.
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("CPUAccounting", Variant::from(true)),
            ("IOAccounting", Variant::from(true)),
            ("MemoryAccounting", Variant::from(true)),
            ("TasksAccounting", Variant::from(true)),
            ("PIDs", Variant::Array(Array::from(vec![scope.pid]))),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into();
        let limits = match scope.resources {
            Some(resources) => self.limits(resources)?,
            None => Vec::new(),
        };
        for (name, value) in text::of(scope.annotations)? {
            wanted.retain(|(other, _)| *other != name);
            wanted.push((name, value));
        }
        wanted.extend(limits);
        let auxiliary: Vec<(String, Vec<Property>)> = Vec::new();
        let body = (unit.as_str(), "replace", wanted, auxiliary);
        let deadline = Instant::now() + FORGETTING;
        loop {
            match self.job("StartTransientUnit", unit, &body)? {
                Ok(()) => break,
                // It has ended and systemd is about to forget it, or it was left as failed.
                Err(refused)
                    if refused.name == UNIT_EXISTS && Instant::now() < deadline && self.is_over(unit)? =>
                {
                    self.reset(unit)?;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(refused) => return Err(failed("StartTransientUnit", unit, &refused)),
            }
        }
        self.directory(unit)
    }

    /// Tells systemd the limits of a unit, which puts them in force until it is gone.
    pub fn set_limits(&mut self, unit: &str, resources: &LinuxResources) -> Result<()> {
        let properties = self.limits(resources)?;
        if properties.is_empty() {
            return Ok(());
        }
        let runtime = true;
        self.ask("SetUnitProperties", unit, &(unit, runtime, properties)).map(drop)
    }

    /// Moves a process into a unit: for a caller who may not do it himself, because he comes from a part of the tree that is
    /// not his.
    pub fn attach(&mut self, unit: &str, pid: u32) -> Result<()> {
        self.ask("AttachProcessesToUnit", unit, &(unit, "", vec![pid])).map(drop)
    }

    /// Ends a unit whose processes are gone, and has systemd forget it. One that it does not know is no error.
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        match self.job("StopUnit", unit, &(unit, "replace"))? {
            Ok(()) => {}
            Err(refused) if refused.name == NO_SUCH_UNIT => return Ok(()),
            Err(refused) => return Err(failed("StopUnit", unit, &refused)),
        }
        self.reset(unit)
    }

    /// The unit's directory in the cgroup tree, as systemd has it.
    fn directory(&mut self, unit: &str) -> Result<PathBuf> {
        let group = self.get(&unit_path(unit), "org.freedesktop.systemd1.Scope", "ControlGroup")?;
        let group = Str::try_from(group).map(|text| text.to_string()).unwrap_or_default();
        if group.trim_matches('/').is_empty() {
            let reason = "the unit has no cgroup: did its processes end?".to_string();
            return Err(Error::Systemd { call: "StartTransientUnit", unit: unit.to_string(), reason });
        }
        Ok(Hierarchy::detect()?.root().join(group.trim_start_matches('/')))
    }

    fn limits(&mut self, resources: &LinuxResources) -> Result<Vec<Property>> {
        let mut limits = properties::of(&plan(resources)?.settings);
        let idle = |(name, value): &Property| name == "CPUWeight" && *value == Variant::U64(0);
        if limits.iter().any(idle) && self.version()? < IDLE_SINCE {
            limits.retain(|property| !idle(property));
        }
        Ok(limits)
    }

    /// `252.38-1~deb12u1` is 252.
    fn version(&mut self) -> Result<u32> {
        let value = self.get(SYSTEMD.path, SYSTEMD.interface, "Version")?;
        let text = Str::try_from(value).map(|text| text.to_string()).unwrap_or_default();
        let digits: String = text.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse().unwrap_or(0))
    }

    fn is_over(&mut self, unit: &str) -> Result<bool> {
        let state = self.get(&unit_path(unit), "org.freedesktop.systemd1.Unit", "ActiveState");
        match state.map(Str::try_from) {
            Ok(Ok(state)) => Ok(matches!(state.as_str(), "inactive" | "failed" | "deactivating")),
            // Forgotten between the two calls.
            Ok(Err(_)) | Err(Error::Systemd { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn reset(&mut self, unit: &str) -> Result<()> {
        // Not failed, or not there any more: nothing to reset.
        let method = Method { member: "ResetFailedUnit", ..SYSTEMD };
        self.bus.call(&method, Some(&(unit,))).map(drop)
    }

    fn get(&mut self, path: &str, interface: &str, property: &str) -> Result<OwnedVariant> {
        let method = Method { path, interface: "org.freedesktop.DBus.Properties", member: "Get", ..SYSTEMD };
        let reply = self.bus.call(&method, Some(&(interface, property)))?;
        let reply = reply.map_err(|refused| failed("Get", property, &refused))?;
        reply.body().map_err(|reason| self.bus.unusable(&reason))
    }

    fn ask<B: Serialize + DynamicType>(
        &mut self,
        call: &'static str,
        unit: &str,
        body: &B,
    ) -> Result<Message> {
        let method = Method { member: call, ..SYSTEMD };
        self.bus.call(&method, Some(body))?.map_err(|refused| failed(call, unit, &refused))
    }

    /// Calls a method that queues a job, and waits for the job's end.
    fn job<B: Serialize + DynamicType>(
        &mut self,
        call: &'static str,
        unit: &str,
        body: &B,
    ) -> Result<std::result::Result<(), Refused>> {
        if !self.watched {
            self.bus.watch(JOB_REMOVED)?;
            // systemd sends signals only while somebody has asked for them.
            self.ask("Subscribe", "", &())?;
            self.watched = true;
        }
        let method = Method { member: call, ..SYSTEMD };
        let reply = match self.bus.call(&method, Some(body))? {
            Ok(reply) => reply,
            Err(refused) => return Ok(Err(refused)),
        };
        let job: OwnedObjectPath = reply.body().map_err(|reason| self.bus.unusable(&reason))?;
        loop {
            let signal = self.bus.signal()?;
            if signal.member != "JobRemoved" {
                continue;
            }
            let Ok((_, path, _, result)) = signal.body::<(u32, OwnedObjectPath, String, String)>() else {
                continue;
            };
            if path != job {
                continue;
            }
            if result == "done" {
                return Ok(Ok(()));
            }
            let reason =
                format!("the job ended with {result:?}; systemctl status {unit} or the journal says more");
            return Err(Error::Systemd { call, unit: unit.to_string(), reason });
        }
    }
}

fn failed(call: &'static str, unit: &str, refused: &Refused) -> Error {
    let reason = match refused.text.is_empty() {
        true => refused.name.clone(),
        false => format!("{} ({})", refused.text, refused.name),
    };
    Error::Systemd { call, unit: unit.to_string(), reason }
}

/// The object of a unit: letters and digits as they are, all else as `_2e`; a digit in front, too.
fn unit_path(unit: &str) -> String {
    let mut out = String::from("/org/freedesktop/systemd1/unit/");
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unit_path;

    #[test]
    fn objects_of_units() {
        assert_eq!(unit_path("husk-a1.scope"), "/org/freedesktop/systemd1/unit/husk_2da1_2escope");
        assert_eq!(unit_path("1_x"), "/org/freedesktop/systemd1/unit/_31_5fx");
    }
}
