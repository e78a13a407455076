use super::*;
use crate::{LogLine, PidsMax, SentSignal, SignalCause, StartFailure};

#[test]
fn a_stop_with_grace_in_full() {
    let start = 1_795_248_000_000_000_000;
    let record = ExitRecord {
        started_ns: start,
        finished_ns: start + 12_500_000_000,
        outcome: Outcome::Status { raw: 9 },
        sent: vec![
            SentSignal { signal: 15, at_ns: start + 2_400_000_000, cause: SignalCause::Stop },
            SentSignal { signal: 9, at_ns: start + 12_400_000_000, cause: SignalCause::GraceExpired },
        ],
        log_tail: vec![LogLine { stream: Stream::Stderr, text: "busy \u{1b}[31m".into() }],
        gaps: vec!["something".into()],
        ..ExitRecord::new("web")
    };
    let text = Explanation::of(&record).to_text();
    assert_eq!(
        text,
        "web: Error (exit code 137)
  Killed by SIGKILL, which husk sent: the grace period of its stop was over.

Evidence:
  wait status 0x0009: ended by SIGKILL
  started 2026-11-21T08:00:00.000000000Z, ended 2026-11-21T08:00:12.500000000Z, ran 12.5 s
  husk sent SIGTERM 10.1 s before the end: the container was asked to stop
  husk sent SIGKILL 100 ms before the end: the grace period of its stop was over
  not known: something

Try next:
  To end in order, the program must exit upon its stop signal within the grace period.

Last output:
  err| busy \u{fffd}[31m
"
    );
}

#[test]
fn json_has_the_verdict_and_the_record() {
    let failure = StartFailure {
        kind: StartFailureKind::NotFound,
        subject: "/bin/x".into(),
        errno: 2,
        ..Default::default()
    };
    let record = ExitRecord { outcome: Outcome::NotStarted { failure }, ..ExitRecord::new("c") };
    let json = serde_json::to_value(Explanation::of(&record)).unwrap();
    assert_eq!(json["reason"], "ContainerCannotRun");
    assert_eq!(json["exitCode"], 127);
    assert_eq!(json["record"]["outcome"]["failure"]["subject"], "/bin/x");
    assert!(json["evidence"][0].as_str().unwrap().contains("No such file"));
    let unknown = serde_json::to_value(Explanation::of(&ExitRecord::new("c"))).unwrap();
    assert!(unknown.get("exitCode").is_none());
}

#[test]
fn nothing_to_mend_after_success() {
    let record = ExitRecord { outcome: Outcome::Status { raw: 0 }, ..ExitRecord::new("c") };
    assert!(Explanation::of(&record).advice.is_empty());
}

#[test]
fn side_findings_get_advice_too() {
    let record = ExitRecord {
        outcome: Outcome::Status { raw: 2 << 8 },
        pids_max: Some(PidsMax { hits: 2, limit: None }),
        oom: Some(OomEvidence { victim: OomVictim::Child, kills: 1, ..Default::default() }),
        ..ExitRecord::new("c")
    };
    let advice = Explanation::of(&record).advice.join("\n");
    assert!(advice.contains("pids limit") && advice.contains("memory limit"), "{advice}");
}
