//! Runs built test programs, each test in a process of its own with a limit on its time, several at once.
//!
//! `husk-test [--jobs N] [--limit SECONDS] [--counts FILE] [--results] [--only TEXT] SUITE=PROGRAM[=TEXT]…`
//!
//! A test that fails is run once more, alone. Where it then passes it is named as `FLAKY`, counted, and the run goes on;
//! where it fails twice the run fails. Only failed tests' output is shown. Tests whose own name begins with `alone_` run by
//! themselves, after the others of all suites. FILE gets the counts, and FILE.skipped a line `SUITE TEST` per skipped test.
//! With `--results` the outcome of each test is printed as `RESULT SUITE::TEST passed|failed|skipped`.

use std::collections::VecDeque;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

struct Options {
    jobs: usize,
    limit: Duration,
    counts: Option<String>,
    only: Option<String>,
    results: bool,
    suites: Vec<Suite>,
}

struct Suite {
    name: String,
    program: String,
    /// Of its tests only those whose name has this.
    text: String,
}

#[derive(Clone)]
struct Test {
    suite: String,
    program: String,
    name: String,
}

impl Test {
    fn title(&self) -> String {
        format!("{}::{}", self.suite, self.name)
    }

    fn alone(&self) -> bool {
        self.name.rsplit("::").next().is_some_and(|name| name.starts_with("alone_"))
    }
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

#[derive(Default)]
struct Report {
    passed: Vec<String>,
    failed: Vec<String>,
    flaky: Vec<String>,
    skipped: Vec<String>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("husk-test: {message}");
            return ExitCode::from(2);
        }
    };
    let mut tests = Vec::new();
    for suite in &options.suites {
        match list(&suite.name, &suite.program) {
            Ok(found) => {
                for test in found.into_iter().filter(|test| test.name.contains(&suite.text)) {
                    // A suite may be named several times, with different texts.
                    if !tests.iter().any(|other: &Test| other.title() == test.title()) {
                        tests.push(test);
                    }
                }
            }
            Err(message) => {
                eprintln!("husk-test: {}: {message}", suite.name);
                return ExitCode::from(2);
            }
        }
    }
    if let Some(only) = &options.only {
        tests.retain(|test| test.title().contains(only.as_str()));
    }
    let report = run_all(&options, tests);
    finish(&options, &report)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let in_vm = husk_tests::in_vm();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let limit = Duration::from_secs(if in_vm { 900 } else { 240 });
    let mut options = Options {
        jobs: cores.clamp(1, 4),
        limit,
        counts: None,
        only: None,
        results: false,
        suites: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--jobs" => options.jobs = value()?.parse().map_err(|_| "--jobs takes a number".to_owned())?,
            "--limit" => {
                let seconds = value()?.parse().map_err(|_| "--limit takes seconds".to_owned())?;
                options.limit = Duration::from_secs(seconds);
            }
            "--counts" => options.counts = Some(value()?),
            "--results" => options.results = true,
            "--only" => options.only = Some(value()?),
            _ => {
                let mut parts = argument.splitn(3, '=').map(str::to_owned);
                let (Some(name), Some(program)) = (parts.next(), parts.next()) else {
                    return Err(format!("{argument}: neither a flag nor SUITE=PROGRAM"));
                };
                options.suites.push(Suite { name, program, text: parts.next().unwrap_or_default() });
            }
        }
    }
    Ok(options)
}

/// Asks a test program which tests it has, leaving out ignored ones.
fn list(suite: &str, program: &str) -> Result<Vec<Test>, String> {
    let names = |extra: &[&str]| -> Result<Vec<String>, String> {
        let output = Command::new(program)
            .args(["--list", "--format", "terse"])
            .args(extra)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{program} --list: {}", output.status));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    };
    let ignored = names(&["--ignored"])?;
    Ok(names(&[])?
        .into_iter()
        .filter(|name| !ignored.contains(name))
        .map(|name| Test { suite: suite.to_owned(), program: program.to_owned(), name })
        .collect())
}

fn run_all(options: &Options, tests: Vec<Test>) -> Report {
    let (alone, together): (Vec<_>, Vec<_>) = tests.into_iter().partition(Test::alone);
    let report = Mutex::new(Report::default());
    let again = Mutex::new(Vec::new());
    let mut suites: Vec<(String, usize, Instant)> = Vec::new();
    for test in &together {
        match suites.iter_mut().find(|(suite, ..)| *suite == test.suite) {
            Some((_, left, _)) => *left += 1,
            None => suites.push((test.suite.clone(), 1, Instant::now())),
        }
    }
    let suites = Mutex::new(suites);
    let queue = Mutex::new(VecDeque::from(together));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some(test) = pop(&queue) {
                    let outcome = run(options, &test);
                    record(&test, outcome, &report, &again);
                    progress(&test, &suites);
                }
            });
        }
    });
    for test in alone {
        let outcome = run(options, &test);
        record(&test, outcome, &report, &again);
    }
    let mut report = report.into_inner().expect("no thread panicked");
    for (test, first) in again.into_inner().expect("no thread panicked") {
        match run(options, &test) {
            Outcome::Passed => {
                say(&format!(
                    "FLAKY: {} failed once, then passed alone. First output:\n{first}",
                    test.title()
                ));
                report.passed.push(test.title());
                report.flaky.push(test.title());
            }
            Outcome::Skipped(reason) => report.skipped.push(format!("{}: {reason}", test.title())),
            Outcome::Failed(second) => {
                say(&format!("FAILED: {} (twice)\n{second}", test.title()));
                report.failed.push(test.title());
            }
        }
    }
    report
}

fn pop(queue: &Mutex<VecDeque<Test>>) -> Option<Test> {
    queue.lock().expect("no thread panicked").pop_front()
}

fn record(test: &Test, outcome: Outcome, report: &Mutex<Report>, again: &Mutex<Vec<(Test, String)>>) {
    match outcome {
        Outcome::Passed => report.lock().expect("no thread panicked").passed.push(test.title()),
        Outcome::Skipped(reason) => {
            report.lock().expect("no thread panicked").skipped.push(format!("{}: {reason}", test.title()));
        }
        Outcome::Failed(output) => {
            say(&format!("{} failed; it will be run once more", test.title()));
            again.lock().expect("no thread panicked").push((test.clone(), output));
        }
    }
}

fn progress(test: &Test, suites: &Mutex<Vec<(String, usize, Instant)>>) {
    let mut suites = suites.lock().expect("no thread panicked");
    if let Some((suite, left, begin)) = suites.iter_mut().find(|(suite, ..)| *suite == test.suite) {
        *left -= 1;
        if *left == 0 {
            say(&format!("{suite}: all run after {} s", begin.elapsed().as_secs()));
        }
    }
}

/// Runs one test. Its process leads a group of its own, so that the limit ends what it started, too.
fn run(options: &Options, test: &Test) -> Outcome {
    let mut output = match tempfile::tempfile() {
        Ok(file) => file,
        Err(error) => return Outcome::Failed(format!("no temporary file: {error}")),
    };
    let (Ok(stdout), Ok(stderr)) = (output.try_clone(), output.try_clone()) else {
        return Outcome::Failed("no descriptor for the test's output".into());
    };
    let begin = Instant::now();
    let started = Command::new(&test.program)
        .args(["--exact", "--nocapture", "--test-threads=1", &test.name])
        .env("HUSK_TEST", test.title())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("{}: {error}", test.program)),
    };
    let mut late = false;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Outcome::Failed(format!("wait: {error}")),
        }
        if !late && begin.elapsed() > options.limit {
            late = true;
            if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut bytes = Vec::new();
    let _ = output.rewind().and_then(|()| output.read_to_end(&mut bytes));
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if late {
        text.push_str(&format!("\nstopped at its limit of {} s\n", options.limit.as_secs()));
    }
    if late || !status.success() {
        return Outcome::Failed(format!("{text}\n{status}"));
    }
    if !text.contains("1 passed") {
        return Outcome::Failed(format!("{text}\nno test of this name was run"));
    }
    match text.lines().find_map(|line| line.strip_prefix("SKIPPED ")) {
        Some(line) => {
            let reason = line.split_once(": ").map_or(line, |(_, reason)| reason);
            Outcome::Skipped(reason.to_owned())
        }
        None => Outcome::Passed,
    }
}

fn finish(options: &Options, report: &Report) -> ExitCode {
    for line in &report.skipped {
        say(&format!("SKIPPED {line}"));
    }
    for name in &report.flaky {
        say(&format!("FLAKY: {name}"));
    }
    for name in &report.failed {
        say(&format!("FAILED: {name}"));
    }
    if options.results {
        let skipped = report.skipped.iter().filter_map(|line| line.split(": ").next());
        let all = (report.passed.iter().map(|name| (name.as_str(), "passed")))
            .chain(report.failed.iter().map(|name| (name.as_str(), "failed")))
            .chain(skipped.map(|name| (name, "skipped")));
        for (name, outcome) in all {
            say(&format!("RESULT {name} {outcome}"));
        }
    }
    let (passed, failed, skipped) = (report.passed.len(), report.failed.len(), report.skipped.len());
    say(&format!("{passed} passed, {failed} failed, {skipped} skipped ({} flaky)", report.flaky.len()));
    if let Some(file) = &options.counts {
        let line = format!("{passed} {failed} {skipped} {}\n", report.flaky.len());
        let titles: String = report
            .skipped
            .iter()
            .filter_map(|line| line.split_once(": ")?.0.split_once("::"))
            .map(|(suite, test)| format!("{suite} {test}\n"))
            .collect();
        let written =
            std::fs::write(file, line).and_then(|()| std::fs::write(format!("{file}.skipped"), titles));
        if let Err(error) = written {
            eprintln!("husk-test: {file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One whole message at a time, so that threads do not mix theirs.
fn say(message: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{message}");
    let _ = out.flush();
}
