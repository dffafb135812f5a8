//! What is shown of a simulated network.

use std::collections::BTreeMap;

use anyhow::Result;
use node::params::RewardRule;
use node::sim::{Keys, Report, Settings, Traffic};
use node::source::Topic;

use super::stopwatch::Stopwatch;

/// One line.
pub(super) fn line(report: &Report, watch: &Stopwatch) -> String {
    let Report { seed, digest, final_layers, empty_layers, worst_lag, judged, liars, convicted, .. } = report;
    let verdict = if report.broken.is_empty() { "holds" } else { "BROKEN" };
    let (received, seconds) = (report.received(), watch.total().as_secs_f64());
    format!(
        "seed {seed:<6} {} final {final_layers:<4} empty {empty_layers:<4} lag {worst_lag:<3} in {judged:<5} liars {liars:<3} frauds \
         {convicted:<3} received {received:<9} {seconds:>6.2} s  {verdict}",
        hex::encode(&digest[..8])
    )
}

/// The same for programs.
pub(super) fn json(report: &Report, watch: &Stopwatch) -> Result<String> {
    let traffic: Vec<_> = report
        .traffic
        .iter()
        .map(|((layer, topic), Traffic { messages, bytes, received, received_bytes })| {
            serde_json::json!({
                "layer": layer, "topic": topic.name(), "messages": messages, "bytes": bytes, "received": received,
                "received_bytes": received_bytes
            })
        })
        .collect();
    let spent: BTreeMap<_, _> = watch
        .spent()
        .iter()
        .map(|(work, (times, spent))| {
            (work.name(), serde_json::json!({ "times": times, "seconds": spent.as_secs_f64() }))
        })
        .collect();
    Ok(serde_json::to_string(&serde_json::json!({
        "seed": report.seed,
        "digest": hex::encode(report.digest),
        "nodes": report.nodes,
        "liars": report.liars,
        "final_layers": report.final_layers,
        "empty_layers": report.empty_layers,
        "worst_lag": report.worst_lag,
        "judged_for_lag": report.judged,
        "judged_for_voice": report.voices,
        "transfers": report.transfers,
        "convicted": report.convicted,
        "steps": report.steps,
        "received": report.received(),
        "seconds": watch.total().as_secs_f64(),
        "traffic": traffic,
        "spent": spent,
        "broken": report.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))?)
}

/// What was said and what it cost.
pub(super) fn stats(report: &Report, watch: &Stopwatch) -> String {
    let mut lines = vec!["  layer topic         messages       bytes    received  received bytes".to_string()];
    let row = |layer: &str, topic: Topic, traffic: &Traffic| {
        let Traffic { messages, bytes, received, received_bytes } = traffic;
        format!("  {layer:>5} {:<12} {messages:>9} {bytes:>11} {received:>11} {received_bytes:>15}", topic.name())
    };
    let mut all: BTreeMap<Topic, Traffic> = BTreeMap::new();
    for ((layer, topic), traffic) in &report.traffic {
        lines.push(row(&layer.to_string(), *topic, traffic));
        let sum = all.entry(*topic).or_default();
        sum.messages += traffic.messages;
        sum.bytes += traffic.bytes;
        sum.received += traffic.received;
        sum.received_bytes += traffic.received_bytes;
    }
    lines.extend(all.iter().map(|(topic, traffic)| row("all", *topic, traffic)));
    let (ballots, votes, waiting) = report.remembered;
    lines.push(format!("  a node remembers {ballots} ballots, {votes} votes, {waiting} that wait"));
    let kept = report.kept.iter().map(|(kind, things, bytes)| format!("{things} {kind} ({bytes} B)"));
    lines.push(format!("  a node keeps {}", kept.collect::<Vec<_>>().join(", ")));
    lines.extend(agreement(&report.agreed));
    lines.push("  work             times     seconds   µs each   ms a node".into());
    for (work, (times, spent)) in watch.spent() {
        let seconds = spent.as_secs_f64();
        let (each, a_node) = (seconds * 1e6 / *times as f64, seconds * 1e3 / report.nodes.max(1) as f64);
        lines.push(format!("  {:<12} {times:>9} {seconds:>11.3} {each:>9.2} {a_node:>11.2}", work.name()));
    }
    lines.join("\n")
}

/// When honest nodes had the block that Hare agreed on.
fn agreement(agreed: &BTreeMap<u64, u64>) -> Option<String> {
    let all: u64 = agreed.values().sum();
    let after = |permille: u64| {
        let mut left = (all * permille).div_ceil(1000);
        let reached = agreed.iter().find(|(_, times)| {
            left = left.saturating_sub(**times);
            left == 0
        });
        reached.map(|(ms, _)| *ms as f64 / 1000.0)
    };
    let (half, most, last) = (after(500)?, after(990)?, after(1000)?);
    Some(format!(
        "  Hare's block was there {half:.1} s after its layer's beginning (median), {most:.1} s (99 %), {last:.1} s (the longest \
         of {all})"
    ))
}

/// What to type to see a seed again.
pub(super) fn command(settings: &Settings, seed: u64) -> String {
    let Settings { nodes, layers, layer_s, faults, dishonest, twins, rule, keys } = settings;
    let rule = if matches!(rule, RewardRule::Classical) { "classical" } else { "linear" };
    let keys = match keys {
        Keys::Hash => "hash",
        Keys::Real => "real",
        Keys::RealDraws => "real-draws",
    };
    let twins = if *twins { " --twins" } else { "" };
    format!(
        "post-node sim --seeds {seed} --nodes {nodes} --layers {layers} --layer-s {layer_s} --faults {faults} --dishonest {dishonest} --rule \
         {rule} --crypto {keys}{twins}"
    )
}
