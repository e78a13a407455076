//! Id mappings of user namespaces and of mounts.

use super::{Error, Result};
use oci_spec::runtime::LinuxIdMapping;

/// One line of uid_map or gid_map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// Number of ids.
    pub size: u32,
}

/// Mappings of users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// Users.
    pub uids: Vec<Range>,
    /// Groups.
    pub gids: Vec<Range>,
}

impl Maps {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }
}

/// Most mappings of a user namespace (user_namespaces(7), since Linux 4.15).
const MAX: usize = 340;

/// Checks the mappings at a place of config.json.
pub fn plan(path: &str, mappings: &[LinuxIdMapping]) -> Result<Vec<Range>> {
    if mappings.len() > MAX {
        let problem = format!("has {} mappings, the kernel takes at most {MAX}", mappings.len());
        return Err(Error::new(path, problem));
    }
    let mut ranges: Vec<Range> = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let range =
            Range { inside: mapping.container_id(), outside: mapping.host_id(), size: mapping.size() };
        let path = format!("{path}[{index}]");
        if range.size == 0 {
            return Err(Error::new(format!("{path}.size"), "is 0: a mapping must have at least one id"));
        }
        // The last id, 2^32-1, means "no id" to the kernel and can't be mapped (CVE-2021-43784's class).
        for (field, first) in [("containerID", range.inside), ("hostID", range.outside)] {
            if u64::from(first) + u64::from(range.size) > u64::from(u32::MAX) {
                let problem = format!("{first} with size {} goes beyond the last id, 4294967294", range.size);
                return Err(Error::new(format!("{path}.{field}"), problem));
            }
        }
        let overlaps =
            |a: u32, b: u32, size: u32| a < b.saturating_add(size) && b < a.saturating_add(range.size);
        if ranges.iter().any(|other| overlaps(range.inside, other.inside, other.size)) {
            return Err(Error::new(format!("{path}.containerID"), "overlaps with another mapping's ids"));
        }
        if ranges.iter().any(|other| overlaps(range.outside, other.outside, other.size)) {
            return Err(Error::new(format!("{path}.hostID"), "overlaps with another mapping's ids"));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// The text that uid_map and gid_map take.
pub fn render(ranges: &[Range]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.size)).collect()
}

/// The id outside that an id inside stands for.
pub fn outside(ranges: &[Range], inside: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = inside.checked_sub(range.inside)?;
        (offset < range.size).then(|| range.outside + offset)
    })
}

/// The id that the container's setup runs as: 0 where it is mapped, else the first that is.
pub fn setup_id(ranges: &[Range]) -> u32 {
    if outside(ranges, 0).is_some() { 0 } else { ranges.first().map_or(0, |range| range.inside) }
}

#[cfg(test)]
mod tests {
    use super::{Range, outside, plan, render, setup_id};
    use oci_spec::runtime::LinuxIdMapping;

    fn mappings(json: &str) -> Vec<LinuxIdMapping> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn ranges_are_checked() {
        let good = mappings(
            r#"[{"containerID":0,"hostID":100000,"size":1},{"containerID":1,"hostID":100002,"size":9}]"#,
        );
        let ranges = plan("m", &good).unwrap();
        assert_eq!(render(&ranges), "0 100000 1\n1 100002 9\n");
        assert_eq!(outside(&ranges, 3), Some(100_004));
        assert_eq!(outside(&ranges, 10), None);
        for (bad, place) in [
            (r#"[{"containerID":0,"hostID":0,"size":0}]"#, "m[0].size"),
            (r#"[{"containerID":1,"hostID":0,"size":4294967295}]"#, "m[0].containerID"),
            (r#"[{"containerID":0,"hostID":4294967295,"size":1}]"#, "m[0].hostID"),
            (
                r#"[{"containerID":0,"hostID":0,"size":5},{"containerID":4,"hostID":9,"size":1}]"#,
                "m[1].containerID",
            ),
            (
                r#"[{"containerID":0,"hostID":0,"size":5},{"containerID":5,"hostID":4,"size":1}]"#,
                "m[1].hostID",
            ),
        ] {
            assert_eq!(plan("m", &mappings(bad)).unwrap_err().path, place, "{bad}");
        }
    }

    #[test]
    fn more_than_the_kernel_takes_is_told() {
        let many = |count: u32| {
            let one = |id| format!(r#"{{"containerID":{id},"hostID":{id},"size":1}}"#);
            let all: Vec<_> = (0..count).map(one).collect();
            plan("m", &mappings(&format!("[{}]", all.join(","))))
        };
        assert_eq!(many(340).unwrap().len(), 340);
        assert_eq!(many(341).unwrap_err().path, "m");
    }

    #[test]
    fn setup_runs_as_a_mapped_id() {
        let at = |inside| [Range { inside, outside: 7, size: 2 }];
        assert_eq!(setup_id(&at(0)), 0);
        assert_eq!(setup_id(&at(1000)), 1000);
    }
}
