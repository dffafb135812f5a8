//! What a person chooses; all else follows from the seed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::params::RewardRule;

/// What may go wrong. Each is drawn anew for a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Messages take longer, and each its own time.
    Latency,
    /// Some messages never arrive.
    Loss,
    /// The network falls apart for a while.
    Partition,
    /// Clocks are off.
    Skew,
    /// Nodes crash and start again, without what they had not flushed.
    Crash,
    /// Nodes come late, and know nothing.
    Late,
    /// Nodes go, and never come back.
    Stop,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::Latency, Self::Loss, Self::Partition, Self::Skew, Self::Crash, Self::Late, Self::Stop];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Loss => "loss",
            Self::Partition => "partition",
            Self::Skew => "skew",
            Self::Crash => "crash",
            Self::Late => "late",
            Self::Stop => "stop",
        }
    }
}

/// Some faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeSet<Fault>);

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything does.
    #[must_use]
    pub fn all() -> Self {
        Self(Fault::ALL.into())
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

/// A name that no fault has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault is called `{0}`; give `none`, `all`, or some of latency,loss,partition,skew,crash,late,stop")]
pub struct NoFault(String);

impl FromStr for Faults {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Self, NoFault> {
        let named = |name: &str| Fault::ALL.into_iter().find(|fault| fault.name() == name);
        match text {
            "none" => Ok(Self::none()),
            "all" => Ok(Self::all()),
            list => list.split(',').map(|name| named(name).ok_or_else(|| NoFault(name.into()))).collect(),
        }
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str("none"),
            len if len == Fault::ALL.len() => f.write_str("all"),
            _ => f.write_str(&self.0.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(",")),
        }
    }
}

/// Which signatures and draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Keyed hashes, which cost next to nothing.
    #[default]
    Hash,
    /// Those of a real network.
    Real,
    /// Keyed hashes for signatures, and the draws of a real network: what is decided must be what it is with `Real`.
    RealDraws,
}

/// What a world is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Nodes, nearly each with a miner.
    pub nodes: u32,
    /// Layers after the first two epochs, in which nobody has weight yet.
    pub layers: u32,
    /// How long a layer lasts, in seconds; all of the network's times are in proportion.
    pub layer_s: u32,
    /// What may go wrong.
    pub faults: Faults,
    /// At most so much of the weight is with liars and nodes that stop, in percent.
    pub dishonest: u32,
    /// Liars lie in one way only: each has two nodes with one key, one in each part of a network that falls apart when the
    /// first miners have weight, and does in both what an honest node would.
    pub twins: bool,
    /// Who is paid.
    pub rule: RewardRule,
    /// Which signatures and draws.
    pub keys: Keys,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: 50,
            layers: 40,
            layer_s: 10,
            faults: Faults::none(),
            dishonest: 0,
            twins: false,
            rule: RewardRule::Classical,
            keys: Keys::Hash,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_faults_are_read_as_they_are_written() {
        for text in ["none", "all", "loss", "latency,crash"] {
            assert_eq!(text.parse::<Faults>().unwrap().to_string(), text);
        }
        assert_eq!("loss,rain".parse::<Faults>(), Err(NoFault("rain".into())));
        assert!("latency,crash".parse::<Faults>().unwrap().has(Fault::Crash));
        assert!(!"latency,crash".parse::<Faults>().unwrap().has(Fault::Loss));
    }
}
