//! `husk events`: shows statistics and OOM notifications of a container.

mod shown;

use super::target::Target;
use crate::cli::Global;
use crate::log;
use anyhow::{Context as _, bail};
use husk_cgroup::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use shown::Shown;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Arguments of `husk events`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Time between two statistics, with its unit: 500ms, 5s, 2m
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub interval: String,
    /// Show the statistics once and end
    #[arg(long)]
    pub stats: bool,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// One line of output.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Shown>,
}

/// Shows the events: one JSON object per line, until the container has ended.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let interval = duration(&args.interval).with_context(|| format!("--interval {:?}", args.interval))?;
    let target = Target::open(global, &args.id)?;
    target.need_init()?;
    let group = target.cgroup()?;
    if args.stats {
        show(&args.id, "stats", Some(Shown::from(&group.stats()?)))?;
    } else {
        watch(&args.id, &group, interval)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(id: &str, kind: &str, data: Option<Shown>) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(&Event { r#type: kind, id, data })?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}

/// Statistics at each interval, an `oom` line whenever processes were killed, until the group has no process.
fn watch(id: &str, group: &Cgroup, interval: Duration) -> anyhow::Result<()> {
    let open = |name: &str| File::open(group.path().join(name));
    let state = open("cgroup.events").with_context(|| format!("open cgroup.events of container {id:?}"))?;
    // The kernel wakes pollers of these files at each change of their content.
    let memory = open("memory.events").ok();
    if memory.is_none() {
        log::warn(&format!("container {id:?} has no memory controller: OOM kills cannot be seen"));
    }
    let mut kills = group.memory_events()?.unwrap_or_default().oom_kill;
    let mut next = Instant::now() + interval;
    loop {
        // Read before it is asked whether all is over: a kill of the last process is to be shown.
        let now = group.memory_events()?.unwrap_or_default().oom_kill;
        if now > kills {
            show(id, "oom", None)?;
        }
        kills = now.max(kills);
        if group.is_empty()? {
            return Ok(());
        }
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            show(id, "stats", Some(Shown::from(&group.stats()?)))?;
            next += interval;
            continue;
        }
        // Woken each second all the same: a file that was opened before its group was removed never changes again.
        let left = left.min(Duration::from_secs(1));
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut files: Vec<_> = [Some(&state), memory.as_ref()]
            .into_iter()
            .flatten()
            .map(|f| PollFd::new(f, PollFlags::PRI))
            .collect();
        match poll(&mut files, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("poll"),
        }
        drop(files);
        acknowledge(&state);
        memory.as_ref().into_iter().for_each(acknowledge);
    }
}

/// kernfs reports a change until the file is read through the polled descriptor.
fn acknowledge(file: &File) {
    use std::os::unix::fs::FileExt as _;
    let _ = file.read_at(&mut [0; 512], 0);
}

/// Go's form of a duration: 5s, 1m30s, 250ms, 1.5h.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let number =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').context("a unit is missing, as in 5s")?;
        let (value, tail) = rest.split_at(number);
        let value: f64 = value.parse().with_context(|| format!("{value:?} is not a number"))?;
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        sum += value
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => bail!("{unit:?} is not one of h, m, s, ms, us, ns"),
            };
        rest = tail;
    }
    match Duration::try_from_secs_f64(sum) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => bail!("must be greater than 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [("5s", 5000), ("1m30s", 90_000), ("250ms", 250), ("1.5h", 5_400_000)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "5", "s", "0s", "-5s", "5 s", "5d", "1..5s", "1e99h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
