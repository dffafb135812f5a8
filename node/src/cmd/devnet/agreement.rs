//! Whether all nodes know the same valid ATXs: of every miner, in every epoch, with the same weights.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::network::Answer;

/// The outcome, for programs: the last line of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Whether all nodes answered, and agree that every miner published in every epoch.
    pub(super) ok: bool,
    /// What is missing or differs.
    problems: Vec<String>,
    elapsed_s: u64,
    /// Of nodes and provers, each at its largest; none where the system does not say.
    peak_memory_mib: Option<u64>,
    /// Times that the first node killed itself.
    crashes: usize,
    epochs: Vec<EpochSummary>,
}

#[derive(Debug, Serialize)]
struct EpochSummary {
    epoch: usize,
    /// One a node.
    nodes: Vec<NodeSummary>,
}

#[derive(Debug, Serialize)]
struct NodeSummary {
    node: usize,
    /// Valid ATXs it knows; none when it did not answer.
    atxs: Option<usize>,
    /// What they weigh in the next epoch.
    weight: Option<u64>,
}

/// Judges what the nodes answered. No problem may be left for `ok`, nor may there be nothing to judge.
pub(super) fn judge(
    answers: &[Answer],
    miners: Vec<String>,
    epochs: u32,
    crashes: Option<(usize, Vec<String>)>,
) -> (bool, Vec<String>) {
    let miners: BTreeSet<String> = miners.into_iter().collect();
    let mut problems = Vec::new();
    for epoch in 0..epochs as usize {
        let mut seen = BTreeMap::new();
        for (node, answer) in answers.iter().enumerate() {
            let Some(Some(atxs)) = answer.epochs.get(epoch) else {
                problems.push(format!("node {node} does not say which ATXs of epoch {} it knows", epoch + 1));
                continue;
            };
            let published: Vec<&String> = atxs.iter().flat_map(|atx| &atx.miners).collect();
            for miner in &miners {
                match published.iter().filter(|other| **other == miner).count() {
                    1 => {}
                    0 => problems.push(format!("node {node} knows no ATX of {} in epoch {}", short(miner), epoch + 1)),
                    n => problems.push(format!("{} published {n} ATXs in epoch {}", short(miner), epoch + 1)),
                }
            }
            for atx in atxs.iter().filter(|atx| atx.weight == 0) {
                problems.push(format!(
                    "node {node}: ATX {} of epoch {} has no weight ({})",
                    short(&atx.id),
                    epoch + 1,
                    atx.grade
                ));
            }
            let mut known: Vec<_> = atxs.iter().map(|atx| (&atx.id, &atx.smesher, atx.units, atx.weight)).collect();
            known.sort();
            seen.entry(known).or_insert(node);
        }
        if seen.len() > 1 {
            problems.push(format!("the nodes know different ATXs of epoch {}", epoch + 1));
        }
    }
    if let Some((_, left)) = crashes.filter(|(_, left)| !left.is_empty()) {
        problems.push(format!("the first node was not killed in the phases {}", left.join(", ")));
    }
    (problems.is_empty() && !answers.is_empty() && !miners.is_empty() && epochs > 0, problems)
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

impl Summary {
    pub(super) fn new(
        ok: bool,
        problems: Vec<String>,
        answers: &[Answer],
        crashes: Option<(usize, Vec<String>)>,
        elapsed: Duration,
        peak_memory: Option<u64>,
    ) -> Self {
        let epochs = answers.first().map_or(0, |answer| answer.epochs.len());
        let of_node = |epoch: usize, (node, answer): (usize, &Answer)| {
            let atxs = answer.epochs.get(epoch).and_then(Option::as_ref);
            let weight = atxs.map(|atxs| atxs.iter().map(|atx| atx.weight).sum());
            NodeSummary { node, atxs: atxs.map(Vec::len), weight }
        };
        let of_epoch = |epoch| EpochSummary {
            epoch: epoch + 1,
            nodes: answers.iter().enumerate().map(|answer| of_node(epoch, answer)).collect(),
        };
        Self {
            ok,
            problems,
            elapsed_s: elapsed.as_secs(),
            peak_memory_mib: peak_memory.map(|bytes| bytes >> 20),
            crashes: crashes.map_or(0, |(done, _)| done),
            epochs: (0..epochs).map(of_epoch).collect(),
        }
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut lines = Vec::new();
        for EpochSummary { epoch, nodes } in &self.epochs {
            let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
            let each = |NodeSummary { atxs, weight, .. }: &NodeSummary| {
                format!("{}/{}", number(atxs.map(|atxs| atxs as u64)), number(*weight))
            };
            let nodes: Vec<String> = nodes.iter().map(each).collect();
            lines.push(format!("epoch {epoch}: ATXs/weight a node: {}", nodes.join("  ")));
        }
        if self.crashes > 0 {
            lines.push(format!("the first node was killed and started again {} times", self.crashes));
        }
        lines.extend(self.problems.iter().cloned());
        let verdict = if self.ok { "all nodes agree" } else { "the nodes do not agree" };
        let memory = self.peak_memory_mib.map_or(String::new(), |mib| format!(", {mib} MiB"));
        lines.push(format!("{verdict} ({} s{memory})", self.elapsed_s));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use node::status::AtxStatus;

    use super::*;

    fn atx(miner: &str, weight: u64) -> AtxStatus {
        AtxStatus {
            id: format!("id of {miner}"),
            smesher: miner.into(),
            miners: vec![miner.into()],
            units: 1,
            weight,
            grade: "good".into(),
        }
    }

    fn ok(answers: Vec<Option<Vec<AtxStatus>>>) -> bool {
        let answers: Vec<_> = answers.into_iter().map(|atxs| Answer { status: None, epochs: vec![atxs] }).collect();
        judge(&answers, vec!["a".into(), "b".into()], 1, None).0
    }

    #[test]
    fn only_full_agreement_is_ok() {
        let all = || Some(vec![atx("a", 3), atx("b", 4)]);
        assert!(ok(vec![all(), all()]));
        assert!(!ok(vec![]));
        assert!(!ok(vec![all(), None]), "no answer");
        assert!(!ok(vec![all(), Some(vec![atx("a", 3)])]), "one is missing");
        assert!(!ok(vec![all(), Some(vec![atx("a", 3), atx("b", 5)])]), "other weight");
        assert!(!ok(vec![all(), Some(vec![atx("a", 3), atx("b", 4), atx("b", 4)])]), "published twice");
        let weightless = || Some(vec![atx("a", 3), atx("b", 0)]);
        assert!(!ok(vec![weightless(), weightless()]), "no weight");
        assert!(!judge(&[], vec![], 0, None).0);
        let answer = || Answer { status: None, epochs: vec![all()] };
        let miners = || vec!["a".into(), "b".into()];
        assert!(judge(&[answer()], miners(), 1, Some((3, vec![]))).0);
        assert!(!judge(&[answer()], miners(), 1, Some((2, vec!["proving".into()]))).0, "a crash is missing");
        assert!(!judge(&[answer()], miners(), 2, None).0, "an epoch is missing");
    }
}
