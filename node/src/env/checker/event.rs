//! What a checker finds.

use post_core::verify::VerifyError;

use crate::atx::{Junk, Received};
use crate::atxs::{Dear, Judgement};
use crate::ids::AtxId;
use crate::source::Source;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckerEvent {
    /// An ATX that bears its smesher's signature; nothing else is known of it. Those of one source come in the order in
    /// which they were handed in; one that was handed in again comes again.
    Atx {
        /// The ATX.
        received: Box<Received>,
        /// Where it came from.
        source: Source,
    },
    /// Bytes that are no such thing. Whoever sent them could know: [`crate::source::Verdict::Reject`].
    Junk {
        /// Where they came from.
        source: Source,
        /// The ATX's, if they came as an answer and decode: somebody waits for it.
        id: Option<AtxId>,
        /// What is wrong.
        why: Why,
    },
    /// A job is judged.
    Judged {
        /// The job's ATX.
        id: AtxId,
        /// What came of it.
        judgement: Judgement,
    },
    /// A job could not be judged, for no fault of the ATX: memory was short, or a device failed and no other is left. It
    /// may be handed in again later.
    Failed {
        /// The job.
        job: Dear,
        /// Why, and what would help.
        why: String,
    },
}

/// Why bytes are junk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No ATX.
    #[error(transparent)]
    NoAtx(#[from] Junk),
    /// An ATX that its smesher didn't sign.
    #[error("the signature is not the smesher's")]
    Signature,
}

impl CheckerEvent {
    /// What to say of `jobs` that were judged together.
    pub(super) fn of_jobs(
        jobs: Vec<Dear>,
        results: Result<Vec<Judgement>, VerifyError>,
    ) -> Box<dyn Iterator<Item = Self>> {
        match results {
            Ok(judgements) => {
                let judged = jobs.into_iter().zip(judgements);
                Box::new(judged.map(|(Dear { id, .. }, judgement)| Self::Judged { id, judgement }))
            }
            Err(error) => {
                let why = error.to_string();
                Box::new(jobs.into_iter().map(move |job| Self::Failed { job, why: why.clone() }))
            }
        }
    }
}
