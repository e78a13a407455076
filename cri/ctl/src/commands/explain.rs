//! `huskctl explain`.

use std::io::Write;

use husk_cri_api as cri;
use husk_exit::{ExitRecord, Explanation};

use crate::client::{Client, present, rpc};
use crate::resolve::Inventory;
use crate::table::printable;

/// Key of the exit record in the verbose info of husk-cri's ContainerStatus.
const EXIT_RECORD: &str = "exitRecord";

/// Says why a container ended. husk-cri gives its exit record; of another runtime's container only
/// what CRI has is known.
pub async fn explain(client: &Client, word: &str, json: bool) -> anyhow::Result<()> {
    let all = Inventory::of(client).await?;
    let container = all.container(word)?;
    let request = cri::ContainerStatusRequest { container_id: container.id.clone(), verbose: true };
    let answer = rpc("ContainerStatus", client.runtime.clone().container_status(request)).await?;
    let status = present("ContainerStatus", "status", answer.status)?;
    let record =
        answer.info.get(EXIT_RECORD).map(|text| serde_json::from_str::<ExitRecord>(text)).transpose()?;
    match (record, json) {
        (Some(record), true) => {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&Explanation::of(&record))?)?
        }
        (Some(record), false) => write!(std::io::stdout(), "{}", Explanation::of(&record).to_text())?,
        (None, true) => writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&status)?)?,
        (None, false) => {
            writeln!(std::io::stdout(), "{}", without_record(&all.full_name(container), &status))?
        }
    }
    Ok(())
}

/// What CRI alone tells.
fn without_record(name: &str, status: &cri::ContainerStatus) -> String {
    match status.state() {
        cri::ContainerState::ContainerCreated => format!("{name} has not been started."),
        cri::ContainerState::ContainerRunning => format!("{name} is running."),
        cri::ContainerState::ContainerUnknown => {
            format!("{name}: the runtime does not know. {}", printable(&status.message))
        }
        cri::ContainerState::ContainerExited => {
            let reason = if status.reason.is_empty() { "no reason given" } else { &status.reason };
            let message = printable(&status.message);
            let by_convention = match status.exit_code {
                code @ 129..=192 => format!(
                    "\nBy convention {code} stands for signal {}; this runtime does not tell whether there was one.",
                    code - 128
                ),
                _ => String::new(),
            };
            format!("{name} ended with code {} ({reason}). {message}{by_convention}", status.exit_code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_record_nothing_is_guessed() {
        let status = |state: cri::ContainerState, exit_code| cri::ContainerStatus {
            state: state.into(),
            exit_code,
            reason: "Error".into(),
            ..Default::default()
        };
        let said = without_record("web/app", &status(cri::ContainerState::ContainerExited, 143));
        assert!(said.contains("ended with code 143 (Error)") && said.contains("does not tell"), "{said}");
        let said = without_record("web/app", &status(cri::ContainerState::ContainerExited, 3));
        assert!(!said.contains("signal"), "{said}");
        assert_eq!(without_record("a", &status(cri::ContainerState::ContainerRunning, 0)), "a is running.");
    }
}
