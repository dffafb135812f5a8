//! When a node may believe that it knows what the network knows.
//!
//! Whoever believes so too early is hurt for good: a miner whose node has lost its database would begin anew, and be a
//! fraud. So no single peer decides, as long as there are others.

use crate::ids::Epoch;
use crate::time::Time;

use super::pass::Pass;

/// So many peers are to have nothing new, or all that are connected.
const WITNESSES: usize = 3;
/// From this epoch on a network has ATXs.
const SETTLED: Epoch = Epoch(2);

/// What the last pass with a peer has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Witness {
    /// Nothing; or there was none.
    #[default]
    No,
    /// The peer has no ATX, where others should have some.
    Empty,
    /// It has no ATX of an earlier epoch that this node hasn't.
    Same,
}

impl Witness {
    /// Of a pass that has ended.
    pub(super) fn of(pass: &Pass) -> Self {
        let young = pass.epoch().is_none_or(|epoch| epoch < SETTLED);
        match pass.atxs() {
            _ if !pass.was_clean() => Self::No,
            (theirs, ours) if young || (theirs && ours) => Self::Same,
            (false, _) => Self::Empty,
            // What it has is of no use so far.
            (true, _) => Self::No,
        }
    }
}

/// Whether a node is synced, by what there is of each peer: what it has shown, and whether it is to be waited for. With
/// few peers more are waited for until `hurry`.
pub(super) fn are_enough(peers: &[(Witness, bool)], now: Time, hurry: Time) -> bool {
    let awaited = peers.iter().filter(|(_, awaited)| *awaited).count();
    if awaited < WITNESSES && now < hurry {
        return false;
    }
    let same = peers.iter().filter(|(witness, _)| *witness == Witness::Same).count();
    let all_empty = !peers.is_empty() && peers.iter().all(|(witness, _)| *witness == Witness::Empty);
    same >= awaited.clamp(1, WITNESSES) || all_empty
}
