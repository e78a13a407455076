//! `husk ps`: shows the processes of a container.

use super::target::Target;
use crate::cli::Global;
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::process::{Command, ExitCode};

/// Arguments of `husk ps`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Form of the output: table or json
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Id of the container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Options for ps(1), whose output must have a PID column (default: -ef)
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub ps_options: Vec<String>,
}

/// Shows the processes: their pids as JSON, or the lines of ps(1) that are about them.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let target = Target::open(global, &args.id)?;
    let pids =
        target.cgroup()?.pids().with_context(|| format!("list processes of container {:?}", args.id))?;
    let mut out = std::io::stdout().lock();
    match args.format.as_str() {
        "json" => writeln!(out, "{}", serde_json::to_string(&pids)?)?,
        "table" => out.write_all(table(&args.ps_options, &pids)?.as_bytes())?,
        other => bail!("--format {other:?}: table and json are possible"),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(options: &[String], pids: &[u32]) -> anyhow::Result<String> {
    let mut ps = Command::new("ps");
    if options.is_empty() {
        ps.arg("-ef");
    } else {
        ps.args(options);
    }
    let output =
        ps.output().context("run the ps program (Debian package procps); --format json does without")?;
    if !output.status.success() {
        bail!("ps {}: {}", options.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    filter(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The head line and the lines whose PID column is one of the pids.
fn filter(text: &str, pids: &[u32]) -> anyhow::Result<String> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|title| title == "PID");
    let column =
        column.with_context(|| format!("ps printed no PID column: {head:?}; choose other options"))?;
    let mut out = format!("{head}\n");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        if pid.is_some_and(|pid: u32| pids.contains(&pid)) {
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn lines_of_other_processes_are_left_out() {
        let text = "UID  PID PPID CMD\nroot   7    1 sh\nroot   8    7 sleep 77\nodd line\n";
        assert_eq!(filter(text, &[8]).unwrap(), "UID  PID PPID CMD\nroot   8    7 sleep 77\n");
        assert!(filter("UID CMD\n", &[8]).unwrap_err().to_string().contains("PID column"));
    }
}
