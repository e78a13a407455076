//! Writes the settings, and takes them back where one fails.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Leniency, Missing, Setting, Skipped};
use crate::{Cgroup, Error, Result, read};

/// What a file held before husk wrote to it.
struct Before {
    path: PathBuf,
    value: String,
}

/// Writes all settings in order. On an error everything that was written is put back, latest first.
pub(super) fn all(
    group: &Cgroup,
    settings: &[Setting],
    leniency: Leniency,
    skipped: &mut Vec<Skipped>,
) -> Result<()> {
    let mut written = Vec::new();
    let result = write_each(group, settings, leniency, skipped, &mut written);
    if result.is_err() {
        for before in written.into_iter().rev() {
            // The error to tell is the first one; a value that cannot be put back adds nothing a person could act on.
            let _ = read::write(&before.path, &before.value);
        }
    }
    result
}

fn write_each(
    group: &Cgroup,
    settings: &[Setting],
    leniency: Leniency,
    skipped: &mut Vec<Skipped>,
    written: &mut Vec<Before>,
) -> Result<()> {
    let mut again = Vec::new();
    for setting in settings {
        match write_one(group, setting, written) {
            Ok(()) => {}
            Err(Error::Write { errno, .. })
                if setting.again && errno.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                again.push(setting);
            }
            Err(Error::NoController { field, reason, .. }) if leniency == Leniency::Skip => {
                skipped.push(Skipped { field, reason });
            }
            Err(err) => return Err(err),
        }
    }
    again.into_iter().try_for_each(|setting| write_one(group, setting, written))
}

fn write_one(group: &Cgroup, setting: &Setting, written: &mut Vec<Before>) -> Result<()> {
    let mut refused = None;
    for (file, value) in &setting.choices {
        let path = group.path().join(file);
        let before = before(&path, value);
        match read::write(&path, value) {
            Ok(()) => {
                written.extend(before.map(|value| Before { path, value }));
                return Ok(());
            }
            Err(errno) if errno.kind() == io::ErrorKind::NotFound => {}
            Err(errno) => {
                let unsupported = errno.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error());
                let (field, value) = (setting.field.clone(), value.clone());
                let hint = hint(group, file, &errno);
                let error = Error::Write { field, value, path, errno, hint };
                if !unsupported {
                    return Err(error);
                }
                // BFQ is loaded, but this disk has another scheduler: the next file may be for it.
                refused = Some(error);
            }
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    if setting.missing == Missing::Harmless {
        return Ok(());
    }
    Err(missing(group, setting))
}

/// None of the setting's files exists.
fn missing(group: &Cgroup, setting: &Setting) -> Error {
    let field = setting.field.clone();
    let file = setting.choices.last().map_or("", |(file, _)| file.as_str());
    let path = group.path().join(file);
    let controllers = match group.controllers() {
        Ok(list) => list,
        Err(err) => return err,
    };
    if setting.controller == "cgroup" || controllers.contains(&setting.controller) {
        let reason = if setting.controller == "hugetlb" {
            "the host has no huge pages of this size".to_string()
        } else {
            format!("the group has the {} controller, but this kernel has no such file", setting.controller)
        };
        return Error::NoFile { field, path, reason };
    }
    Error::NoController {
        field,
        controller: setting.controller.clone(),
        path: group.path().to_path_buf(),
        reason: group.why_no_controller(&setting.controller),
    }
}

/// The value to put back. Files of devices (`8:0 rbps=…`) hold one line per device, written one at a time.
fn before(path: &Path, value: &str) -> Option<String> {
    let text = read::text(path).ok()?;
    let text = text.trim();
    let Some((device, _)) = value.split_once(' ').filter(|(device, _)| device.contains(':')) else {
        return (!text.contains('\n')).then(|| if text.is_empty() { "\n".into() } else { text.to_string() });
    };
    let old = text.lines().find(|line| line.split(' ').next() == Some(device));
    let none = match path.file_name()?.to_str()? {
        "io.max" => Some(format!("{device} rbps=max wbps=max riops=max wiops=max")),
        _ => Some(format!("{device} default")),
    };
    old.map(str::to_string).or(none)
}

/// What usually is wrong, where the errno alone leaves a person guessing.
fn hint(group: &Cgroup, file: &str, errno: &io::Error) -> String {
    let Some(errno) = errno.raw_os_error().map(Errno::from_raw_os_error) else { return String::new() };
    let parent = |name: &str| {
        let dir = group.path().parent()?;
        read::text(&dir.join(name)).ok().map(|text| text.trim().to_string())
    };
    match (file, errno) {
        ("cpu.max", Errno::INVAL) => {
            ": the period must be 1000 to 1000000 microseconds, the quota at least 1000 and not below the burst".into()
        }
        ("cpu.max.burst", Errno::INVAL) => ": the burst must not be above the quota".into(),
        ("cpuset.cpus" | "cpuset.mems", Errno::INVAL | Errno::RANGE | Errno::ACCESS | Errno::NOSPC) => {
            parent(&format!("{file}.effective")).map(|have| format!(": the parent has {have}")).unwrap_or_default()
        }
        ("io.max" | "io.weight" | "io.bfq.weight", Errno::NODEV | Errno::NXIO) => {
            ": there is no such disk (partitions cannot be limited)".into()
        }
        ("io.weight" | "io.bfq.weight", Errno::OPNOTSUPP) => {
            ": the disk has neither the scheduler bfq nor a cost model (io.cost.qos)".into()
        }
        (_, Errno::ACCESS | Errno::PERM) => ": the group is not delegated to this user".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A plain directory with files stands for a group: what is tested is husk's own order, not the kernel.
    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "pids io\n").unwrap();
        for (name, value) in files {
            fs::write(dir.path().join(name), value).unwrap();
        }
        let group = Cgroup::open(dir.path());
        (dir, group)
    }

    fn run(group: &Cgroup, settings: &[Setting], leniency: Leniency) -> (Result<()>, Vec<Skipped>) {
        let mut skipped = Vec::new();
        (all(group, settings, leniency, &mut skipped), skipped)
    }

    #[test]
    fn a_failure_puts_back_what_was_written() {
        let (dir, group) = group(&[("pids.max", "33\n")]);
        let settings = [
            Setting::new("pids", "pids.limit", "pids.max", "77"),
            Setting::new("pids", "x", "pids.nothing", "1"),
        ];
        let (result, _) = run(&group, &settings, Leniency::Strict);
        assert!(matches!(result, Err(Error::NoFile { .. })), "{result:?}");
        assert_eq!(fs::read_to_string(dir.path().join("pids.max")).unwrap().trim(), "33");
    }

    #[test]
    fn missing_controllers_are_skipped_if_asked() {
        let (_dir, group) = group(&[]);
        let settings = [Setting::new("memory", "memory.limit", "memory.max", "1")];
        let (result, _) = run(&group, &settings, Leniency::Strict);
        let text = result.unwrap_err().to_string();
        assert!(text.contains("linux.resources.memory.limit needs the memory controller"), "{text}");
        let (result, skipped) = run(&group, &settings, Leniency::Skip);
        assert!(result.is_ok());
        assert_eq!(skipped[0].field, "linux.resources.memory.limit");
    }

    #[test]
    fn harmless_values_need_no_file() {
        let (_dir, group) = group(&[]);
        let setting = Setting::new("memory", "memory.limit", "memory.max", "max").harmless_if_missing(true);
        let (result, skipped) = run(&group, &[setting], Leniency::Strict);
        assert!(result.is_ok() && skipped.is_empty());
    }

    #[test]
    fn second_choice_where_the_first_is_missing() {
        let (dir, group) = group(&[("io.weight", "default 100\n")]);
        let setting = Setting::new("io", "blockIO.weight", "io.bfq.weight", "500").or("io.weight", "4950");
        run(&group, &[setting], Leniency::Strict).0.unwrap();
        assert!(fs::read_to_string(dir.path().join("io.weight")).unwrap().starts_with("4950"));
    }

    #[test]
    fn lines_of_devices_are_put_back_by_device() {
        let (dir, _) = group(&[("io.max", "8:0 rbps=5 wbps=max riops=max wiops=max\n")]);
        let path = dir.path().join("io.max");
        assert!(before(&path, "8:0 rbps=9").unwrap().contains("rbps=5"));
        assert_eq!(before(&path, "8:16 rbps=9").unwrap(), "8:16 rbps=max wbps=max riops=max wiops=max");
    }
}
