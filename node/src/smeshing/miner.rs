//! One miner's cycle.
//!
//! Every change of stage is only written down; what follows from it is asked for by a later tick, so that nothing is
//! asked of the world that is not in the archive. Every stage asks for one thing, again and again until it is there or
//! too late.

mod prover;

use std::collections::BTreeMap;

use super::activation::{Parts, build, own};
use super::io::{Effect, OwnAtx, PoetCommand, ProverMetadata, View};
use super::phase::{MinerStatus, Phase};
use super::record::{Plan, Record, Stage, Ticket};
use super::rules::Rules;
use super::warning::Warning;
use crate::archive::Write;
use crate::atx::SyntaxError;
use crate::ids::{AtxId, Challenge, Epoch, NO_ATX, NodeId, PoetChallenge};
use crate::poet::Members;
use crate::signature::{Domain, Signer};
use crate::time::Time;

/// What an initial post answers.
const INITIAL: Challenge = Challenge([0; 32]);

/// Of so many different warnings in one stage it is remembered when they were given; then the memory starts anew.
const MOST_WARNINGS: usize = 64;

/// What a step is made in.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) now: Time,
    pub(super) view: &'a dyn View,
    pub(super) rules: &'a Rules,
}

/// What comes out of a step: writes before all else.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) writes: Vec<Write>,
    pub(super) effects: Vec<Effect>,
}

/// A miner of this node.
#[derive(Debug)]
pub(super) struct Miner {
    signer: Signer,
    node_id: NodeId,
    record: Record,
    /// What the prover says, while there is one.
    prover: Option<ProverMetadata>,
    /// What the prover is at, on our behalf.
    asked: Option<Challenge>,
    /// When that which the stage asks for is asked again.
    due: Time,
    stopped: bool,
    /// When each warning of this stage was given.
    warned: BTreeMap<Warning, Time>,
    warning: Option<(Time, Warning)>,
    phase: Phase,
    since: Time,
}

impl Miner {
    pub(super) fn new(signer: Signer, record: Record) -> Self {
        Self {
            node_id: signer.node_id(),
            signer,
            record,
            prover: None,
            asked: None,
            due: Time(0),
            stopped: false,
            warned: BTreeMap::new(),
            warning: None,
            phase: Phase::Syncing,
            since: Time(0),
        }
    }

    /// Puts another record in place of the one there is.
    pub(super) fn restore(&mut self, record: Record) {
        self.record = record;
    }

    /// Takes the next step of the cycle, if it is time.
    pub(super) fn tick(&mut self, at: &Moment<'_>, out: &mut Outbox) {
        if at.view.is_fraud(self.node_id) {
            return self.stop(at, out);
        }
        match &self.record.stage {
            Stage::Signed { atx, .. } if self.latest_id(at) == Some(atx.id) => return self.accepted(at, out),
            Stage::Idle => return self.idle(at, out),
            _ => {}
        }
        if let Some(other) = self.newer(at) {
            return self.overtaken(other, at, out);
        }
        match &self.record.stage {
            Stage::Idle => {}
            Stage::Planned { plan, registered } => self.planned(plan.clone(), *registered, at, out),
            Stage::Ticket { plan, ticket } => {
                let (epoch, poet) = (plan.publish_epoch(), ticket.poet);
                if at.rules.too_late(epoch, at.now) {
                    return self.miss(epoch, at, out);
                }
                self.ask(poet, at, out);
            }
            Stage::Proved { plan, .. } => {
                let epoch = plan.publish_epoch();
                if at.rules.too_late(epoch, at.now) {
                    return self.miss(epoch, at, out);
                }
                self.sign(at, out);
            }
            Stage::Signed { atx, poet } => {
                if at.now >= self.due {
                    out.effects.push(Effect::Publish { atx: (**atx).clone(), poet: *poet });
                    self.due = at.now.after(at.rules.patience_ms());
                }
            }
        }
    }

    /// Fixes the next challenge, or has the initial post made first.
    fn idle(&mut self, at: &Moment<'_>, out: &mut Outbox) {
        if !at.view.is_synced() {
            return;
        }
        if self.last(at).is_none() && !self.initial_fits() {
            return self.ask(INITIAL, at, out);
        }
        if let Some(other) = self.newer(at) {
            if self.record.last.is_some() {
                self.warn(Warning::Overtaken { id: other.id, epoch: other.publish_epoch }, at, out);
            }
            // Whatever was done for an initial ATX is of no use when there is an ATX.
            self.record.initial = None;
            self.record.last = Some(other);
        }
        let last = self.record.last.as_ref();
        let newest = last.map(|last| last.publish_epoch).max(self.record.signed);
        let round = at.rules.next_round(at.now, newest);
        let previous = last.map_or(NO_ATX, |last| last.id);
        let plan = Plan { round, previous, positioning: at.view.positioning(round.next()) };
        self.enter(Stage::Planned { plan, registered: false }, out);
    }

    /// Registers; after that it is for the PoET to move on.
    fn planned(&mut self, plan: Plan, registered: bool, at: &Moment<'_>, out: &mut Outbox) {
        let (round, epoch) = (plan.round, plan.publish_epoch());
        // A PoET that never answered may have the challenge all the same: the round's end will show it, and in the gap
        // there is still time for the next round.
        if at.rules.too_late(epoch, at.now) || (!registered && at.now >= at.rules.give_up(round)) {
            return self.miss(epoch, at, out);
        }
        if registered {
            return;
        }
        if at.now >= at.rules.params.timing.round_opens(round) {
            return self.warn(Warning::RoundMissed { round }, at, out);
        }
        if at.now >= self.due {
            let challenge = self.record.challenge(&plan);
            let signature = self.signer.sign(Domain::Poet, &challenge.0);
            let submit = PoetCommand::Submit { node_id: self.node_id, round, challenge, signature };
            out.effects.push(Effect::Poet(submit));
            self.due = at.now.after(at.rules.patience_ms());
        }
    }

    /// Makes the ATX of all that is there, once it is certain that there is no other.
    fn sign(&mut self, at: &Moment<'_>, out: &mut Outbox) {
        let Stage::Proved { plan, ticket, proof } = &self.record.stage else { return };
        if !at.view.is_synced() {
            return;
        }
        let (epoch, poet, initial) = (plan.publish_epoch(), ticket.poet, self.record.initial.as_ref());
        let parts = Parts { plan, ticket, proof, initial, coinbase: at.rules.coinbase };
        match build(&parts, &self.signer) {
            Ok(atx) => {
                self.record.signed = self.record.signed.max(Some(epoch));
                self.enter(Stage::Signed { atx: Box::new(atx), poet }, out);
            }
            Err(why) => self.rejected(epoch, SyntaxError::to_string(&why), at, out),
        }
    }

    /// The PoET says that it has a challenge.
    pub(super) fn registered(&mut self, (round, challenge): (Epoch, PoetChallenge), at: &Moment<'_>, out: &mut Outbox) {
        let Some(plan) = self.registering(challenge).cloned() else { return };
        if plan.round == round {
            return self.enter(Stage::Planned { plan, registered: true }, out);
        }
        // Of no use: the challenge names the epoch that follows from its own round.
        self.due = at.now.after(at.rules.patience_ms());
        let why = format!("it took the challenge into round {round}; its calendar and the network's must be the same");
        self.warn(Warning::NotRegistered { round: plan.round, why }, at, out);
    }

    /// The PoET does not take a challenge.
    pub(super) fn refused(
        &mut self,
        (round, challenge): (Epoch, PoetChallenge),
        retryable: bool,
        why: String,
        at: &Moment<'_>,
        out: &mut Outbox,
    ) {
        if self.registering(challenge).is_some_and(|plan| plan.round == round) {
            self.due = at.now.after(if retryable { at.rules.retry_ms() } else { at.rules.patience_ms() });
            self.warn(Warning::NotRegistered { round, why }, at, out);
        }
    }

    /// The plan whose challenge is being registered, if it is this one.
    fn registering(&self, challenge: PoetChallenge) -> Option<&Plan> {
        match &self.record.stage {
            Stage::Planned { plan, registered: false } => {
                Some(plan).filter(|plan| self.record.challenge(plan) == challenge)
            }
            _ => None,
        }
    }

    /// The round whose output is waited for.
    pub(super) fn waits_for(&self, at: &Moment<'_>) -> Option<Epoch> {
        match &self.record.stage {
            Stage::Planned { plan, .. } if !self.stopped => {
                (at.now >= at.rules.params.timing.round_ends(plan.round)).then_some(plan.round)
            }
            _ => None,
        }
    }

    /// A round's output is there, and holds. Whether the miner makes use of it.
    pub(super) fn round_ended(
        &mut self,
        (round, poet): (Epoch, Challenge),
        members: &Members,
        at: &Moment<'_>,
        out: &mut Outbox,
    ) -> bool {
        let Stage::Planned { plan, .. } = &self.record.stage else { return false };
        if plan.round != round {
            return false;
        }
        let challenge = self.record.challenge(plan);
        let place = members.position(&challenge);
        let membership = place.and_then(|leaf_index| Some((leaf_index, members.prove(&[leaf_index]).ok()?)));
        let Some((leaf_index, membership)) = membership else {
            self.miss(plan.publish_epoch(), at, out);
            self.warn(Warning::NotInRound { round, challenge }, at, out);
            return false;
        };
        let ticket = Ticket { poet, leaf_index, membership };
        self.enter(Stage::Ticket { plan: plan.clone(), ticket }, out);
        true
    }

    /// This node has judged an ATX.
    pub(super) fn judged(&mut self, id: AtxId, ok: bool, why: String, at: &Moment<'_>, out: &mut Outbox) {
        match &self.record.stage {
            Stage::Signed { atx, .. } if atx.id == id => {
                let epoch = atx.atx.publish_epoch;
                if ok { self.accepted(at, out) } else { self.rejected(epoch, why, at, out) }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, at: &Moment<'_>, out: &mut Outbox) {
        if let Stage::Signed { atx, .. } = &self.record.stage {
            self.record.last = own(atx, self.record.last.as_ref()).or_else(|| at.view.latest(self.node_id));
        }
        self.record.initial = None;
        self.enter(Stage::Idle, out);
    }

    /// The ATX can't be published, and no other one may be signed in its epoch. What it was made of is not used again.
    fn rejected(&mut self, epoch: Epoch, why: String, at: &Moment<'_>, out: &mut Outbox) {
        self.record.signed = self.record.signed.max(Some(epoch));
        self.record.initial = None;
        self.enter(Stage::Idle, out);
        self.warn(Warning::AtxRejected { epoch, why }, at, out);
    }

    /// The network has an ATX of ours that makes the one in the making a fraud.
    fn overtaken(&mut self, other: OwnAtx, at: &Moment<'_>, out: &mut Outbox) {
        self.cancel(out);
        let warning = Warning::Overtaken { id: other.id, epoch: other.publish_epoch };
        self.record.initial = None;
        self.record.last = Some(other);
        self.enter(Stage::Idle, out);
        self.warn(warning, at, out);
    }

    fn miss(&mut self, epoch: Epoch, at: &Moment<'_>, out: &mut Outbox) {
        self.cancel(out);
        self.enter(Stage::Idle, out);
        self.warn(Warning::EpochMissed { epoch }, at, out);
    }

    fn stop(&mut self, at: &Moment<'_>, out: &mut Outbox) {
        if !self.stopped {
            self.stopped = true;
            self.cancel(out);
            self.warn(Warning::Fraud, at, out);
        }
    }

    fn cancel(&mut self, out: &mut Outbox) {
        if self.asked.take().is_some() {
            out.effects.push(Effect::CancelProof { node_id: self.node_id });
        }
    }

    /// Moves on, and writes it down.
    fn enter(&mut self, stage: Stage, out: &mut Outbox) {
        self.record.stage = stage;
        self.asked = None;
        self.due = Time(0);
        self.warned.clear();
        out.writes.push(Write::Smeshing { node_id: self.node_id, bytes: self.record.encode() });
    }

    /// Tells the operator, but not the same thing over and over.
    pub(super) fn warn(&mut self, warning: Warning, at: &Moment<'_>, out: &mut Outbox) {
        self.warning = Some((at.now, warning.clone()));
        if self.warned.len() >= MOST_WARNINGS {
            self.warned.clear();
        }
        if self.warned.get(&warning).is_some_and(|last| at.now.since(*last) < 10 * at.rules.patience_ms()) {
            return;
        }
        self.warned.insert(warning.clone(), at.now);
        out.effects.push(Effect::Warn { node_id: self.node_id, warning });
    }

    fn latest_id(&self, at: &Moment<'_>) -> Option<AtxId> {
        at.view.latest(self.node_id).map(|latest| latest.id)
    }

    /// The network's last ATX of this miner, when it is newer than the one the machine knows.
    fn newer(&self, at: &Moment<'_>) -> Option<OwnAtx> {
        let latest = at.view.latest(self.node_id)?;
        let known = self.record.last.as_ref().map(|last| last.publish_epoch);
        (Some(latest.publish_epoch) > known).then_some(latest)
    }

    /// The miner's last ATX.
    fn last(&self, at: &Moment<'_>) -> Option<OwnAtx> {
        self.newer(at).or_else(|| self.record.last.clone())
    }

    fn plan(&self) -> Option<&Plan> {
        match &self.record.stage {
            Stage::Planned { plan, .. } | Stage::Ticket { plan, .. } | Stage::Proved { plan, .. } => Some(plan),
            Stage::Idle | Stage::Signed { .. } => None,
        }
    }

    /// Brings the phase up to date after a step.
    pub(super) fn note_phase(&mut self, at: &Moment<'_>) {
        let phase = self.phase_now(at);
        if phase != self.phase || self.since == Time(0) {
            self.phase = phase;
            self.since = at.now;
        }
    }

    fn phase_now(&self, at: &Moment<'_>) -> Phase {
        let timing = &at.rules.params.timing;
        match &self.record.stage {
            _ if self.stopped => Phase::Stopped,
            Stage::Idle if !at.view.is_synced() => Phase::Syncing,
            Stage::Idle if self.last(at).is_some() => Phase::Published,
            Stage::Idle if self.initial_fits() => Phase::InitialProved,
            Stage::Idle if self.usable(at).is_err() => Phase::NoProver,
            Stage::Idle => Phase::InitialProving,
            Stage::Planned { plan, .. } if at.now >= timing.round_ends(plan.round) => Phase::RoundEnded,
            Stage::Planned { plan, .. } if at.now >= timing.round_opens(plan.round) => Phase::RoundRunning,
            Stage::Planned { registered: true, .. } => Phase::Registered,
            Stage::Planned { registered: false, .. } => Phase::ChallengeFixed,
            Stage::Ticket { .. } if self.asked.is_some() && self.usable(at).is_ok() => Phase::Proving,
            Stage::Ticket { .. } => Phase::PoetProofThere,
            Stage::Proved { .. } => Phase::Proved,
            Stage::Signed { .. } => Phase::Signed,
        }
    }

    pub(super) fn status(&self, rules: &Rules) -> MinerStatus {
        let timing = &rules.params.timing;
        let last = self.record.last.as_ref().map(|last| last.publish_epoch);
        let publish_epoch = match &self.record.stage {
            Stage::Signed { atx, .. } => Some(atx.atx.publish_epoch),
            _ => self.plan().map(Plan::publish_epoch).or(last),
        };
        let round = self.plan().map(|plan| plan.round);
        let deadline = match self.phase {
            Phase::Syncing | Phase::NoProver | Phase::InitialProving | Phase::InitialProved | Phase::Published => {
                Some(timing.round_opens(rules.next_round(self.since, last.max(self.record.signed))))
            }
            Phase::ChallengeFixed | Phase::Registered => round.map(|round| timing.round_opens(round)),
            Phase::RoundRunning => round.map(|round| timing.round_ends(round)),
            Phase::RoundEnded | Phase::PoetProofThere | Phase::Proving | Phase::Proved | Phase::Signed => {
                publish_epoch.map(|epoch| rules.publish_by(epoch))
            }
            Phase::Stopped => None,
        };
        let (node_id, phase, since, warning) = (self.node_id, self.phase, self.since, self.warning.clone());
        MinerStatus { node_id, phase, publish_epoch, since, deadline, prover: self.prover.is_some(), warning }
    }
}
