//! The program's commands: one file each, its arguments and what it does.

pub(crate) mod account;
pub(crate) mod devnet;
pub(crate) mod run;
pub(crate) mod sim;
pub(crate) mod status;

use std::io::Write;

use anyhow::{Context, Result};

/// Writes a line to stdout.
pub(crate) fn tell(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("stdout is closed")
}

/// `GET` of one of a node's JSON answers.
pub(crate) fn ask<T: serde::de::DeserializeOwned>(agent: &ureq::Agent, address: &str, path: &str) -> Result<T> {
    let url = format!("http://{address}{path}");
    let mut response = agent.get(&url).call().with_context(|| format!("no answer from {url}; is the node running?"))?;
    response.body_mut().read_json().with_context(|| format!("{url} answers something else than a node would"))
}

/// Asks for no longer than a person would wait.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(5))).build().into()
}
