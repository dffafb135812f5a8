//! `post-node status`: what a running node says of itself.

use std::process::ExitCode;

use anyhow::Result;
use node::status::{AgreementStatus, Status};

use super::{agent, ask, tell};

/// Show what a running node knows and does
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The node's HTTP interface
    #[arg(long, value_name = "HOST:PORT", default_value = super::run::DEFAULT_HTTP)]
    http: String,
    /// Print the node's JSON, on one line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let status: Status = ask(&agent(), &args.http, "/status")?;
    tell(&if args.json { serde_json::to_string(&status)? } else { table(&status) })?;
    Ok(ExitCode::SUCCESS)
}

fn table(status: &Status) -> String {
    let number = |value: Option<u32>| value.map_or("before genesis".into(), |value| value.to_string());
    let mut lines = vec![
        format!("network   {}", status.genesis_id),
        format!("node      {}, version {}", status.peer, status.version),
        format!("time      epoch {}, layer {}", number(status.epoch), number(status.layer)),
        format!(
            "sync      {}, {} of {} ATXs, {} peers",
            if status.synced { "done" } else { "under way" },
            status.sync.have,
            status.sync.of,
            status.peers
        ),
        agreement(&status.agreement),
        format!("frauds    {}", status.frauds),
    ];
    for epoch in status.epochs.iter().rev().take(3) {
        lines.push(format!("epoch {:<4} {} ATXs, weight {}", epoch.epoch, epoch.atxs, epoch.weight));
    }
    for miner in &status.smeshing {
        let prover = if miner.prover { "" } else { ", no prover connected" };
        lines.push(format!("miner     {}: {}{prover}", miner.node_id, miner.phase));
        lines.extend(miner.warning.iter().map(|warning| format!("          {warning}")));
    }
    lines.join("\n")
}

fn agreement(agreement: &AgreementStatus) -> String {
    let Some(last) = &agreement.last else { return "agreement no layer is final".into() };
    let block = last.block.as_ref().map_or("empty".into(), |block| format!("block {}", short(block)));
    let beacon = agreement.beacon.as_ref().map_or("no beacon".into(), |beacon| format!("beacon {beacon}"));
    let (layer, state) = (last.layer, short(&last.root));
    format!("agreement layer {layer} is final ({block}, state {state}), {beacon}, {} smidge issued", agreement.issued)
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
