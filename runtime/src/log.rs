//! Log lines in runc's form, so that tools which read a runtime's log file read husk's too.

use crate::cli::{Global, LogFormat};
use anyhow::Context as _;
use std::{fs::File, io::Write as _, sync::OnceLock};

struct Log {
    file: Option<File>,
    format: LogFormat,
    debug: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Opens the log that the command line names. Before it, and without a file, lines go to standard error.
pub fn open(global: &Global) -> anyhow::Result<()> {
    let file = match &global.log {
        Some(path) => Some(
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .with_context(|| format!("open log file {}", path.display()))?,
        ),
        None => None,
    };
    let _ = LOG.set(Log { file, format: global.log_format, debug: global.debug });
    Ok(())
}

/// What was done and found; written with `--debug` only.
pub fn debug(message: &str) {
    if LOG.get().is_some_and(|log| log.debug) {
        write("debug", message);
    }
}

/// Something is not as asked for, but the work goes on.
pub fn warn(message: &str) {
    write("warning", message);
}

/// The error that ends the command: into the log file, and once to standard error.
pub fn fatal(message: &str) {
    if LOG.get().is_some_and(|log| log.file.is_some()) {
        write("error", message);
    }
    let _ = writeln!(std::io::stderr(), "husk: {}", harmless(message));
}

/// Names of files come from images, too: they must not drive the terminal of who reads the message.
fn harmless(message: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    message.chars().map(shown).collect()
}

fn write(level: &str, message: &str) {
    let (mut line, file) = match LOG.get() {
        Some(log) => (line(log.format, level, message), log.file.as_ref()),
        None => (line(LogFormat::Text, level, message), None),
    };
    line.push('\n');
    // One write per line: several husk processes append to the same file.
    let _ = match file {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}

fn line(format: LogFormat, level: &str, message: &str) -> String {
    let time = crate::clock::now_rfc3339();
    match format {
        LogFormat::Text => format!("time=\"{time}\" level={level} msg={message:?}"),
        LogFormat::Json => serde_json::json!({"level": level, "msg": message, "time": time}).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFormat, harmless, line};

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_it_is_written() {
        assert_eq!(harmless("a\tb\nc\u{1b}[2J\0\u{9b}ä"), "a\tb\nc\\u{1b}[2J\\u{0}\\u{9b}ä");
    }

    #[test]
    fn a_line_of_json_has_the_three_fields_that_tools_read() {
        let value: serde_json::Value =
            serde_json::from_str(&line(LogFormat::Json, "error", "no \"x\"\n")).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "no \"x\"\n");
        assert!(value["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_line_of_text_stays_one_line() {
        let text = line(LogFormat::Text, "warning", "two\nlines");
        assert!(text.contains("level=warning msg=\"two\\nlines\""), "{text}");
    }
}
