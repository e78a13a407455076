//! `huskctl exec`.

use std::io::Write;

use anyhow::bail;
use husk_cri_api as cri;

use crate::client::{Client, rpc};
use crate::resolve::Inventory;

/// timeout(1)'s exit code for a command that ran out of time.
const TIMED_OUT: u8 = 124;

/// Runs a command to its end, shows what it wrote, and gives its exit code.
pub async fn exec(client: &Client, word: &str, command: Vec<String>, timeout: u32) -> anyhow::Result<u8> {
    let all = Inventory::of(client).await?;
    let id = all.container(word)?.id.clone();
    let request = cri::ExecSyncRequest { container_id: id, cmd: command, timeout: timeout.into() };
    let answer = match rpc("ExecSync", client.runtime.clone().exec_sync(request)).await {
        Err(e) if e.code() == Some(tonic::Code::DeadlineExceeded) => {
            eprintln!("huskctl: the command did not end within {timeout} s and was killed");
            return Ok(TIMED_OUT);
        }
        answer => answer?,
    };
    std::io::stdout().write_all(&answer.stdout)?;
    std::io::stderr().write_all(&answer.stderr)?;
    match u8::try_from(answer.exit_code) {
        Ok(code) => Ok(code),
        Err(_) => bail!("ExecSync: {} is no exit code", answer.exit_code),
    }
}
