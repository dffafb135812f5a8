//! An ATX's id: the root of a tree of its fields, so that a single one can be shown to be in it with a few hashes.
//!
//! What the id doesn't depend on: who signed, and where in [`Atx::previous_atxs`] a post's previous ATX stands. So the id
//! stands for the bytes without smesher and signature, but only of ATXs that pass [`Atx::check`].

use post_core::proof::Proof;

use super::merkle::{self, Hash};
use super::{Atx, Initial, Marriage, NiPost, SubPost};
use crate::codec::encode;
use crate::ids::{AtxId, NO_ATX};

/// 2^8 leaves: [`super::MAX_MERGED`].
const MERGED_DEPTH: u32 = 8;
/// 2^2 leaves: [`super::MAX_NIPOSTS`].
const NIPOSTS_DEPTH: u32 = 2;
/// Levels above the nine fields.
const DEPTH: usize = 4;

/// A field of an ATX that can be shown: a leaf of the id's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The epoch, as LE32 in 32 B.
    PublishEpoch,
    /// The positioning ATX.
    PositioningAtx,
    /// The coinbase, 24 B.
    Coinbase,
    /// The root of the initial parts, or zeros.
    Initial,
    /// The root of the previous ATXs.
    PreviousAtxs,
    /// The root of the NiPoSTs.
    NiPosts,
    /// The VRF nonce, as LE64 in 32 B.
    VrfNonce,
    /// The root of the marriages.
    Marriages,
    /// The marriage ATX, or zeros.
    MarriageAtx,
}

impl Field {
    /// All of them, in the order of the leaves.
    pub const ALL: [Self; 9] = [
        Self::PublishEpoch,
        Self::PositioningAtx,
        Self::Coinbase,
        Self::Initial,
        Self::PreviousAtxs,
        Self::NiPosts,
        Self::VrfNonce,
        Self::Marriages,
        Self::MarriageAtx,
    ];

    /// Bytes of its leaf.
    fn len(self) -> usize {
        if self == Self::Coinbase { 24 } else { 32 }
    }
}

/// That a field of an ATX has a certain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProof {
    /// Which.
    pub field: Field,
    /// Its value, or the root of its tree.
    pub leaf: Vec<u8>,
    /// The neighbours on the way to the id.
    pub path: Vec<Vec<u8>>,
}

impl FieldProof {
    /// Whether the ATX of this id has that value.
    #[must_use]
    pub fn holds(&self, id: AtxId) -> bool {
        // The field's length fixes its neighbour's, so no byte can move between them; the path's length fixes the level, so
        // an inner node can't pass for a field.
        let index = self.field as usize;
        self.leaf.len() == self.field.len()
            && self.path.len() == DEPTH
            && merkle::climb(&self.leaf, index, &self.path) == id.0
    }
}

impl Atx {
    /// The id.
    #[must_use]
    pub fn id(&self) -> AtxId {
        AtxId(merkle::root(&self.leaves().each_ref().map(|leaf| &leaf[..])))
    }

    /// Shows one field's value to somebody who has the id alone.
    #[must_use]
    pub fn prove(&self, field: Field) -> FieldProof {
        let path = merkle::path(&self.leaves().each_ref().map(|leaf| &leaf[..]), field as usize);
        FieldProof { field, leaf: self.leaf(field), path }
    }

    fn leaves(&self) -> [Vec<u8>; 9] {
        Field::ALL.map(|field| self.leaf(field))
    }

    fn leaf(&self, field: Field) -> Vec<u8> {
        match field {
            Field::PublishEpoch => padded(&self.publish_epoch.0.to_le_bytes()),
            Field::PositioningAtx => self.positioning_atx.0,
            Field::Coinbase => return self.coinbase.0.to_vec(),
            Field::Initial => self.initial.as_ref().map_or([0; 32], Initial::root),
            Field::PreviousAtxs => merkle::padded_root(self.previous_atxs.iter().map(|id| id.0), MERGED_DEPTH),
            Field::NiPosts => merkle::padded_root(self.niposts.iter().map(|nipost| nipost.root(self)), NIPOSTS_DEPTH),
            Field::VrfNonce => padded(&self.vrf_nonce.to_le_bytes()),
            Field::Marriages => merkle::padded_root(self.marriages.iter().map(Marriage::root), MERGED_DEPTH),
            Field::MarriageAtx => self.marriage_atx.unwrap_or(NO_ATX).0,
        }
        .to_vec()
    }
}

impl Initial {
    fn root(&self) -> Hash {
        merkle::root(&[&self.commitment_atx.0, &post_root(&self.post)])
    }
}

impl NiPost {
    fn root(&self, atx: &Atx) -> Hash {
        let posts = merkle::padded_root(self.posts.iter().map(|post| post.root(atx)), MERGED_DEPTH);
        merkle::root(&[&encode(&self.membership), &self.challenge.0, &posts])
    }
}

impl SubPost {
    fn root(&self, atx: &Atx) -> Hash {
        merkle::root(&[
            &self.marriage_index.to_le_bytes(),
            &atx.previous_of(self).unwrap_or(NO_ATX).0,
            &padded(&self.leaf_index.to_le_bytes()),
            &post_root(&self.post),
            &self.num_units.to_le_bytes(),
        ])
    }
}

impl Marriage {
    fn root(&self) -> Hash {
        merkle::root(&[&self.reference_atx.0, &self.signature.0])
    }
}

fn post_root(post: &Proof) -> Hash {
    merkle::root(&[&post.nonce.to_le_bytes(), &post.indices, &post.pow.to_le_bytes()])
}

/// An integer's bytes as a leaf of 32 B.
fn padded(bytes: &[u8]) -> Hash {
    let mut leaf = [0; 32];
    leaf[..bytes.len()].copy_from_slice(bytes);
    leaf
}
