//! What an ATX must be in view of the ATXs and the PoET proofs it names, as far as that costs no label (NODE.md section 3).
//!
//! The rules look at nothing but what the ATX names, so that every node comes to the same verdict, whatever came first.
//! Every ATX that is named is of an older epoch.

use std::collections::{BTreeMap, BTreeSet};

use post_core::difficulty::vrf_threshold;
use post_core::identity::Commitment;
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::Mode;

use super::judge::{Dear, PostClaim, VrfClaim};
use super::records::{Part, PoetRecord, Record, Records};
use crate::atx::{Atx, NiPost, Received, SubPost};
use crate::ids::{AtxId, Challenge, Epoch, NO_ATX, NodeId};
use crate::params::NodeParams;
use crate::poet::{MembershipError, members};
use crate::signature::{Domain, Signed, Verifier};
use crate::time::Time;

/// What an initial proof of space answers.
pub(crate) const ZERO_CHALLENGE: Challenge = Challenge([0; 32]);

/// Something that has to be known before an ATX can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// An accepted ATX.
    Atx(AtxId),
    /// A valid PoET proof.
    Poet(Challenge),
}

/// The rule that an ATX breaks. Positions count from 0; a post's is among the posts of all NiPoSTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Before the end of any PoET round.
    #[error("there are no ATXs of epoch 0")]
    EpochZero,
    /// The network's first ATX, which is nobody's, where only a miner's can be.
    #[error("the golden ATX is nobody's {what}")]
    Golden {
        /// What it is named as.
        what: &'static str,
    },
    /// An ATX is listed that no post succeeds.
    #[error("no post succeeds previous ATX {index}")]
    UnusedPrevious {
        /// Its position.
        index: usize,
    },
    /// Not yet known; whoever asks sees to it that this does not happen.
    #[error("{0:?} is not known")]
    Unknown(Need),
    /// An ATX of the same or of a later epoch.
    #[error("the {what} is of epoch {epoch}; it must be older than this ATX")]
    NotOlder {
        /// What it is named as.
        what: &'static str,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Nobody married in the marriage ATX.
    #[error("nobody married in the marriage ATX")]
    NoMarriage,
    /// A post of a miner that did not marry.
    #[error("post {post}: there is no marriage {index}, only {married}")]
    MarriageIndex {
        /// The post.
        post: usize,
        /// What it names.
        index: u32,
        /// How many there are.
        married: usize,
    },
    /// Merged by somebody who has no part in it.
    #[error("the signer of a merged ATX has no post in it")]
    SignerAbsent,
    /// The previous ATX of a post is one that its miner had no part in.
    #[error("post {post}: the previous ATX is not one of its miner's")]
    PreviousNotTheirs {
        /// The post.
        post: usize,
    },
    /// The network allows other numbers of units.
    #[error("post {post} has {got} units, the network allows {min} to {max}")]
    Units {
        /// The post.
        post: usize,
        /// Its units.
        got: u32,
        /// Fewest.
        min: u32,
        /// Most.
        max: u32,
    },
    /// Two challenges can't be one member of a round.
    #[error("NiPoST {nipost}: two challenges at leaf {leaf}")]
    LeafTwice {
        /// The NiPoST.
        nipost: usize,
        /// The position.
        leaf: u64,
    },
    /// The miners' challenges are not shown to be in the round.
    #[error("NiPoST {nipost}: {error}")]
    Membership {
        /// The NiPoST.
        nipost: usize,
        /// Why not.
        error: MembershipError,
    },
    /// The PoET proof it names does not hold, or is of less than one tick.
    #[error("NiPoST {nipost}: the PoET proof shows no time")]
    NoTicks {
        /// The NiPoST.
        nipost: usize,
    },
    /// Weight or height do not fit 64 bits.
    #[error("the weight or the height is larger than 64 bits")]
    Overflow,
    /// A merged ATX does not show who somebody is.
    #[error("marriage {marriage}: the reference ATX is a merged one")]
    ReferenceMerged {
        /// The marriage.
        marriage: usize,
    },
    /// One miner twice.
    #[error("marriage {marriage} is that of a miner who is there before")]
    MarriedTwice {
        /// The second.
        marriage: usize,
    },
    /// Nobody's will.
    #[error("marriage {marriage}: the signature is not the miner's over the signer's id")]
    MarriageSignature {
        /// The marriage.
        marriage: usize,
    },
}

/// What is wrong with the names in an ATX, whoever bears them.
pub(super) fn check_names(atx: &Atx, golden: AtxId) -> Result<(), Wrong> {
    if atx.publish_epoch == Epoch(0) {
        return Err(Wrong::EpochZero);
    }
    let miners_own = |what, id: AtxId| if id == golden { Err(Wrong::Golden { what }) } else { Ok(()) };
    atx.previous_atxs.iter().try_for_each(|id| miners_own("previous ATX", *id))?;
    atx.marriage_atx.iter().try_for_each(|id| miners_own("marriage ATX", *id))?;
    atx.marriages.iter().try_for_each(|marriage| miners_own("reference ATX", marriage.reference_atx))?;
    let used: BTreeSet<_> = atx.posts().filter_map(|post| atx.previous_of(post)).collect();
    match atx.previous_atxs.iter().position(|id| !used.contains(id)) {
        Some(index) => Err(Wrong::UnusedPrevious { index }),
        None => Ok(()),
    }
}

/// What must be known before [`Rules::examine`].
pub(super) fn needs(atx: &Atx, golden: AtxId) -> BTreeSet<Need> {
    let commitment = atx.initial.iter().map(|initial| initial.commitment_atx);
    let references = atx.marriages.iter().map(|marriage| marriage.reference_atx).filter(|id| *id != NO_ATX);
    let atxs = commitment.chain([atx.positioning_atx]).filter(|id| *id != golden);
    let atxs = atxs.chain(atx.previous_atxs.iter().copied()).chain(atx.marriage_atx).chain(references);
    let poets = atx.niposts.iter().map(|nipost| Need::Poet(nipost.challenge));
    atxs.map(Need::Atx).chain(poets).collect()
}

/// An ATX that keeps the cheap rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Examined {
    /// What will be remembered of it.
    pub(super) record: Record,
    /// What is left to be checked.
    pub(super) dear: Dear,
}

/// What the rules depend on.
pub(super) struct Rules<'a> {
    pub(super) params: &'a NodeParams,
    pub(super) verifier: &'a Verifier,
    /// Draws the labels that are looked at: what no prover can know.
    pub(super) seed: &'a [u8],
    pub(super) records: &'a Records,
}

impl Rules<'_> {
    /// Everything that costs no label. The ATX passed [`Atx::check`] and [`check_names`], and its signature holds.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub(super) fn examine(&self, received: &Received, at: Time) -> Result<Examined, Wrong> {
        let atx = &received.atx;
        let base_height = self.base_height(atx)?;
        let miners = self.miners(atx)?;
        let parts = self.parts(received, &miners)?;
        let ticks = self.ticks(atx)?;
        let married = self.married(atx)?;
        let fewest = ticks.iter().copied().min().unwrap_or(0);
        base_height.checked_add(fewest).ok_or(Wrong::Overflow)?;
        let record = Record {
            id: received.id,
            epoch: atx.publish_epoch,
            smesher: atx.smesher,
            coinbase: atx.coinbase,
            vrf_nonce: atx.vrf_nonce,
            received: at,
            base_height,
            ticks: fewest,
            weight: weight(atx, &parts, &ticks).ok_or(Wrong::Overflow)?,
            marriage: atx.marriage_atx,
            married,
            parts,
        };
        let dear = Dear { id: received.id, posts: self.posts(atx, &record.parts), vrf: self.vrf(atx, &record)? };
        Ok(Examined { record, dear })
    }

    fn known(&self, id: AtxId) -> Result<&Record, Wrong> {
        self.records.atx(id).ok_or(Wrong::Unknown(Need::Atx(id)))
    }

    fn older(&self, atx: &Atx, what: &'static str, id: AtxId) -> Result<&Record, Wrong> {
        let record = self.known(id)?;
        if record.epoch < atx.publish_epoch { Ok(record) } else { Err(Wrong::NotOlder { what, epoch: record.epoch }) }
    }

    fn base_height(&self, atx: &Atx) -> Result<u64, Wrong> {
        if atx.positioning_atx == self.params.golden_atx() {
            return Ok(0);
        }
        self.older(atx, "positioning ATX", atx.positioning_atx).map(Record::height)
    }

    /// Whose each post is.
    fn miners(&self, atx: &Atx) -> Result<Vec<NodeId>, Wrong> {
        let Some(marriage) = atx.marriage_atx else { return Ok(vec![atx.smesher]) };
        let married = &self.older(atx, "marriage ATX", marriage)?.married;
        if married.is_empty() {
            return Err(Wrong::NoMarriage);
        }
        let miner = |(post, &SubPost { marriage_index: index, .. }): (usize, &SubPost)| {
            let wrong = Wrong::MarriageIndex { post, index, married: married.len() };
            married.get(index as usize).copied().ok_or(wrong)
        };
        let miners = atx.posts().enumerate().map(miner).collect::<Result<Vec<_>, _>>()?;
        if miners.contains(&atx.smesher) { Ok(miners) } else { Err(Wrong::SignerAbsent) }
    }

    fn parts(&self, received: &Received, miners: &[NodeId]) -> Result<Vec<Part>, Wrong> {
        let all = received.atx.posts().zip(miners).enumerate();
        all.map(|(position, (post, miner))| self.part(received, position, post, *miner)).collect()
    }

    fn part(&self, received: &Received, position: usize, post: &SubPost, node_id: NodeId) -> Result<Part, Wrong> {
        let atx = &received.atx;
        let &SubPost { num_units: units, .. } = post;
        let (min, max) = (self.params.post.min_units.max(1), self.params.post.max_units);
        let labels = u64::from(units).checked_mul(self.params.post.labels_per_unit);
        if !(min..=max).contains(&units) || labels.is_none() {
            return Err(Wrong::Units { post: position, got: units, min, max });
        }
        if let Some(initial) = &atx.initial {
            if initial.commitment_atx != self.params.golden_atx() {
                self.older(atx, "commitment ATX", initial.commitment_atx)?;
            }
            let (commitment, initial) = (initial.commitment_atx, received.id);
            return Ok(Part { node_id, units, effective_units: units, previous: None, commitment, initial });
        }
        let theirs = Wrong::PreviousNotTheirs { post: position };
        let previous = atx.previous_of(post).ok_or(theirs)?;
        let before = self.older(atx, "previous ATX", previous)?.part(node_id).ok_or(theirs)?;
        let &Part { units: units_before, commitment, initial, .. } = before;
        let effective_units = units.min(units_before);
        Ok(Part { node_id, units, effective_units, previous: Some(previous), commitment, initial })
    }

    /// The ticks of each NiPoST, once its miners are shown to be members of the round.
    fn ticks(&self, atx: &Atx) -> Result<Vec<u64>, Wrong> {
        let all = atx.niposts.iter().enumerate();
        all.map(|(position, nipost)| self.ticks_of(atx, position, nipost)).collect()
    }

    fn ticks_of(&self, atx: &Atx, nipost: usize, proofs: &NiPost) -> Result<u64, Wrong> {
        let need = Need::Poet(proofs.challenge);
        let PoetRecord { statement, ticks } = self.records.poet(proofs.challenge).ok_or(Wrong::Unknown(need))?;
        let mut leaves = BTreeMap::new();
        for post in &proofs.posts {
            // Miners who were merged before share a challenge, and so a member.
            let (leaf, challenge) = (post.leaf_index, atx.poet_challenge(post));
            if leaves.insert(leaf, challenge).is_some_and(|other| other != challenge) {
                return Err(Wrong::LeafTwice { nipost, leaf });
            }
        }
        let membership = members::verify(statement, &leaves, &proofs.membership.nodes);
        membership.map_err(|error| Wrong::Membership { nipost, error })?;
        if *ticks == 0 { Err(Wrong::NoTicks { nipost }) } else { Ok(*ticks) }
    }

    /// Who marries in this ATX.
    fn married(&self, atx: &Atx) -> Result<Vec<NodeId>, Wrong> {
        let mut married = Vec::with_capacity(atx.marriages.len());
        for (marriage, reference) in atx.marriages.iter().map(|marriage| marriage.reference_atx).enumerate() {
            let node_id = if reference == NO_ATX {
                atx.smesher
            } else {
                let reference = self.older(atx, "reference ATX", reference)?;
                // Any member may have signed a merged one (see `Record::smesher`).
                if reference.marriage.is_some() {
                    return Err(Wrong::ReferenceMerged { marriage });
                }
                reference.smesher
            };
            married.push(node_id);
        }
        let mut seen = BTreeSet::new();
        if let Some(marriage) = married.iter().position(|node_id| !seen.insert(*node_id)) {
            return Err(Wrong::MarriedTwice { marriage });
        }
        let signed = |(signer, marriage): (&NodeId, &crate::atx::Marriage)| Signed {
            domain: Domain::Marriage,
            signer: *signer,
            message: &atx.smesher.0,
            signature: marriage.signature,
        };
        let signed: Vec<_> = married.iter().zip(&atx.marriages).map(signed).collect();
        match self.verifier.wrong_among(&signed).first() {
            Some(&marriage) => Err(Wrong::MarriageSignature { marriage }),
            None => Ok(married),
        }
    }

    fn posts(&self, atx: &Atx, parts: &[Part]) -> Vec<PostClaim> {
        let claim = |proof: &Proof, part: &Part, challenge, mode| PostClaim {
            proof: proof.clone(),
            metadata: ProofMetadata {
                node_id: part.node_id,
                commitment_atx_id: part.commitment,
                challenge,
                num_units: part.units,
            },
            mode,
        };
        let some = || Mode::Subset { k3: self.params.post.k3.clamp(1, self.params.post.k2), seed: self.seed.to_vec() };
        let initial = atx.initial.iter().zip(parts);
        let initial = initial.map(|(initial, part)| claim(&initial.post, part, ZERO_CHALLENGE, Mode::All));
        let posts = atx.niposts.iter().flat_map(|nipost| nipost.posts.iter().map(|post| (post, nipost.challenge)));
        let posts = posts.zip(parts).map(|((post, challenge), part)| claim(&post.post, part, challenge, some()));
        initial.chain(posts).collect()
    }

    /// The signer's VRF nonce, unless its previous ATX showed the same one for as much space.
    fn vrf(&self, atx: &Atx, record: &Record) -> Result<Option<VrfClaim>, Wrong> {
        let part = record.part(atx.smesher).ok_or(Wrong::SignerAbsent)?;
        if let Some(previous) = part.previous {
            let before = self.known(previous)?;
            let as_much = before.part(atx.smesher).is_some_and(|before| before.units >= part.units);
            if as_much && before.smesher == atx.smesher && before.vrf_nonce == atx.vrf_nonce {
                return Ok(None);
            }
        }
        let labels = u64::from(part.units).saturating_mul(self.params.post.labels_per_unit);
        Ok(Some(VrfClaim {
            commitment: Commitment::new(&part.node_id, &part.commitment),
            nonce: atx.vrf_nonce,
            threshold: vrf_threshold(labels),
        }))
    }
}

/// Σ effective units · ticks; `None` when 64 bits don't hold it.
fn weight(atx: &Atx, parts: &[Part], ticks: &[u64]) -> Option<u64> {
    let of_posts = atx.niposts.iter().zip(ticks).flat_map(|(nipost, ticks)| nipost.posts.iter().map(|_| *ticks));
    of_posts
        .zip(parts)
        .try_fold(0_u64, |sum, (ticks, part)| sum.checked_add(u64::from(part.effective_units).checked_mul(ticks)?))
}
