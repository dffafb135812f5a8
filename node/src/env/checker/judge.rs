//! The dear checks: k2pows, labels of posts, labels of VRF nonces, of many ATXs at once.
//!
//! What fails for want of memory or by a device says nothing of an ATX. The next backend, or the next way to hash, takes
//! over for good and judges the same jobs again; when the last one fails there is no judgement.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use post_core::backend::{self, Backend, label_list};
use post_core::label::{Label, reference, stored};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{PowClaim, PowError, PowInput, PowVerifier};
use post_core::verify::{Job, Verdict, Verifier, VerifyError};

use super::meters::{Meters, add_time};
use crate::atxs::{Dear, Judgement, PostClaim, VrfClaim};

/// Judges jobs of one network.
pub struct Judge {
    params: NetworkParams,
    /// The one in use, then its substitutes.
    backends: VecDeque<Box<dyn Backend>>,
    pows: VecDeque<Box<dyn PowVerifier + Send>>,
    meters: Arc<Meters>,
}

/// What gave no judgement.
enum Culprit {
    Backend,
    Pow,
    Nobody,
}

impl Judge {
    /// With the means in the order in which they are to be used; `None` if there are none.
    #[must_use]
    pub fn new(
        params: NetworkParams,
        backends: Vec<Box<dyn Backend>>,
        pows: Vec<Box<dyn PowVerifier + Send>>,
        meters: Arc<Meters>,
    ) -> Option<Self> {
        let any = !backends.is_empty() && !pows.is_empty();
        any.then(|| Self { params, backends: backends.into(), pows: pows.into(), meters })
    }

    /// A judgement for each job, the same as it gets alone.
    ///
    /// # Errors
    /// [`VerifyError`] when the last backend, or the last way to hash, fails: nothing is said of any job.
    pub fn judge(&mut self, jobs: &[Dear]) -> Result<Vec<Judgement>, VerifyError> {
        let judgements = loop {
            match self.attempt(jobs) {
                Err(error) if self.give_up(&error) => {
                    tracing::warn!(%error, "checking goes on by other means");
                    self.meters.given_up.fetch_add(1, Relaxed);
                }
                result => break result,
            }
        };
        let Meters { judge_batches, judged_valid, judged_invalid, judge_failed, .. } = &*self.meters;
        match &judgements {
            Ok(judgements) => {
                let valid = judgements.iter().filter(|judgement| **judgement == Judgement::Valid).count();
                judge_batches.fetch_add(1, Relaxed);
                judged_valid.fetch_add(valid as u64, Relaxed);
                judged_invalid.fetch_add((judgements.len() - valid) as u64, Relaxed);
            }
            Err(_) => _ = judge_failed.fetch_add(jobs.len() as u64, Relaxed),
        }
        judgements
    }

    /// Puts what failed aside; false when there is nothing else.
    fn give_up(&mut self, error: &VerifyError) -> bool {
        match culprit(error) {
            Culprit::Backend if self.backends.len() > 1 => self.backends.pop_front().is_some(),
            Culprit::Pow if self.pows.len() > 1 => self.pows.pop_front().is_some(),
            _ => false,
        }
    }

    /// A panic of a driver ends an attempt, not the thread.
    fn attempt(&mut self, jobs: &[Dear]) -> Result<Vec<Judgement>, VerifyError> {
        let (Some(backend), Some(pow)) = (self.backends.front_mut(), self.pows.front()) else {
            return Err(PowError::NoMachine.into());
        };
        let device = backend.info().id.clone();
        let attempt = || judge(&self.params, &mut **backend, &**pow, jobs, &self.meters);
        catch_unwind(AssertUnwindSafe(attempt)).unwrap_or(Err(backend::Error::DeviceLost { device }.into()))
    }
}

fn culprit(error: &VerifyError) -> Culprit {
    match error {
        VerifyError::Backend(_) => Culprit::Backend,
        VerifyError::Pow(_) => Culprit::Pow,
        VerifyError::Params(_) => Culprit::Nobody,
    }
}

fn judge(
    params: &NetworkParams,
    backend: &mut dyn Backend,
    pow: &dyn PowVerifier,
    jobs: &[Dear],
    meters: &Meters,
) -> Result<Vec<Judgement>, VerifyError> {
    let mut judgements = judge_posts(params, backend, pow, jobs, meters)?;
    // A label for the VRF nonce is owed only to those whose posts hold.
    let claims: Vec<(usize, &VrfClaim)> = jobs
        .iter()
        .enumerate()
        .filter(|(at, _)| judgements.get(*at) == Some(&Judgement::Valid))
        .filter_map(|(at, job)| job.vrf.as_ref().map(|claim| (at, claim)))
        .collect();
    let start = Instant::now();
    let hold = judge_vrf(claims.iter().map(|(_, claim)| *claim), params.scrypt, backend)?;
    add_time(&meters.vrf_us, start);
    meters.vrf_nonces.fetch_add(claims.len() as u64, Relaxed);
    for ((at, _), holds) in claims.iter().zip(hold) {
        if !holds && let Some(judgement) = judgements.get_mut(*at) {
            *judgement = Judgement::InvalidVrf;
        }
    }
    Ok(judgements)
}

/// The posts of all jobs, in one batch.
fn judge_posts(
    params: &NetworkParams,
    backend: &mut dyn Backend,
    pow: &dyn PowVerifier,
    jobs: &[Dear],
    meters: &Meters,
) -> Result<Vec<Judgement>, VerifyError> {
    let start = Instant::now();
    let posts: Vec<Job<'_>> = jobs
        .iter()
        .flat_map(|job| &job.posts)
        .map(|PostClaim { proof, metadata, mode }| Job { proof, metadata, mode })
        .collect();
    let timed = Timed { pow, us: AtomicU64::new(0) };
    let mut verdicts = Verifier::new(params, &timed)?.verify_batch(&posts, backend)?.into_iter();
    let (all, hashing) = (u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX), timed.us.into_inner());
    meters.pow_us.fetch_add(hashing, Relaxed);
    meters.labels_us.fetch_add(all.saturating_sub(hashing), Relaxed);
    meters.posts.fetch_add(posts.len() as u64, Relaxed);
    Ok(jobs.iter().map(|job| first_invalid(verdicts.by_ref().take(job.posts.len()))).collect())
}

/// What the verdicts of one job's posts make. Takes them all.
fn first_invalid(verdicts: impl Iterator<Item = Verdict>) -> Judgement {
    verdicts.enumerate().fold(Judgement::Valid, |judgement, (post, verdict)| match (judgement, verdict) {
        (Judgement::Valid, Err(invalid)) => Judgement::InvalidPost { post, invalid },
        (judgement, _) => judgement,
    })
}

/// Whether each label is below its threshold; all are computed in one list.
fn judge_vrf<'a>(
    claims: impl Iterator<Item = &'a VrfClaim> + Clone,
    scrypt: ScryptParams,
    backend: &mut dyn Backend,
) -> Result<Vec<bool>, backend::Error> {
    let list: Vec<_> = claims.clone().map(|claim| (claim.commitment, claim.nonce)).collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let labels = label_list(backend, scrypt, &list)?;
    if labels.len() != list.len() {
        // A label that nobody saw is not below anything.
        return Err(backend::Error::DeviceLost { device: backend.info().id.clone() });
    }
    claims.zip(&labels).map(|(claim, label)| vrf_holds(claim, label, scrypt, backend)).collect()
}

/// The leading halves decide unless they are equal. A device other than the CPU refuses nobody by itself, see
/// [`Verifier::verify_batch`].
fn vrf_holds(
    claim: &VrfClaim,
    label: &Label,
    scrypt: ScryptParams,
    backend: &mut dyn Backend,
) -> Result<bool, backend::Error> {
    let bound = stored(&claim.threshold);
    if *label < bound {
        return Ok(true);
    }
    if *label > bound && backend.info().kind == "cpu" {
        return Ok(false);
    }
    let full = reference::full_label(&claim.commitment, claim.nonce, scrypt)?;
    if stored(&full) != *label {
        let error = backend.accuse(&claim.commitment, claim.nonce);
        if !backend.others_left() {
            return Err(error);
        }
    }
    Ok(full < claim.threshold)
}

/// Counts the time that hashing takes.
struct Timed<'a> {
    pow: &'a dyn PowVerifier,
    us: AtomicU64,
}

impl PowVerifier for Timed<'_> {
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError> {
        let start = Instant::now();
        let verdict = self.pow.verify(input, pow, target);
        add_time(&self.us, start);
        verdict
    }

    fn verify_all(&self, claims: &[PowClaim]) -> Result<Vec<bool>, PowError> {
        let start = Instant::now();
        let verdicts = self.pow.verify_all(claims);
        add_time(&self.us, start);
        verdicts
    }
}
