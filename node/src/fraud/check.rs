//! Whether a fraud proof proves anything.

use post_core::proof::{Proof, ProofMetadata};

use super::evidence::{marriage_of, married, signed};
use super::{Fraud, FraudProof, InvalidPost, Participation, Statement, Wedding};
use crate::atx::{Atx, SyntaxError};
use crate::ballot::BallotError;
use crate::ids::{Challenge, NodeId};
use crate::signature::Verifier;

/// What a proof comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// Proven.
    Proven,
    /// Proven if the label misses, which costs a label to find out.
    IfMisses(Suspect),
}

/// A proof of space of which one label is said to miss: guilt is proven when `Mode::One(position)` finds that it does,
/// and by no other finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The proof.
    pub proof: Proof,
    /// What it is about.
    pub metadata: ProofMetadata,
    /// The label's position in it.
    pub position: u32,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// An ATX that is none.
    #[error("an ATX it shows breaks a rule: {0}")]
    Syntax(#[from] SyntaxError),
    /// A ballot that is none.
    #[error("a ballot it shows breaks a rule: {0}")]
    Ballot(#[from] BallotError),
    /// Not signed by whom it names, for this network.
    #[error("something it shows has a wrong signature")]
    Signature,
    /// One and the same ATX.
    #[error("the two ATXs are one")]
    SameAtx,
    /// They don't contradict each other.
    #[error("the two things it shows do not contradict each other")]
    NoContradiction,
    /// The accused has no post in it.
    #[error("the accused has no part in an ATX it shows")]
    NotThere,
    /// The accused did not sign it.
    #[error("the accused did not sign what it shows")]
    NotTheSigner,
    /// Another ATX than the one that a merged ATX names.
    #[error("the marriage ATX is another one than the merged ATX names")]
    OtherMarriage,
    /// No marriage that the accused signed.
    #[error("a marriage is not the accused's")]
    NoCertificate,
    /// The signer put one certificate into two ATXs; whom it is of can't help it.
    #[error("the accused gave one signer one certificate")]
    OneMarriage,
    /// There is no such proof of space.
    #[error("there is no such post")]
    NoPost,
    /// It doesn't show what the miner's data is bound to.
    #[error("it does not show the miner's first ATX")]
    NoInitial,
    /// The proof of space has the label.
    #[error("the label does not miss")]
    NoMiss,
}

impl FraudProof {
    /// Whether it proves what it says, up to one label. A few signatures at most.
    ///
    /// # Errors
    /// [`NotProven`].
    pub fn check(&self, verifier: &Verifier) -> Result<Guilt, NotProven> {
        match &self.fraud {
            Fraud::SameEpoch(both) => same_epoch(both, self.culprit, verifier),
            Fraud::SamePrevious(both) => same_previous(both, self.culprit, verifier),
            Fraud::DoubleMarriage(both) => double_marriage(both, self.culprit, verifier),
            Fraud::InvalidPost(post) => invalid_post(post, self.culprit, verifier),
            Fraud::Contradiction(both) => contradiction(both, self.culprit, verifier),
        }
    }
}

/// Two signatures by two members under one id, or two of one signer, are still one ATX.
fn distinct(first: &Atx, second: &Atx) -> Result<(), NotProven> {
    if first.id() == second.id() { Err(NotProven::SameAtx) } else { Ok(()) }
}

fn same_epoch(both: &[Participation; 2], culprit: NodeId, verifier: &Verifier) -> Result<Guilt, NotProven> {
    let [first, second] = both;
    if first.atx.publish_epoch != second.atx.publish_epoch {
        return Err(NotProven::NoContradiction);
    }
    distinct(&first.atx, &second.atx)?;
    first.post(culprit, verifier)?;
    second.post(culprit, verifier)?;
    Ok(Guilt::Proven)
}

fn same_previous(both: &[Participation; 2], culprit: NodeId, verifier: &Verifier) -> Result<Guilt, NotProven> {
    let [first, second] = both;
    distinct(&first.atx, &second.atx)?;
    let previous = |one: &Participation| one.post(culprit, verifier).map(|post| one.atx.previous_of(post));
    if previous(first)? == previous(second)? { Ok(Guilt::Proven) } else { Err(NotProven::NoContradiction) }
}

fn double_marriage(both: &[Wedding; 2], culprit: NodeId, verifier: &Verifier) -> Result<Guilt, NotProven> {
    let [first, second] = both;
    distinct(&first.atx, &second.atx)?;
    if first.atx.smesher == second.atx.smesher && culprit != first.atx.smesher {
        return Err(NotProven::OneMarriage);
    }
    for Wedding { atx, index } in both {
        signed(atx, verifier)?;
        married(atx, *index, culprit, verifier)?;
    }
    Ok(Guilt::Proven)
}

fn invalid_post(suspect: &InvalidPost, culprit: NodeId, verifier: &Verifier) -> Result<Guilt, NotProven> {
    let InvalidPost { atx, post, position, miner, marriage, initial } = suspect;
    if atx.smesher != culprit {
        return Err(NotProven::NotTheSigner);
    }
    signed(atx, verifier)?;
    let (marriage_index, proof, challenge, num_units) = claim(atx, *post).ok_or(NotProven::NoPost)?;
    match (atx.marriage_atx, marriage) {
        (None, None) if *miner == culprit => {}
        (Some(_), Some(marriage)) => {
            marriage_of(atx, marriage, verifier)?;
            married(marriage, marriage_index, *miner, verifier)?;
        }
        _ => return Err(NotProven::NotThere),
    }
    let first = match (&atx.initial, initial) {
        (Some(first), None) => first,
        (None, Some(older)) if older.smesher == *miner && older.publish_epoch < atx.publish_epoch => {
            signed(older, verifier)?;
            older.initial.as_ref().ok_or(NotProven::NoInitial)?
        }
        _ => return Err(NotProven::NoInitial),
    };
    let metadata = ProofMetadata { node_id: *miner, commitment_atx_id: first.commitment_atx, challenge, num_units };
    Ok(Guilt::IfMisses(Suspect { proof: proof.clone(), metadata, position: *position }))
}

fn contradiction(both: &[Statement; 2], culprit: NodeId, verifier: &Verifier) -> Result<Guilt, NotProven> {
    let [first, second] = both;
    first.said_by(culprit, verifier)?;
    second.said_by(culprit, verifier)?;
    if first.contradicts(second) { Ok(Guilt::Proven) } else { Err(NotProven::NoContradiction) }
}

/// Marriage index, proof, challenge and units of a post; an initial one is over the zero challenge.
fn claim(atx: &Atx, post: Option<u32>) -> Option<(u32, &Proof, Challenge, u32)> {
    let all = atx.niposts.iter().flat_map(|nipost| nipost.posts.iter().map(move |post| (post, nipost.challenge)));
    match post {
        None => {
            let units = atx.posts().next()?.num_units;
            Some((0, &atx.initial.as_ref()?.post, Challenge([0; 32]), units))
        }
        Some(position) => {
            let (post, challenge) = all.into_iter().nth(position as usize)?;
            Some((post.marriage_index, &post.post, challenge, post.num_units))
        }
    }
}
