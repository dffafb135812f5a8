//! What all nodes of a network agree on: two presets, or a TOML file (NODE.md section 1).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use post_core::params::{NetworkParams, ParamsError};
use serde::{Deserialize, Serialize};

use crate::ids::{AtxId, GenesisId};
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
        }
    }

    /// A toy network that begins at `genesis`: epochs of 40 s, units of 64 KiB.
    #[must_use]
    pub fn devnet(genesis: Time) -> Self {
        let hash = blake3::hash(format!("devnet {}", genesis.0).as_bytes());
        let mut genesis_id = GenesisId([0; 20]);
        genesis_id.0.copy_from_slice(&hash.as_bytes()[..20]);
        Self {
            genesis_id,
            timing: Timing {
                genesis,
                layer_ms: 1000,
                layers_per_epoch: 40,
                poet_phase_shift_ms: 20_000,
                poet_cycle_gap_ms: 18_000,
                delta_ms: 500,
            },
            tick_size: 1024,
            // A hash a unit: several provers share a core or two, and have seconds.
            post: NetworkParams { pow_difficulty: [0xff; 32], ..NetworkParams::devnet() },
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
        Ok(())
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
        let params = Self { genesis_id, timing: file.timing(), tick_size: file.tick_size, post };
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
            post: self.post.to_toml().parse().map_err(<toml::ser::Error as serde::ser::Error>::custom)?,
        })
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
        assert!(matches!(refused("layer_ms = 1000", "layer_ms = 0"), NodeParamsError::Timing(_)));
        assert!(matches!(
            refused("poet_phase_shift_ms = 20000", "poet_phase_shift_ms = 40000"),
            NodeParamsError::Timing(_)
        ));
        assert!(matches!(
            refused("poet_cycle_gap_ms = 18000", "poet_cycle_gap_ms = 20001"),
            NodeParamsError::Timing(_)
        ));
        assert!(matches!(refused("delta_ms = 500", "delta_ms = 5001"), NodeParamsError::Timing(_)));
        assert!(matches!(refused("k1 = 26", "k1 = 0"), NodeParamsError::Post { .. }));
        assert!(matches!(read("?"), Err(NodeParamsError::Malformed { .. })));
    }
}
