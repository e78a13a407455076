//! What criu's log says about a failure, in one line.

use std::path::Path;

/// Most errors that are shown: the first ones name the cause, the last ones what it led to.
const SHOWN: usize = 2;

/// The errors of the log as the end of a sentence, without the places in criu's source; empty where there are none.
pub fn errors(path: &Path) -> String {
    let text = std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
    summary(&text.unwrap_or_default())
}

/// The errors in what criu wrote.
pub fn summary(text: &str) -> String {
    let mut found: Vec<&str> = Vec::new();
    for error in text.lines().filter_map(error) {
        if !found.contains(&error) {
            found.push(error);
        }
    }
    // "Dumping FAILED." says nothing that husk does not say.
    found.retain(|error| !error.ends_with("FAILED."));
    found.truncate(SHOWN);
    found.join("; ")
}

/// `(00.012345)      1: Error (criu/files-reg.c:1629): Can't lookup mount=28` → the part after the place.
fn error(line: &str) -> Option<&str> {
    let rest = line.split_once("Error (")?.1;
    Some(rest.split_once("): ").map_or(rest, |(_, message)| message).trim())
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_first_errors_without_their_places() {
        let log = "(00.01) Dumping\n(00.02) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using \
                   --tcp-established option.\n(00.03)   1: Error (criu/cr-dump.c:1): Dump files failed with -1\n(00.04) \
                   Error (criu/cr-dump.c:1): Dump files failed with -1\n(00.05) Error (criu/cr-dump.c:2093): Dumping FAILED.\n";
        assert_eq!(
            summary(log),
            "inet: Connected TCP socket, consider using --tcp-established option.; Dump files failed with -1"
        );
        assert_eq!(summary("(00.01) all is well\n"), "");
    }
}
