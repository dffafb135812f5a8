//! Rule 7: the labels of many proofs are computed together, then looked at proof by proof.

use super::claim::Claim;
use super::{Invalid, Verdict};
use crate::backend::{self, Backend, label_list};
use crate::cipher::{Cipher, NONCES_PER_GROUP, lazy_value};
use crate::label::{Label, reference, stored};
use crate::params::ScryptParams;
use crate::pow::PowClaim;

/// Labels of one job of the backend: enough to keep any device busy, and a few MiB of memory.
const LABELS_AT_A_TIME: usize = 1 << 16;

/// Judges the labels of each claim.
///
/// # Errors
/// Every [`backend::Error`].
pub(super) fn judge<'a>(
    claims: impl Iterator<Item = &'a Claim>,
    scrypt: ScryptParams,
    backend: &mut dyn Backend,
) -> Result<Vec<Verdict>, backend::Error> {
    let claims: Vec<_> = claims.collect();
    let mut verdicts = Vec::with_capacity(claims.len());
    let mut rest = &claims[..];
    while !rest.is_empty() {
        let (some, others) = rest.split_at(fitting(rest));
        let list: Vec<_> =
            some.iter().flat_map(|claim| claim.picks.iter().map(|(_, index)| (claim.commitment, *index))).collect();
        let labels = label_list(backend, scrypt, &list)?;
        if labels.len() != list.len() {
            // Labels that nobody saw must not pass for hits.
            return Err(backend::Error::DeviceLost { device: backend.info().id.clone() });
        }
        let mut labels = &labels[..];
        for claim in some {
            let (its_own, others) = labels.split_at(claim.picks.len());
            verdicts.push(judge_one(claim, its_own, scrypt, backend)?);
            labels = others;
        }
        rest = others;
    }
    Ok(verdicts)
}

/// How many of `claims`, at least one, have no more labels than go together.
fn fitting(claims: &[&Claim]) -> usize {
    let mut labels = 0;
    let fit = claims.iter().take_while(|claim| {
        labels += claim.picks.len();
        labels <= LABELS_AT_A_TIME
    });
    fit.count().max(1)
}

/// The first label that misses decides.
fn judge_one(
    claim: &Claim,
    labels: &[Label],
    scrypt: ScryptParams,
    backend: &mut dyn Backend,
) -> Result<Verdict, backend::Error> {
    let target = Target::new(claim);
    for ((index_id, index), label) in claim.picks.iter().zip(labels) {
        let mut verdict = target.judge(*index_id, *index, label);
        // A device's labels are checked by samples at best, and nobody's proof is refused for the others.
        if verdict.is_err() && backend.info().kind != "cpu" {
            let right = stored(&reference::full_label(&claim.commitment, *index, scrypt)?);
            if right != *label {
                let error = backend.accuse(&claim.commitment, *index);
                if !backend.others_left() {
                    return Err(error);
                }
                verdict = target.judge(*index_id, *index, &right);
            }
        }
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

/// What labels must hit.
struct Target<'a> {
    claim: &'a Claim,
    cipher: Cipher,
}

impl<'a> Target<'a> {
    fn new(claim: &'a Claim) -> Self {
        Self { claim, cipher: Cipher::group(&claim.challenge, claim.nonce / NONCES_PER_GROUP, claim.pow.pow) }
    }

    fn judge(&self, index_id: u32, index: u64, label: &Label) -> Verdict {
        let Claim { ref challenge, nonce, difficulty, pow: PowClaim { pow, .. }, .. } = *self.claim;
        let msb = self.cipher.encrypt(label)[(nonce % NONCES_PER_GROUP) as usize];
        if msb > difficulty.msb {
            return Err(Invalid::InvalidMsb { index, index_id, label: *label, msb, difficulty_msb: difficulty.msb });
        }
        if msb == difficulty.msb {
            let lazy = Cipher::lazy(challenge, nonce / NONCES_PER_GROUP, pow, nonce);
            let lsb = lazy_value(&lazy.encrypt(label));
            if lsb >= difficulty.lsb {
                return Err(Invalid::InvalidLsb {
                    index,
                    index_id,
                    label: *label,
                    lsb,
                    difficulty_lsb: difficulty.lsb,
                });
            }
        }
        Ok(())
    }
}
