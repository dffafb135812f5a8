//! What shall happen to a devnet's nodes: parts that don't hear of each other, nodes that are killed. Pure.

use std::ops::Range;
use std::str::FromStr;

use anyhow::{Result, bail};
use node::ids::Layer;
use node::params::Timing;

/// `A/B:FROM..TO`: the first A nodes and the other B are out of each other's reach from one layer to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) first: u32,
    pub(super) second: u32,
    /// Counted from the first layer with ballots.
    pub(super) layers: Range<u32>,
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (nodes, layers) = text.split_once(':')?;
            let ((first, second), (from, to)) = (nodes.split_once('/')?, layers.split_once("..")?);
            let [first, second, from, to] = [first, second, from, to].map(|number| number.parse().ok());
            Some(Self { first: first?, second: second?, layers: from?..to? })
        };
        let partition = parse().ok_or("A/B:FROM..TO is wanted, for example 4/3:8..20")?;
        if partition.first == 0 || partition.second == 0 || partition.layers.is_empty() {
            return Err("both parts need a node, and FROM must be smaller than TO".into());
        }
        Ok(partition)
    }
}

impl Partition {
    /// The nodes in the other part.
    pub(super) fn others(&self, node: u32) -> Range<u32> {
        if node < self.first { self.first..self.first + self.second } else { 0..self.first }
    }
}

/// A node's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub(super) node: usize,
    pub(super) at_ms: u64,
}

/// Who is killed when, soonest first: `kill` of the `honest` ones, in the middle third of the layers. All nodes weigh the
/// same, and those that are killed or lie must weigh less than a third of all.
///
/// # Errors
/// When they don't.
pub(super) fn kills(
    seed: u64,
    kill: u32,
    honest: u32,
    nodes: u32,
    timing: &Timing,
    layers: Range<Layer>,
) -> Result<Vec<Kill>> {
    let lost = kill.saturating_add(nodes - honest);
    if lost > 0 && lost.saturating_mul(3) >= nodes {
        bail!("{lost} of {nodes} nodes would be a third of the weight or more; kill fewer");
    }
    let third = layers.end.since(layers.start) / 3;
    let middle = layers.start.after(third)..layers.end.before(third);
    let (from, to) = (timing.layer_starts(middle.start), timing.layer_starts(middle.end));
    let mut alive: Vec<usize> = (0..honest as usize).collect();
    let mut kills = Vec::new();
    for i in 0..kill {
        let mut draw = blake3::Hasher::new().update(format!("devnet kill {i} of {seed}").as_bytes()).finalize_xof();
        let (mut who, mut when) = ([0; 8], [0; 8]);
        draw.fill(&mut who);
        draw.fill(&mut when);
        let node = alive.remove((u64::from_le_bytes(who) % alive.len() as u64) as usize);
        let at_ms = from.after(u64::from_le_bytes(when) % to.since(from).max(1)).0;
        kills.push(Kill { node, at_ms });
    }
    kills.sort_by_key(|kill| (kill.at_ms, kill.node));
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use node::params::NodeParams;
    use node::time::Time;

    use super::*;

    #[test]
    fn partitions() {
        let partition: Partition = "4/3:8..20".parse().unwrap();
        assert_eq!(partition, Partition { first: 4, second: 3, layers: 8..20 });
        assert_eq!((partition.others(0), partition.others(3)), (4..7, 4..7));
        assert_eq!((partition.others(4), partition.others(6)), (0..4, 0..4));
        for wrong in ["", "4/3", "4:8..20", "4/3:8", "0/3:8..20", "4/0:8..20", "4/3:8..8", "4/3:9..8", "a/3:8..20"] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn kills_leave_two_thirds_and_come_in_the_middle() {
        let timing = NodeParams::devnet(Time(1000)).timing;
        let layers = Layer(20)..Layer(50);
        let of = |seed, kill, honest, nodes| kills(seed, kill, honest, nodes, &timing, layers.clone());
        let mut all = BTreeSet::new();
        for seed in 0..50 {
            let kills = of(seed, 2, 7, 7).unwrap();
            let who: BTreeSet<usize> = kills.iter().map(|kill| kill.node).collect();
            assert_eq!(who.len(), 2);
            assert!(who.iter().all(|node| *node < 7));
            let middle = timing.layer_starts(Layer(30)).0..timing.layer_starts(Layer(40)).0;
            assert!(kills.iter().all(|kill| middle.contains(&kill.at_ms)));
            assert_eq!(kills, of(seed, 2, 7, 7).unwrap());
            all.extend(who);
        }
        assert_eq!(all.len(), 7, "everybody's turn comes");
        assert!(of(1, 3, 9, 9).is_err());
        assert!(of(1, 2, 6, 7).is_err());
        assert!(of(1, 0, 7, 9).unwrap().is_empty());
        assert!(of(1, 0, 6, 9).is_err(), "too many liars");
        // A middle third of no layers.
        assert!(kills(1, 1, 4, 4, &timing, Layer(20)..Layer(21)).is_ok());
    }
}
