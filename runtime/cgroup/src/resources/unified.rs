//! `linux.resources.unified`: any file of the group, by name.

use std::collections::HashMap;

use super::{Plan, Setting, invalid};
use crate::Result;

/// Files that act on processes instead of limiting them: husk's own business.
const NOT_LIMITS: [&str; 4] = ["cgroup.procs", "cgroup.threads", "cgroup.freeze", "cgroup.kill"];

pub(super) fn plan(files: &HashMap<String, String>, plan: &mut Plan) -> Result<()> {
    // A map has no order; sorted, the same spec gives the same writes each time.
    let mut names: Vec<_> = files.keys().collect();
    names.sort();
    for name in names {
        let field = format!("unified[{name}]");
        let Some((controller, rest)) = name.split_once('.') else {
            return Err(invalid(&field, "a name must have the form CONTROLLER.PARAMETER"));
        };
        let legal = |part: &str| !part.is_empty() && !part.contains(['/', '\0', '\n']);
        if !legal(controller) || !legal(rest) {
            return Err(invalid(&field, "a name must have the form CONTROLLER.PARAMETER, without slashes"));
        }
        if NOT_LIMITS.contains(&name.as_str()) {
            return Err(invalid(&field, "it is not a limit and cannot be set here"));
        }
        // The kernel takes one line per write.
        let value = &files[name];
        let lines: Vec<_> = value.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            // An empty value is meaningful for cpuset.cpus: inherit.
            plan.settings.push(Setting::new(controller, &field, name, "\n"));
        }
        for line in lines {
            plan.settings.push(Setting::new(controller, &field, name, line));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::resources::tests::{pair, planned, refused};

    #[test]
    fn lines_are_written_one_by_one() {
        let json = r#"{"unified":{"memory.oom.group":"1","io.max":"8:0 rbps=1\n8:16 wbps=2\n"}}"#;
        assert_eq!(
            planned(json),
            [pair("io.max", "8:0 rbps=1"), pair("io.max", "8:16 wbps=2"), pair("memory.oom.group", "1")]
        );
    }

    #[test]
    fn names_stay_in_the_group() {
        for name in
            ["../memory.max", "a/b.c", "memory", ".max", "memory.", "x./y", "cgroup.procs", "cgroup.kill"]
        {
            let json = format!(r#"{{"unified":{{"{name}":"1"}}}}"#);
            assert!(refused(&json).contains("linux.resources.unified"), "{name}");
        }
    }
}
