//! What all nodes of a network agree on: two presets, or a TOML file (NODE.md section 1).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use post_core::params::{NetworkParams, ParamsError};
use serde::{Deserialize, Serialize};

use crate::ids::{AtxId, GenesisId, Layer};
use crate::time::Time;

/// A network file is two dozen lines; of anything else no more than this is read.
const MAX_FILE: u64 = 1 << 20;

/// When things happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The first moment of layer 0.
    pub genesis: Time,
    /// How long a layer lasts, in milliseconds.
    pub layer_ms: u64,
    /// Layers in an epoch.
    pub layers_per_epoch: u32,
    /// From the start of an epoch to the beginning of its PoET round.
    pub poet_phase_shift_ms: u64,
    /// From the end of a PoET round to the beginning of the next: the time for proofs of space.
    pub poet_cycle_gap_ms: u64,
    /// δ: how long a message takes to reach everyone, with a margin.
    pub delta_ms: u64,
}

/// How nodes agree (NODE.md sections 5 and 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusParams {
    /// Proposals a layer, as expected.
    pub proposals_per_layer: u32,
    /// Slots are dealt out as if all miners weighed at least this.
    pub min_weight: u64,
    /// Hare's seats, as expected; more than half of them decide.
    pub committee: u32,
    /// From a layer's start until Hare begins with the proposals that are there.
    pub preround_ms: u64,
    /// One of Hare's rounds after the first.
    pub round_ms: u64,
    /// Hare gives up after so many iterations.
    pub iterations: u8,
    /// Within so many layers ballots vote as Hare decided.
    pub hdist: u32,
    /// Without a decision of Hare's after so many layers, a layer counts as empty.
    pub zdist: u32,
    /// From an epoch's start until proposals for the beacon of the next are closed.
    pub beacon_proposals_ms: u64,
    /// One of the rounds in which beacon proposals are voted on.
    pub beacon_round_ms: u64,
    /// How many of them there are.
    pub beacon_rounds: u8,
    /// Beacon proposals, as expected if all miners weighed the same.
    pub beacon_candidates: u32,
}

/// How miners are paid (NODE.md section 8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardParams {
    /// Who gets a layer's subsidy.
    pub rule: RewardRule,
    /// What is issued in all the time there is, in smidge (10^-9 SMH).
    pub issuance: u64,
    /// What part of it the first `fraction_layers` issue: `fraction_issued` / `issuance`.
    pub fraction_issued: u64,
    /// See `fraction_issued`.
    pub fraction_layers: u64,
}

/// Who gets a layer's subsidy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RewardRule {
    /// The proposers in the block, by the weight of their ballots.
    Classical,
    /// The proposers get a part, all miners the rest, by weight.
    Linear {
        /// The proposers' part, in thousandths.
        proposers_permille: u16,
    },
}

/// A network's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeParams {
    /// The network; every signature is bound to it.
    pub genesis_id: GenesisId,
    /// When things happen.
    pub timing: Timing,
    /// PoET leaves that make one tick.
    pub tick_size: u64,
    /// Space, labels and their proofs.
    pub post: NetworkParams,
    /// How nodes agree.
    pub consensus: ConsensusParams,
    /// How miners are paid.
    pub rewards: RewardParams,
}

/// Why parameters are not usable.
#[derive(Debug, thiserror::Error)]
pub enum NodeParamsError {
    /// The file could not be read.
    #[error("cannot read the network file {}: {source}; give a readable TOML file, or `mainnet`", path.display())]
    Unreadable {
        /// The file as given.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not TOML, or a missing, unknown or unfit key.
    #[error("the network file {}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser disliked, in one line.
        reason: String,
    },
    /// The part `[post]`.
    #[error("the network file {}, table [post]: {source}", path.display())]
    Post {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParamsError,
    },
    /// Times that contradict each other.
    #[error("the network's times: {0}")]
    Timing(&'static str),
    /// Numbers of the agreement or of the rewards that make no sense.
    #[error("the network file, tables [consensus] and [rewards]: {0}")]
    Consensus(&'static str),
}

impl NodeParams {
    /// The live network.
    #[must_use]
    pub fn mainnet() -> Self {
        const MINUTE: u64 = 60_000;
        Self {
            genesis_id: GenesisId([
                0x9e, 0xeb, 0xff, 0x02, 0x3a, 0xbb, 0x17, 0xcc, 0xb7, 0x75, 0xc6, 0x02, 0xda, 0xad, 0xe8, 0xed, 0x70,
                0x8f, 0x0a, 0x50,
            ]),
            timing: Timing {
                // 2023-07-14 08:00 UTC.
                genesis: Time(1_689_321_600_000),
                layer_ms: 5 * MINUTE,
                layers_per_epoch: 4032,
                poet_phase_shift_ms: 240 * 60 * MINUTE,
                poet_cycle_gap_ms: 12 * 60 * MINUTE,
                delta_ms: 30 * MINUTE,
            },
            tick_size: 9_331_200,
            post: NetworkParams::mainnet(),
            consensus: ConsensusParams {
                proposals_per_layer: 50,
                min_weight: 1,
                committee: 200,
                preround_ms: 25_000,
                round_ms: 12_000,
                iterations: 4,
                hdist: 10,
                zdist: 2,
                beacon_proposals_ms: 12 * 60 * MINUTE,
                beacon_round_ms: 60 * MINUTE,
                beacon_rounds: 60,
                beacon_candidates: 100,
            },
            rewards: RewardParams::mainnet(),
        }
    }

    /// A toy network that begins at `genesis`: epochs of 40 s, layers of 4 s, units of 64 KiB.
    #[must_use]
    pub fn devnet(genesis: Time) -> Self {
        let hash = blake3::hash(format!("devnet {}", genesis.0).as_bytes());
        let mut genesis_id = GenesisId([0; 20]);
        genesis_id.0.copy_from_slice(&hash.as_bytes()[..20]);
        Self {
            genesis_id,
            timing: Timing {
                genesis,
                layer_ms: 4000,
                layers_per_epoch: 10,
                poet_phase_shift_ms: 20_000,
                poet_cycle_gap_ms: 18_000,
                delta_ms: 500,
            },
            tick_size: 1024,
            // A hash a unit: several provers share a core or two, and have seconds.
            post: NetworkParams { pow_difficulty: [0xff; 32], ..NetworkParams::devnet() },
            consensus: ConsensusParams {
                proposals_per_layer: 50,
                min_weight: 1,
                committee: 200,
                preround_ms: 700,
                round_ms: 350,
                iterations: 4,
                hdist: 10,
                zdist: 2,
                beacon_proposals_ms: 2000,
                beacon_round_ms: 1000,
                beacon_rounds: 6,
                beacon_candidates: 100,
            },
            rewards: RewardParams::mainnet(),
        }
    }

    /// The ATX that is there from the beginning, which the first ones build on.
    #[must_use]
    pub fn golden_atx(&self) -> AtxId {
        let mut id = AtxId([0; 32]);
        id.0[..20].copy_from_slice(&self.genesis_id.0);
        id
    }

    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// The first that doesn't.
    pub fn check(&self) -> Result<(), NodeParamsError> {
        let Timing { layer_ms, layers_per_epoch, poet_phase_shift_ms, poet_cycle_gap_ms, delta_ms, .. } = self.timing;
        let epoch = self.timing.epoch_ms();
        let wrong = |what| Err(NodeParamsError::Timing(what));
        if layer_ms == 0 || layers_per_epoch == 0 || self.tick_size == 0 {
            return wrong("layer_ms, layers_per_epoch and tick_size must not be 0");
        }
        if poet_cycle_gap_ms > poet_phase_shift_ms {
            return wrong("a PoET round must end in the epoch after its own: poet_cycle_gap_ms ≤ poet_phase_shift_ms");
        }
        if poet_phase_shift_ms >= epoch || poet_cycle_gap_ms >= epoch {
            return wrong("poet_phase_shift_ms and poet_cycle_gap_ms must be shorter than an epoch");
        }
        if delta_ms.saturating_mul(4) > epoch - poet_phase_shift_ms {
            return wrong("an ATX made in the cycle gap must reach everyone 4 δ before the next epoch");
        }
        self.consensus.check(epoch)?;
        self.rewards.check()
    }

    /// The last layer before the first one in which anybody has weight: the first ATXs are published in epoch 1.
    #[must_use]
    pub fn effective_genesis(&self) -> Layer {
        Layer(self.timing.layers_per_epoch.saturating_mul(2).saturating_sub(1))
    }

    /// Reads and checks a network file.
    ///
    /// # Errors
    /// Every [`NodeParamsError`].
    pub fn from_file(path: &Path) -> Result<Self, NodeParamsError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|source| NodeParamsError::Unreadable { path: path.to_path_buf(), source })?;
        let malformed = |reason: String| NodeParamsError::Malformed { path: path.to_path_buf(), reason };
        let file: NodeFile = toml::from_str(&text).map_err(|error| malformed(error.message().into()))?;
        let post = toml::to_string(&file.post).map_err(|error| malformed(error.to_string()))?;
        let post = NetworkParams::from_toml(&post)
            .map_err(|source| NodeParamsError::Post { path: path.to_path_buf(), source })?;
        let mut genesis_id = GenesisId([0; 20]);
        hex::decode_to_slice(&file.genesis_id, &mut genesis_id.0)
            .map_err(|error| malformed(format!("genesis_id must be 40 hex digits ({error})")))?;
        let (timing, tick_size) = (file.timing(), file.tick_size);
        let params = Self { genesis_id, timing, tick_size, post, consensus: file.consensus, rewards: file.rewards };
        params.check()?;
        Ok(params)
    }

    /// The text of a network file for these parameters.
    ///
    /// # Errors
    /// None in practice: every field has a TOML form.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let Timing { genesis, layer_ms, layers_per_epoch, poet_phase_shift_ms, poet_cycle_gap_ms, delta_ms } =
            self.timing;
        toml::to_string(&NodeFile {
            genesis_id: self.genesis_id.to_string(),
            genesis_ms: genesis.0,
            layer_ms,
            layers_per_epoch,
            poet_phase_shift_ms,
            poet_cycle_gap_ms,
            delta_ms,
            tick_size: self.tick_size,
            consensus: self.consensus.clone(),
            rewards: self.rewards.clone(),
            post: self.post.to_toml().parse().map_err(<toml::ser::Error as serde::ser::Error>::custom)?,
        })
    }
}

impl ConsensusParams {
    /// More than half of the committee.
    #[must_use]
    pub fn threshold(&self) -> u32 {
        self.committee / 2 + 1
    }

    fn check(&self, epoch_ms: u64) -> Result<(), NodeParamsError> {
        let wrong = |what| Err(NodeParamsError::Consensus(what));
        if self.proposals_per_layer == 0 || self.committee == 0 || self.iterations == 0 || self.min_weight == 0 {
            return wrong("proposals_per_layer, committee, iterations and min_weight must not be 0");
        }
        if self.committee > 10_000
            || self.proposals_per_layer > 1000
            || self.iterations > 16
            || self.beacon_rounds > 100
        {
            return wrong("at most 10000 seats, 1000 proposals a layer, 16 iterations, 100 beacon rounds");
        }
        if self.preround_ms == 0 || self.round_ms == 0 || self.beacon_round_ms == 0 || self.beacon_rounds == 0 {
            return wrong("rounds must not be 0 ms long, and the beacon needs one");
        }
        if self.zdist == 0 || self.zdist > self.hdist {
            return wrong("1 ≤ zdist ≤ hdist");
        }
        let beacon = self.beacon_round_ms.saturating_mul(u64::from(self.beacon_rounds) + 1);
        if beacon.saturating_add(self.beacon_proposals_ms) >= epoch_ms {
            return wrong("the beacon's rounds must end before the epoch does");
        }
        Ok(())
    }
}

impl RewardParams {
    /// The live network's issuance, by the classical rule.
    #[must_use]
    pub fn mainnet() -> Self {
        Self {
            rule: RewardRule::Classical,
            issuance: 2_250_000_000 * 1_000_000_000,
            fraction_issued: 450_000_000 * 1_000_000_000,
            fraction_layers: 10 * 105_120 + 1,
        }
    }

    fn check(&self) -> Result<(), NodeParamsError> {
        let wrong = |what| Err(NodeParamsError::Consensus(what));
        if self.fraction_issued == 0 || self.fraction_issued >= self.issuance || self.fraction_layers == 0 {
            return wrong("0 < fraction_issued < issuance, and fraction_layers must not be 0");
        }
        if matches!(self.rule, RewardRule::Linear { proposers_permille } if proposers_permille > 1000) {
            return wrong("proposers_permille ≤ 1000");
        }
        Ok(())
    }
}

/// The file's shape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    genesis_id: String,
    genesis_ms: u64,
    layer_ms: u64,
    layers_per_epoch: u32,
    poet_phase_shift_ms: u64,
    poet_cycle_gap_ms: u64,
    delta_ms: u64,
    tick_size: u64,
    consensus: ConsensusParams,
    rewards: RewardParams,
    post: toml::Table,
}

impl NodeFile {
    fn timing(&self) -> Timing {
        let Self { layer_ms, layers_per_epoch, poet_phase_shift_ms, poet_cycle_gap_ms, delta_ms, .. } = *self;
        let genesis = Time(self.genesis_ms);
        Timing { genesis, layer_ms, layers_per_epoch, poet_phase_shift_ms, poet_cycle_gap_ms, delta_ms }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NodeParams, NodeParamsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.toml");
        std::fs::write(&path, text).unwrap();
        NodeParams::from_file(&path)
    }

    #[test]
    fn presets_are_usable_and_survive_a_file() {
        for params in [NodeParams::mainnet(), NodeParams::devnet(Time(1_700_000_000_000))] {
            params.check().unwrap();
            assert_eq!(read(&params.to_toml().unwrap()).unwrap(), params);
        }
    }

    #[test]
    fn unusable_files_are_refused() {
        let good = NodeParams::devnet(Time(5)).to_toml().unwrap();
        let refused = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            read(&good.replace(from, to)).unwrap_err()
        };
        assert!(matches!(refused("layer_ms", "layr_ms"), NodeParamsError::Malformed { .. }));
        assert!(matches!(refused("layer_ms = 4000", "layer_ms = 0"), NodeParamsError::Timing(_)));
        assert!(matches!(
            refused("poet_phase_shift_ms = 20000", "poet_phase_shift_ms = 40000"),
            NodeParamsError::Timing(_)
        ));
        assert!(matches!(
            refused("poet_cycle_gap_ms = 18000", "poet_cycle_gap_ms = 20001"),
            NodeParamsError::Timing(_)
        ));
        assert!(matches!(refused("delta_ms = 500", "delta_ms = 5001"), NodeParamsError::Timing(_)));
        assert!(matches!(refused("committee = 200", "committee = 0"), NodeParamsError::Consensus(_)));
        assert!(matches!(refused("zdist = 2", "zdist = 11"), NodeParamsError::Consensus(_)));
        assert!(matches!(refused("beacon_rounds = 6", "beacon_rounds = 60"), NodeParamsError::Consensus(_)));
        assert!(matches!(refused("fraction_layers", "fraction_layer"), NodeParamsError::Malformed { .. }));
        assert!(matches!(refused("k1 = 26", "k1 = 0"), NodeParamsError::Post { .. }));
        assert!(matches!(read("?"), Err(NodeParamsError::Malformed { .. })));
    }
}
