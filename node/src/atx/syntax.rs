//! What can be wrong with an ATX by itself, whatever the network's state.
//!
//! Some rules are there so that an id stands for one list of bytes (see [`super::id`]): ids of zeros, which the trees
//! are padded with, and one previous ATX twice are not allowed.

use std::collections::BTreeSet;

use super::{Atx, MAX_INDICES, MAX_MEMBERSHIP, MAX_MERGED, MAX_NIPOSTS, SubPost};
use crate::ids::NO_ATX;

/// The rule an ATX breaks. Positions count from 0; a post's is among the posts of all NiPoSTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Longer than a decoder would take.
    #[error("{what}: {len} where at most {max} may be")]
    TooLong {
        /// The list.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// An id of zeros where there must be an ATX.
    #[error("the {what} is all zeros")]
    NoAtx {
        /// Which one.
        what: &'static str,
    },
    /// Neither an initial part nor a previous ATX, or both.
    #[error("an ATX has either an initial part or previous ATXs")]
    InitialXorPrevious,
    /// A previous ATX is listed again.
    #[error("previous ATX {index} is there twice")]
    PreviousTwice {
        /// Its second position.
        index: usize,
    },
    /// A NiPoST without any post, or none at all.
    #[error("a NiPoST is empty, or there is none")]
    NoPost,
    /// A solo ATX that has not exactly one post.
    #[error("an ATX that names no marriage has one post and at most one previous ATX")]
    NotSolo,
    /// A merged ATX that is initial, or marries.
    #[error("a merged ATX can't be an initial one, nor can miners marry in it")]
    NotMerged,
    /// A post of a miner that can't be.
    #[error("post {post}: there is no marriage {index}")]
    MarriageIndex {
        /// The post.
        post: usize,
        /// What it names.
        index: u32,
    },
    /// Two posts of one miner.
    #[error("post {post} is the second one of marriage {index}")]
    MinerTwice {
        /// The second.
        post: usize,
        /// Whose.
        index: u32,
    },
    /// A post names a previous ATX outside the list.
    #[error("post {post}: there is no previous ATX {index}")]
    PreviousIndex {
        /// The post.
        post: usize,
        /// What it names.
        index: u32,
    },
    /// A post over no space.
    #[error("post {post} has no units")]
    NoUnits {
        /// The post.
        post: usize,
    },
    /// Marriages of which not exactly one is the signer's own.
    #[error("{own} of the marriages are the signer's own, not one")]
    OwnMarriage {
        /// How many are.
        own: usize,
    },
}

impl Atx {
    /// Checks what needs no other ATX, no PoET and no key.
    ///
    /// # Errors
    /// [`SyntaxError`], the first in the order of the rules below.
    pub fn check(&self) -> Result<(), SyntaxError> {
        self.check_limits()?;
        self.check_references()?;
        if self.niposts.iter().any(|nipost| nipost.posts.is_empty()) || self.niposts.is_empty() {
            return Err(SyntaxError::NoPost);
        }
        match self.marriage_atx {
            Some(_) => self.check_merged()?,
            None => self.check_solo()?,
        }
        self.check_posts()
    }

    /// The limits of decoding, for an ATX that was not decoded.
    fn check_limits(&self) -> Result<(), SyntaxError> {
        let within = |what, len, max| if len > max { Err(SyntaxError::TooLong { what, len, max }) } else { Ok(()) };
        within("previous ATXs", self.previous_atxs.len(), MAX_MERGED)?;
        within("NiPoSTs", self.niposts.len(), MAX_NIPOSTS)?;
        within("marriages", self.marriages.len(), MAX_MERGED)?;
        for nipost in &self.niposts {
            within("nodes of a membership proof", nipost.membership.nodes.len(), MAX_MEMBERSHIP)?;
            within("posts of a NiPoST", nipost.posts.len(), MAX_MERGED)?;
        }
        let initial = self.initial.iter().map(|initial| &initial.post);
        for post in initial.chain(self.posts().map(|post| &post.post)) {
            within("bytes of indices", post.indices.len(), MAX_INDICES)?;
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), SyntaxError> {
        let present = |what, id| if id == NO_ATX { Err(SyntaxError::NoAtx { what }) } else { Ok(()) };
        present("positioning ATX", self.positioning_atx)?;
        if let Some(initial) = &self.initial {
            present("commitment ATX", initial.commitment_atx)?;
        }
        if let Some(marriage) = self.marriage_atx {
            present("marriage ATX", marriage)?;
        }
        if self.initial.is_some() != self.previous_atxs.is_empty() {
            return Err(SyntaxError::InitialXorPrevious);
        }
        let mut seen = BTreeSet::new();
        for (index, previous) in self.previous_atxs.iter().enumerate() {
            present("previous ATX", *previous)?;
            if !seen.insert(previous) {
                return Err(SyntaxError::PreviousTwice { index });
            }
        }
        Ok(())
    }

    fn check_solo(&self) -> Result<(), SyntaxError> {
        if self.posts().count() != 1 || self.previous_atxs.len() > 1 {
            return Err(SyntaxError::NotSolo);
        }
        let own = self.marriages.iter().filter(|marriage| marriage.reference_atx == NO_ATX).count();
        if !self.marriages.is_empty() && own != 1 {
            return Err(SyntaxError::OwnMarriage { own });
        }
        Ok(())
    }

    fn check_merged(&self) -> Result<(), SyntaxError> {
        if self.initial.is_some() || !self.marriages.is_empty() {
            return Err(SyntaxError::NotMerged);
        }
        Ok(())
    }

    fn check_posts(&self) -> Result<(), SyntaxError> {
        // The marriage ATX may hold fewer; a solo ATX has one miner, its signer.
        let miners = if self.marriage_atx.is_some() { MAX_MERGED } else { 1 };
        let mut seen = BTreeSet::new();
        for (position, post) in self.posts().enumerate() {
            let &SubPost { marriage_index, previous_index, num_units, .. } = post;
            if marriage_index as usize >= miners {
                return Err(SyntaxError::MarriageIndex { post: position, index: marriage_index });
            }
            if !seen.insert(marriage_index) {
                return Err(SyntaxError::MinerTwice { post: position, index: marriage_index });
            }
            // An initial ATX has no previous one, and then 0 stands for that.
            if previous_index as usize >= self.previous_atxs.len().max(1) {
                return Err(SyntaxError::PreviousIndex { post: position, index: previous_index });
            }
            if num_units == 0 {
                return Err(SyntaxError::NoUnits { post: position });
            }
        }
        Ok(())
    }
}
