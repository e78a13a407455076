use super::*;
use crate::{LogLine, Stream};
use proptest::prelude::*;

fn record() -> ExitRecord {
    let mut record = ExitRecord::new("c1");
    record.outcome = Outcome::Status { raw: 9 };
    record.log_tail = vec![LogLine { stream: Stream::Stderr, text: "oh no".into() }];
    record
}

#[test]
fn crc_is_the_common_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn reserve_then_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exit.json");
    assert_eq!(read(&path).unwrap(), Found::Nothing);
    let reserved = Reserved::new(&path).unwrap();
    assert_eq!(read(&path).unwrap(), Found::Pending);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), RESERVED_SIZE as u64);
    reserved.commit(&record()).unwrap();
    assert_eq!(read(&path).unwrap(), Found::Record(record()));
    // Other tools read it as JSON.
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(value["id"], "c1");
}

#[test]
fn write_replaces_and_leaves_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exit.json");
    write(&path, &ExitRecord::new("old")).unwrap();
    write(&path, &record()).unwrap();
    assert_eq!(read(&path).unwrap(), Found::Record(record()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(write(&dir.path().join("missing/exit.json"), &record()).is_err());
}

#[test]
fn a_lost_truncation_does_no_harm() {
    let mut bytes = encode(&record(), RESERVED_SIZE);
    bytes.resize(RESERVED_SIZE, 0);
    assert_eq!(decode(&bytes).unwrap(), Found::Record(record()));
}

#[test]
fn newer_records_are_understood() {
    let json = r#"{"version":9,"id":"x","outcome":{"kind":"vanished","how":3},"colour":"red",
        "sent":[{"signal":9,"atNs":1,"cause":"whim","by":"me"}],"oom":{"victim":"sibling","zone":7}}"#;
    let Found::Record(got) = decode(&with_check(json)).unwrap() else { panic!("no record") };
    assert_eq!(got.outcome, Outcome::Other);
    assert_eq!(got.sent[0].cause, crate::SignalCause::Other);
    assert_eq!(got.oom.unwrap().victim, crate::OomVictim::Other);
}

#[test]
fn too_long_records_are_cut_to_their_room() {
    let mut long = record();
    long.outcome = Outcome::NotStarted {
        failure: crate::StartFailure {
            subject: "\u{1}".repeat(40_000),
            detail: Some("x".repeat(40_000)),
            ..Default::default()
        },
    };
    long.id = "\u{2}".repeat(5000);
    long.log_tail = (0..100)
        .map(|i| LogLine { stream: Stream::Stdout, text: format!("{i} {}", "é".repeat(900)) })
        .collect();
    long.sent =
        vec![
            crate::SentSignal { signal: 15, at_ns: u64::MAX, cause: crate::SignalCause::GraceExpired };
            3000
        ];
    let bytes = encode(&long, RESERVED_SIZE);
    assert!(bytes.len() <= RESERVED_SIZE, "{}", bytes.len());
    assert!(matches!(decode(&bytes).unwrap(), Found::Record(_)));

    let mut lines = record();
    lines.log_tail = (0..100)
        .map(|i| LogLine { stream: Stream::Stdout, text: format!("{i} {}", "x".repeat(900)) })
        .collect();
    let bytes = encode(&lines, RESERVED_SIZE);
    assert!(bytes.len() <= RESERVED_SIZE && bytes.len() > RESERVED_SIZE - 1000);
    let Found::Record(got) = decode(&bytes).unwrap() else { panic!("no record") };
    assert!(got.log_tail.last().unwrap().text.starts_with("99 "));
}

#[test]
fn noted_signals_are_read_and_torn_lines_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signals.jsonl");
    assert_eq!(read_sent(&path), []);
    std::fs::write(&path, "{\"signal\":15,\"atNs\":7,\"cause\":\"kill\"}\n{\"signal\":9,\"atN").unwrap();
    let sent = crate::SentSignal { signal: 15, at_ns: 7, cause: crate::SignalCause::Kill };
    assert_eq!(read_sent(&path), [sent]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_torn_record_is_never_taken_for_a_record(keep in 1usize..200, text in ".{0,80}") {
        let mut whole = record();
        whole.log_tail[0].text = text;
        let bytes = encode(&whole, RESERVED_SIZE);
        let keep = keep.min(bytes.len() - 1);
        let mut torn = bytes[..keep].to_vec();
        prop_assert!(decode(&torn).is_err());
        torn.resize(RESERVED_SIZE, 0);
        prop_assert!(decode(&torn).is_err());
    }
}
