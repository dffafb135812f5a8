//! Making two sets of ids equal by talking about their differences only (NODE.md section 7).
//!
//! The client asks for fingerprints of ranges and compares them with its own. What is equal is done; a range where it has
//! nothing is fetched at once, without names; one where the other side has little is listed, and what is missing fetched
//! by name; any other is cut into sixteen parts and asked about again. So a node that has nothing pays for what it gets, and
//! one that lacks little for the way down to it.
//!
//! The server keeps no state: [`answer`] reads the archive and does a bounded work. The client, [`Walk`], is what believes nothing:
//! ranges, order, counts and the number of its own requests are checked, so that a liar costs a bounded time.

mod answer;
mod held;
mod layer;
mod walk;

pub use answer::answer;
pub use held::{MAX_SCAN, fingerprint};
pub use layer::{empty_layer, layer_fingerprint};
pub use walk::{Ask, Found, Lie, Walk, WalkError};

/// The server lists so many ids of a range at most; clients ask for a list when they expect no more than [`LEAF`].
const MAX_LISTED: usize = 4 * LEAF as usize;
/// A range with so few ids is listed instead of being cut.
const LEAF: u64 = 16;
