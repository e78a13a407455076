//! Names of properties, in whatever case they were written.
//!
//! Go's decoder takes a name in any case, so people's configurations have `readOnly` and `pagesize`, and work with runc.
//! Passed over as unknown they would be a root that can be written to and a limit that is none.

use std::borrow::Cow;

/// The properties of config.json on Linux, sorted.
const NAMES: [&str; 148] = [
    "access",
    "action",
    "additionalGids",
    "allow",
    "ambient",
    "annotations",
    "apparmorProfile",
    "architectures",
    "args",
    "blockIO",
    "bounding",
    "burst",
    "capabilities",
    "cgroupsPath",
    "checkBeforeUpdate",
    "class",
    "classID",
    "closID",
    "consoleSize",
    "containerID",
    "cpu",
    "cpus",
    "createContainer",
    "createRuntime",
    "cwd",
    "deadline",
    "defaultAction",
    "defaultErrnoRet",
    "destination",
    "devices",
    "disableOOMKiller",
    "domain",
    "domainname",
    "effective",
    "enableMonitoring",
    "env",
    "errnoRet",
    "execCPUAffinity",
    "fileMode",
    "final",
    "flags",
    "gid",
    "gidMappings",
    "hard",
    "hcaHandles",
    "hcaObjects",
    "height",
    "hooks",
    "hostID",
    "hostname",
    "hugepageLimits",
    "idle",
    "index",
    "inheritable",
    "initial",
    "intelRdt",
    "ioPriority",
    "kernel",
    "kernelTCP",
    "l3CacheSchema",
    "leafWeight",
    "limit",
    "linux",
    "listenerMetadata",
    "listenerPath",
    "major",
    "maskedPaths",
    "memBwSchema",
    "memory",
    "memoryPolicy",
    "mems",
    "minor",
    "mode",
    "mountLabel",
    "mounts",
    "name",
    "names",
    "namespaces",
    "nanosecs",
    "netDevices",
    "network",
    "nice",
    "noNewPrivileges",
    "nodes",
    "ociVersion",
    "oomScoreAdj",
    "op",
    "options",
    "pageSize",
    "path",
    "period",
    "permitted",
    "personality",
    "pids",
    "policy",
    "poststart",
    "poststop",
    "prestart",
    "priorities",
    "priority",
    "process",
    "quota",
    "rate",
    "rdma",
    "readonly",
    "readonlyPaths",
    "realtimePeriod",
    "realtimeRuntime",
    "reservation",
    "resources",
    "rlimits",
    "root",
    "rootfsPropagation",
    "runtime",
    "scheduler",
    "schemata",
    "seccomp",
    "secs",
    "selinuxLabel",
    "shares",
    "size",
    "soft",
    "source",
    "startContainer",
    "swap",
    "swappiness",
    "syscalls",
    "sysctl",
    "terminal",
    "throttleReadBpsDevice",
    "throttleReadIOPSDevice",
    "throttleWriteBpsDevice",
    "throttleWriteIOPSDevice",
    "timeOffsets",
    "timeout",
    "type",
    "uid",
    "uidMappings",
    "umask",
    "unified",
    "useHierarchy",
    "user",
    "username",
    "value",
    "valueTwo",
    "weight",
    "weightDevice",
    "width",
];

/// Properties whose own members have names that the specification does not give.
const FREE: [&[u8]; 6] = [b"annotations", b"sysctl", b"unified", b"rdma", b"netDevices", b"timeOffsets"];

/// Writes names as the specification does. Nothing else of the text changes, not even its length; it need not be JSON.
pub fn corrected(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(text);
    // The names of the objects and lists that are open, from outside in.
    let mut open: Vec<&[u8]> = Vec::new();
    let mut last: &[u8] = b"";
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => open.push(std::mem::take(&mut last)),
            b'}' | b']' => {
                open.pop();
            }
            b',' => last = b"",
            b'"' => {
                let begin = at;
                at += string_length(text.get(at..).unwrap_or_default());
                let string = text.get(begin..at).unwrap_or_default();
                at += 1;
                let rest = text.get(at..).unwrap_or_default();
                if rest.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b':') {
                    continue;
                }
                last = string;
                if open.last().is_some_and(|parent| FREE.contains(parent)) {
                    continue;
                }
                if let Some(name) = another_case_of(string) {
                    last = name.as_bytes();
                    if let Some(place) = out.to_mut().get_mut(begin..begin + name.len()) {
                        place.copy_from_slice(name.as_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// Bytes before the quotation mark that ends a string.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(text.len())
}

/// The property that a name stands for, if it is not written so already.
fn another_case_of(name: &[u8]) -> Option<&'static str> {
    if NAMES.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok() {
        return None;
    }
    NAMES.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::{NAMES, corrected};
    use std::borrow::Cow;

    #[test]
    fn names_are_sorted_and_differ_in_more_than_case() {
        assert!(NAMES.is_sorted());
        let mut lower: Vec<_> = NAMES.iter().map(|name| name.to_ascii_lowercase()).collect();
        lower.sort();
        lower.dedup();
        assert_eq!(lower.len(), NAMES.len());
    }

    #[test]
    fn names_are_written_as_in_the_specification_and_nothing_else_is() {
        for (text, wanted) in [
            (r#"{"ROOT": {"readOnly" : true}}"#, r#"{"root": {"readonly" : true}}"#),
            (r#"[{"pagesize": "2MB", "Limit": 1}]"#, r#"[{"pageSize": "2MB", "limit": 1}]"#),
            (r#"{"Args": ["Path", "TYPE:", "a\":\"Env"]}"#, r#"{"args": ["Path", "TYPE:", "a\":\"Env"]}"#),
            (
                r#"{"ANNOTATIONS": {"Type": "Path"}, "Type": 1}"#,
                r#"{"annotations": {"Type": "Path"}, "type": 1}"#,
            ),
            (r#"{"rdma": {"Name": {"HcaHandles": 1}}}"#, r#"{"rdma": {"Name": {"hcaHandles": 1}}}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&corrected(text.as_bytes())), wanted);
        }
        for same in [r#"{"root":{"path":"Path"},"other":{"x":1}}"#, "\"", "{\"a\\", "}}]]\"x\":", ""] {
            assert!(matches!(corrected(same.as_bytes()), Cow::Borrowed(_)), "{same}");
        }
    }
}
