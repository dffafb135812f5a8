//! What a miner registers with a PoET, and so before the ATX exists.

use post_core::proof::Proof;

use super::{Atx, SubPost};
use crate::codec::{Scale, put_option};
use crate::ids::{AtxId, Epoch, NO_ATX, PoetChallenge};

/// The challenge for an ATX to be: the hash of what has to be decided beforehand.
///
/// `previous` is [`NO_ATX`] and `initial_post` present in a miner's first ATX.
#[must_use]
pub fn poet_challenge(
    publish_epoch: Epoch,
    previous: AtxId,
    positioning: AtxId,
    initial_post: Option<&Proof>,
) -> PoetChallenge {
    let mut bytes = Vec::new();
    publish_epoch.encode_to(&mut bytes);
    previous.encode_to(&mut bytes);
    positioning.encode_to(&mut bytes);
    put_option(&mut bytes, initial_post);
    PoetChallenge(blake3::hash(&bytes).into())
}

impl Atx {
    /// The challenge that the miner of `post`, one of this ATX's, must have registered.
    #[must_use]
    pub fn poet_challenge(&self, post: &SubPost) -> PoetChallenge {
        let initial_post = self.initial.as_ref().map(|initial| &initial.post);
        let previous = self.previous_of(post).unwrap_or(NO_ATX);
        poet_challenge(self.publish_epoch, previous, self.positioning_atx, initial_post)
    }
}
