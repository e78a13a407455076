//! What can be known about an end besides its wait status.

use husk_cgroup::{Hierarchy, path::of_process};
use husk_exit::{Baseline, ExitRecord, LogLine, Stream};
use std::path::{Path, PathBuf};

/// Lines of output that a record quotes, and their bytes.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: usize = 2048;

/// The cgroup2 directory of a container's init, if it is the container's own. A runtime that works with cgroup v1
/// leaves the process in the shim's: what is counted there, or killed there, is not the container's. The path that
/// husk-cri asks for ends in the container's id.
pub fn own_cgroup(pid: i32, id: &str) -> Option<PathBuf> {
    let (theirs, ours) = (of_process(&pid.to_string())?, of_process("self")?);
    let name = Path::new(&theirs).file_name()?.to_str()?;
    if !name.contains(id) || Path::new(&ours).starts_with(&theirs) || theirs.contains("/../") {
        return None;
    }
    let dir = Hierarchy::detect().ok()?.group(&theirs);
    dir.is_dir().then_some(dir)
}

/// Whether a runtime has put a container into cgroup v1 groups.
pub fn uses_v1(pid: i32, id: &str) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    text.lines().any(|line| !line.starts_with("0::") && line.contains(id))
}

/// Adds what the cgroup and the kernel's log say. It is read after init's end and before the runtime removes the group.
pub fn gather(record: &mut ExitRecord, dir: Option<&Path>, before: &Baseline) {
    match dir {
        Some(dir) => husk_exit::gather(record, dir, before),
        None => record
            .gaps
            .push("the container has no cgroup v2 group of its own: OOM and limits are not known".into()),
    }
}

/// The last lines of a log in CRI format, parts put together.
pub fn log_tail(log: &[u8]) -> Vec<LogLine> {
    let mut lines: Vec<LogLine> = Vec::new();
    let mut open: [Vec<u8>; 2] = Default::default();
    for line in log.split(|b| *b == b'\n') {
        let mut fields = line.splitn(4, |b| *b == b' ');
        let (Some(_time), Some(stream), Some(tag), Some(text)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (stream, part) = match stream {
            b"stdout" => (Stream::Stdout, &mut open[0]),
            b"stderr" => (Stream::Stderr, &mut open[1]),
            _ => continue,
        };
        part.extend_from_slice(text);
        if tag == b"F" {
            let text = String::from_utf8_lossy(part).trim_end_matches('\r').to_owned();
            lines.push(LogLine { stream, text });
            part.clear();
        }
    }
    let mut room = TAIL_BYTES;
    let mut out: Vec<LogLine> = Vec::new();
    for mut line in lines.into_iter().rev().take(TAIL_LINES) {
        if line.text.len() > room {
            if !out.is_empty() {
                break;
            }
            // The last line alone is too long: its end says most.
            let mut start = line.text.len() - room;
            while !line.text.is_char_boundary(start) {
                start += 1;
            }
            line.text.drain(..start);
        }
        room -= line.text.len();
        out.push(line);
    }
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::{TAIL_BYTES, log_tail, own_cgroup};

    #[test]
    fn the_tail_is_short_and_whole() {
        let mut log = String::new();
        for n in 0..50 {
            log += &format!("2026-01-01T00:00:00.000000000Z stdout F line {n}\n");
        }
        log +=
            "2026-01-01T00:00:00.000000000Z stderr P one \n2026-01-01T00:00:00.000000000Z stdout F between\n";
        log += "2026-01-01T00:00:00.000000000Z stderr F two words\n";
        let tail = log_tail(log.as_bytes());
        assert_eq!(tail.len(), 10);
        assert_eq!(tail[0].text, "line 42");
        assert_eq!(tail[8].text, "between");
        assert_eq!(tail[9].text, "one two words");
        let long = format!("t stdout F {}end\n", "é".repeat(5000));
        let tail = log_tail(long.as_bytes());
        assert!(tail[0].text.len() <= TAIL_BYTES && tail[0].text.ends_with("end"));
        assert!(log_tail(b"").is_empty());
        assert!(log_tail(b"garbage\n\xff\xff").is_empty());
    }

    #[test]
    fn the_shims_own_group_is_never_a_containers() {
        assert_eq!(own_cgroup(std::process::id() as i32, "c"), None);
    }
}
