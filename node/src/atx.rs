//! The activation (ATX): a miner's claim, once an epoch, to have kept its space since the last one (NODE.md section 3).
//!
//! A *solo* ATX speaks for its signer. Miners who married may speak in one *merged* ATX, which names the ATX they
//! married in. What can be judged of an ATX without any other is [`Atx::check`] and [`Atx::signature_holds`].

mod challenge;
mod id;
mod merkle;
mod received;
mod syntax;

use post_core::proof::Proof;

pub use challenge::poet_challenge;
pub use id::{Field, FieldProof};
pub use received::{Junk, MAX_ATX_BYTES, Received};
pub use syntax::SyntaxError;

use crate::codec::{DecodeError, Reader, Scale, put_bytes, put_list, put_option};
use crate::ids::{Address, AtxId, Challenge, Epoch, NodeId, Signature};
use crate::signature::{Domain, Signed, Signer, Verifier};

/// At most so many previous ATXs, posts of a NiPoST and marriages; so as many miners in one ATX.
pub const MAX_MERGED: usize = 256;
/// At most so many NiPoSTs, one a PoET.
pub const MAX_NIPOSTS: usize = 4;
/// At most so many nodes of a membership proof.
pub const MAX_MEMBERSHIP: usize = 32;
/// At most so many bytes of packed indices.
pub const MAX_INDICES: usize = 800;

/// An ATX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atx {
    /// Where it is published; it gives weight in the next epoch.
    pub publish_epoch: Epoch,
    /// The ATX on whose ticks this one builds.
    pub positioning_atx: AtxId,
    /// Who is paid.
    pub coinbase: Address,
    /// Only in a miner's first ATX, which has no previous one.
    pub initial: Option<Initial>,
    /// The miners' last ATXs, which this one succeeds; `posts` point here.
    pub previous_atxs: Vec<AtxId>,
    /// The proofs of space-time.
    pub niposts: Vec<NiPost>,
    /// The index of the label that makes the miner's VRF key worth its space (POST.md section 4).
    pub vrf_nonce: u64,
    /// Miners who marry the signer in this ATX, the signer itself among them.
    pub marriages: Vec<Marriage>,
    /// In a merged ATX, the one its miners married in.
    pub marriage_atx: Option<AtxId>,
    /// Who signed.
    pub smesher: NodeId,
    /// Over the id.
    pub signature: Signature,
}

/// What a miner shows once, at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initial {
    /// The ATX its data is bound to.
    pub commitment_atx: AtxId,
    /// A proof of space over the zero challenge.
    pub post: Proof,
}

/// A PoET round and the proofs of space over what came out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NiPost {
    /// That the miners' PoET challenges are in the round's statement.
    pub membership: Membership,
    /// What the proofs answer: the id of the PoET proof.
    pub challenge: Challenge,
    /// One a miner.
    pub posts: Vec<SubPost>,
}

/// The hashes that lead from one leaf or several to the root of a round's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// From the leaves upwards, the leaves not among them.
    pub nodes: Vec<[u8; 32]>,
}

/// One miner's proof of space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubPost {
    /// Whose: the position among the marriages of the marriage ATX; 0 in a solo ATX.
    pub marriage_index: u32,
    /// The miner's last ATX: a position in [`Atx::previous_atxs`]; 0 in an initial ATX.
    pub previous_index: u32,
    /// The position of its PoET challenge among the round's members.
    pub leaf_index: u64,
    /// The proof.
    pub post: Proof,
    /// Space units, of `labels_per_unit` labels.
    pub num_units: u32,
}

/// A miner's will to marry the signer of the ATX this stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marriage {
    /// Any ATX of the miner, to show who it is; zeros for the signer of the ATX.
    pub reference_atx: AtxId,
    /// The miner's, over the id of the signer of the ATX ([`Domain::Marriage`]).
    pub signature: Signature,
}

impl Atx {
    /// Signs the id as `signer`, once everything else is in place.
    pub fn sign(&mut self, signer: &Signer) {
        self.smesher = signer.node_id();
        self.signature = signer.sign(Domain::Atx, &self.id().0);
    }

    /// Whether the signature is the smesher's. An ATX's id doesn't depend on who signed it.
    #[must_use]
    pub fn signature_holds(&self, verifier: &Verifier) -> bool {
        verifier.holds(&Signed {
            domain: Domain::Atx,
            signer: self.smesher,
            message: &self.id().0,
            signature: self.signature,
        })
    }

    /// The posts of all NiPoSTs, in their order.
    pub fn posts(&self) -> impl Iterator<Item = &SubPost> {
        self.niposts.iter().flat_map(|nipost| &nipost.posts)
    }

    /// The miner's last ATX that a post names; `None` when there is none.
    #[must_use]
    pub fn previous_of(&self, post: &SubPost) -> Option<AtxId> {
        self.previous_atxs.get(usize::try_from(post.previous_index).ok()?).copied()
    }
}

impl Scale for Atx {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.publish_epoch.encode_to(out);
        self.positioning_atx.encode_to(out);
        self.coinbase.encode_to(out);
        put_option(out, self.initial.as_ref());
        put_list(out, &self.previous_atxs);
        put_list(out, &self.niposts);
        self.vrf_nonce.encode_to(out);
        put_list(out, &self.marriages);
        put_option(out, self.marriage_atx.as_ref());
        self.smesher.encode_to(out);
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            publish_epoch: Epoch::decode_from(input)?,
            positioning_atx: AtxId::decode_from(input)?,
            coinbase: Address::decode_from(input)?,
            initial: input.option()?,
            previous_atxs: input.list(MAX_MERGED)?,
            niposts: input.list(MAX_NIPOSTS)?,
            vrf_nonce: u64::decode_from(input)?,
            marriages: input.list(MAX_MERGED)?,
            marriage_atx: input.option()?,
            smesher: NodeId::decode_from(input)?,
            signature: Signature::decode_from(input)?,
        })
    }
}

impl Scale for Initial {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.commitment_atx.encode_to(out);
        self.post.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { commitment_atx: AtxId::decode_from(input)?, post: Proof::decode_from(input)? })
    }
}

impl Scale for NiPost {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.membership.encode_to(out);
        self.challenge.encode_to(out);
        put_list(out, &self.posts);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            membership: Membership::decode_from(input)?,
            challenge: Challenge::decode_from(input)?,
            posts: input.list(MAX_MERGED)?,
        })
    }
}

impl Scale for Membership {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_list(out, &self.nodes);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { nodes: input.list(MAX_MEMBERSHIP)? })
    }
}

impl Scale for SubPost {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.marriage_index.encode_to(out);
        self.previous_index.encode_to(out);
        self.leaf_index.encode_to(out);
        self.post.encode_to(out);
        self.num_units.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            marriage_index: u32::decode_from(input)?,
            previous_index: u32::decode_from(input)?,
            leaf_index: u64::decode_from(input)?,
            post: Proof::decode_from(input)?,
            num_units: u32::decode_from(input)?,
        })
    }
}

impl Scale for Proof {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.nonce.encode_to(out);
        put_bytes(out, &self.indices);
        self.pow.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { nonce: u32::decode_from(input)?, indices: input.bytes(MAX_INDICES)?, pow: u64::decode_from(input)? })
    }
}

impl Scale for Marriage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.reference_atx.encode_to(out);
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reference_atx: AtxId::decode_from(input)?, signature: Signature::decode_from(input)? })
    }
}
