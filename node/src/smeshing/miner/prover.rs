//! A miner and its prover: what is asked, and what is taken for an answer.

use post_core::cipher::{MAX_GROUPS, NONCES_PER_GROUP};
use post_core::index_packing::{packed_len, required_bits};
use post_core::pow::POW_LIMIT;
use post_core::proof::Proof;

use super::super::io::{Effect, ProverEvent, ProverMetadata};
use super::super::record::{SpaceProof, Stage};
use super::super::rules::Rules;
use super::super::warning::Warning;
use super::{INITIAL, Miner, Moment, Outbox};
use crate::ids::{AtxId, Challenge};
use crate::time::Time;

impl Miner {
    /// Something comes from the prover.
    pub(in super::super) fn prover(&mut self, event: ProverEvent, at: &Moment<'_>, out: &mut Outbox) {
        match event {
            ProverEvent::Registered(metadata) => {
                self.prover = Some(metadata);
                if matches!(self.record.stage, Stage::Idle | Stage::Ticket { .. }) {
                    self.due = Time(0);
                }
            }
            ProverEvent::Gone { .. } => {
                self.prover = None;
                if self.asked.is_some() {
                    self.warn(Warning::ProverGone, at, out);
                }
            }
            ProverEvent::Proof { challenge, proof, metadata, .. } => {
                if self.asked != Some(challenge) {
                    return self.warn(Warning::ProofNotAsked, at, out);
                }
                match self.space_proof(proof, &metadata, at) {
                    Ok(proof) => self.proved(challenge, proof, out),
                    Err(warning) => self.not_proved(warning, at, out),
                }
            }
            ProverEvent::Failed { challenge, why, .. } => {
                if self.asked == Some(challenge) {
                    self.not_proved(Warning::ProverFailed(why), at, out);
                }
            }
        }
    }

    /// Asks for a proof if there is somebody who can make one that is of use.
    pub(super) fn ask(&mut self, challenge: Challenge, at: &Moment<'_>, out: &mut Outbox) {
        if let Err(warning) = self.usable(at) {
            return self.warn(warning, at, out);
        }
        if at.now >= self.due {
            out.effects.push(Effect::AskProof { node_id: self.node_id, challenge });
            self.asked = Some(challenge);
            self.due = at.now.after(at.rules.patience_ms());
        }
    }

    fn proved(&mut self, challenge: Challenge, proof: SpaceProof, out: &mut Outbox) {
        match &self.record.stage {
            Stage::Idle if challenge == INITIAL => {
                self.record.initial = Some(proof);
                self.enter(Stage::Idle, out);
            }
            Stage::Ticket { plan, ticket } if challenge == ticket.poet => {
                let stage = Stage::Proved { plan: plan.clone(), ticket: ticket.clone(), proof };
                self.enter(stage, out);
            }
            _ => {}
        }
    }

    fn not_proved(&mut self, warning: Warning, at: &Moment<'_>, out: &mut Outbox) {
        self.asked = None;
        self.due = at.now.after(at.rules.retry_ms());
        self.warn(warning, at, out);
    }

    /// Whether the prover there is can do what the next proof needs.
    pub(super) fn usable(&self, at: &Moment<'_>) -> Result<(), Warning> {
        self.fits(self.prover.as_ref().ok_or(Warning::NoProver)?, at)
    }

    /// Whether an initial post is there, and the prover still is what it was made with.
    pub(super) fn initial_fits(&self) -> bool {
        let Some(initial) = &self.record.initial else { return false };
        let same =
            |prover: &ProverMetadata| prover.units == initial.units && prover.commitment_atx == initial.commitment_atx;
        self.prover.as_ref().is_none_or(same)
    }

    fn fits(&self, prover: &ProverMetadata, at: &Moment<'_>) -> Result<(), Warning> {
        at.rules.check(prover)?;
        if let Some(wanted) = self.commitment_atx(at)
            && wanted != prover.commitment_atx
        {
            return Err(Warning::WrongCommitment { wanted, got: prover.commitment_atx });
        }
        if let (Some(_), Some(initial)) = (self.plan().filter(|plan| plan.is_initial()), &self.record.initial)
            && initial.units != prover.units
        {
            return Err(Warning::UnitsChanged { wanted: initial.units, got: prover.units });
        }
        self.vrf_nonce(prover, at).ok_or(Warning::NonceUnknown).map(|_| ())
    }

    /// What the miner's data must be bound to, once that is decided.
    fn commitment_atx(&self, at: &Moment<'_>) -> Option<AtxId> {
        match self.last(at) {
            Some(last) => Some(last.commitment_atx),
            None => self.plan().and(self.record.initial.as_ref()).map(|initial| initial.commitment_atx),
        }
    }

    /// The nonce the prover names; or the one that was good for as much space or more.
    fn vrf_nonce(&self, prover: &ProverMetadata, at: &Moment<'_>) -> Option<u64> {
        let registered = self.prover.as_ref().filter(|registered| registered.units == prover.units);
        prover.nonce.or_else(|| registered?.nonce).or_else(|| {
            let last = self.last(at).map(|last| (last.units, last.vrf_nonce));
            let initial = self.record.initial.as_ref().filter(|_| self.plan().is_some());
            let known = last.or_else(|| initial.map(|initial| (initial.units, initial.vrf_nonce)));
            known.filter(|(units, _)| prover.units <= *units).map(|(_, nonce)| nonce)
        })
    }

    /// What a proof is good for, if it can hold at all. Whether it does is judged with the ATX.
    fn space_proof(&self, post: Proof, prover: &ProverMetadata, at: &Moment<'_>) -> Result<SpaceProof, Warning> {
        if prover.node_id != self.node_id {
            return Err(Warning::ProofMalformed("it is of another miner"));
        }
        self.fits(prover, at)?;
        glance(&post, prover, at.rules)?;
        let vrf_nonce = self.vrf_nonce(prover, at).ok_or(Warning::NonceUnknown)?;
        Ok(SpaceProof { commitment_atx: prover.commitment_atx, units: prover.units, vrf_nonce, post })
    }
}

/// What can be seen of a proof without any label or hash (POST.md section 6).
fn glance(post: &Proof, prover: &ProverMetadata, rules: &Rules) -> Result<(), Warning> {
    let labels = u64::from(prover.units).checked_mul(rules.params.post.labels_per_unit);
    let labels = labels.ok_or(Warning::ProofMalformed("it is over more labels than there can be"))?;
    if post.nonce >= NONCES_PER_GROUP * MAX_GROUPS {
        return Err(Warning::ProofMalformed("its nonce is too large"));
    }
    if post.pow >= POW_LIMIT {
        return Err(Warning::ProofMalformed("its pow is too large"));
    }
    if post.indices.len() != packed_len(rules.params.post.k2, required_bits(labels)) {
        return Err(Warning::ProofMalformed("its indices have a wrong length"));
    }
    Ok(())
}
