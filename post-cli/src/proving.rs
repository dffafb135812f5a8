//! One proof, made and verified at once: what `prove` and `serve` have in common.

use anyhow::{Result, anyhow};
use post_core::backend::Backend;
use post_core::pow::{PowProver, PowVerifier};
use post_core::proof::ProofFile;
use post_core::prove::{Progress, Request, prove_keeping};
use post_core::set::DataSet;
use post_core::verify::{Invalid, Mode, Verifier};
use post_core::watch::Watch;

/// What computes.
pub(crate) struct Tools<'a> {
    /// Scans the labels.
    pub(crate) backend: &'a mut dyn Backend,
    /// Computes labels anew. The CPU: a GPU that once made wrong ones would make them again.
    pub(crate) judge: &'a mut dyn Backend,
    /// Finds pows.
    pub(crate) pow: &'a dyn PowProver,
    /// Judges the pow of the proof.
    pub(crate) pow_judge: &'a dyn PowVerifier,
}

/// Makes the proof and recomputes all its labels: an invalid one costs the epoch, or worse, so it is better heard of here than
/// from the network. Whoever gets it calls [`Progress::forget`] once it is safe.
pub(crate) fn prove_verified(
    request: &Request<'_>,
    progress: &mut Progress<'_>,
    tools: Tools<'_>,
    watch: &dyn Watch,
) -> Result<ProofFile> {
    let file = prove_keeping(request, progress, tools.backend, tools.pow, watch)?;
    let verifier = Verifier::new(request.params, tools.pow_judge)?;
    match verifier.verify(&file.proof, &file.metadata, &Mode::All, tools.judge)? {
        Ok(()) => Ok(file),
        Err(invalid) => Err(refused(request.set, progress, &invalid)),
    }
}

/// What led to a proof that would be refused must not be found again. Pows cost hours and are no worse for a wrong label.
fn refused(set: &DataSet, progress: &Progress<'_>, invalid: &Invalid) -> anyhow::Error {
    let wrong_label = matches!(invalid, Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. });
    let forgotten = if wrong_label { progress.forget_scan() } else { progress.forget() };
    let explained = explain(set, invalid);
    match forgotten {
        Ok(()) => anyhow!("{explained}"),
        Err(error) => {
            anyhow!("{explained}; its progress is of no use and can't be removed, do so by hand: {error}")
        }
    }
}

/// The data is wrong where a fresh label differs from the one on disk.
fn explain(set: &DataSet, invalid: &Invalid) -> String {
    let place = match invalid {
        Invalid::InvalidMsb { index, .. } | Invalid::InvalidLsb { index, .. } => set.place_of(*index),
        other => return format!("the proof would be refused ({other}); check --network"),
    };
    format!(
        "the proof would be refused ({invalid}): {place} holds a wrong label there, or the data was made for another network; check --network; `post check --all --repair` finds and mends wrong labels"
    )
}
