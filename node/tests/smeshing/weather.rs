//! What goes wrong.

use std::collections::VecDeque;

use node::ids::NodeId;
use node::time::Time;

/// How long things take, and what goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) poet_ms: u64,
    pub(crate) judge_ms: u64,
    pub(crate) sync_ms: u64,
    /// While one of these lasts, the PoET gives errors, or no answer at all.
    pub(crate) poet_away: Vec<(Time, Time)>,
    pub(crate) poet_silent: bool,
    /// While one of these lasts, a prover is away.
    pub(crate) prover_away: Vec<(NodeId, Time, Time)>,
    /// The node dies after so many effects, and is back after so many milliseconds; counted on from there.
    pub(crate) crashes: VecDeque<(usize, u64)>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            poet_ms: 100,
            judge_ms: 150,
            sync_ms: 400,
            poet_away: vec![],
            poet_silent: false,
            prover_away: vec![],
            crashes: VecDeque::new(),
        }
    }
}
