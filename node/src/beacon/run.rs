//! One epoch's agreement on the beacon of the next.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::Calendar;
use super::draws::{Odds, beacon_of, candidate, coin_message, proposal_message};
use super::message::{BeaconMessage, BeaconVote, Candidate};
use super::tally::Tally;
use super::{Common, Effect, Reason, View};
use crate::ids::{Epoch, NodeId, Signature};
use crate::roster::{Member, Roster};
use crate::signature::Signer;
use crate::source::Verdict;
use crate::time::{Grade, Time};
use crate::vrf::VrfProof;

/// Why a message counts, or what becomes of it instead.
type Taken = Result<Reason, (Verdict, Reason)>;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Run {
    epoch: Epoch,
    calendar: Calendar,
    /// Whether this node was there when it began.
    from_start: bool,
    /// Whether it took proposals, too, as they came.
    whole: bool,
    /// Once the miners are known.
    odds: Option<Odds>,
    /// Whether they count as in time here.
    proposals: BTreeMap<Candidate, bool>,
    /// The votes of a few rounds.
    heard: BTreeMap<u8, BTreeMap<NodeId, BeaconVote>>,
    /// Who contradicted itself, or was convicted.
    excluded: BTreeSet<NodeId>,
    proposed: bool,
    /// The last round in which this node's miners voted.
    voted: Option<u8>,
    decided: bool,
}

impl Run {
    pub(super) fn new(epoch: Epoch, from_start: bool, calendar: Calendar) -> Self {
        Self {
            epoch,
            calendar,
            from_start,
            whole: false,
            odds: None,
            proposals: BTreeMap::new(),
            heard: BTreeMap::new(),
            excluded: BTreeSet::new(),
            proposed: false,
            voted: None,
            decided: false,
        }
    }

    /// Says what is to be said by now.
    pub(super) fn advance(&mut self, now: Time, view: &dyn View, common: &Common, out: &mut Vec<Effect>) {
        let Some(roster) = view.roster(self.epoch) else { return };
        let is_open = self.calendar.is_open(now);
        self.whole |= self.from_start && is_open;
        if !self.proposed && is_open && view.may_speak(self.epoch) {
            self.proposed = true;
            self.propose(roster, common, out);
        }
        if let Some(round) = self.calendar.round_at(now) {
            // Nobody can be convicted any more by a vote of an earlier round, and no vote hangs on it.
            self.heard.retain(|of, _| of.saturating_add(1) >= round);
            if self.whole && self.voted < Some(round) && view.may_speak(self.epoch) {
                self.voted = Some(round);
                self.vote(round, view, common, out);
            }
        }
        if let Some(last) = self.calendar.last(now).filter(|_| !self.decided) {
            self.decided = true;
            let agreed = self.tally(last, roster, view).agreed().filter(|_| self.whole);
            let decided = |left: Vec<_>| Effect::Decided { epoch: self.epoch.next(), beacon: beacon_of(&left) };
            out.extend(agreed.map(decided));
        }
    }

    fn propose(&mut self, roster: &Roster, common: &Common, out: &mut Vec<Effect>) {
        let odds = self.odds(roster, common);
        for signer in &common.signers {
            let Some(member) = active(roster, signer.node_id()) else { continue };
            let Ok(proof) = signer.draw(&proposal_message(self.epoch, member.vrf_nonce)) else { continue };
            if odds.draws(&proof) && self.has_room(candidate(&proof), common) {
                self.keep(candidate(&proof), true, common);
                let (epoch, sender) = (self.epoch, signer.node_id());
                out.push(Effect::Gossip(BeaconMessage::Proposal { epoch, sender, proof }));
            }
        }
    }

    fn odds(&mut self, roster: &Roster, common: &Common) -> Odds {
        let odds = || Odds::new(common.consensus.beacon_candidates, roster.active().count());
        *self.odds.get_or_insert_with(odds)
    }

    /// Whether a candidate would stay: the smallest do, so that all keep the same ones.
    fn has_room(&self, name: Candidate, common: &Common) -> bool {
        self.proposals.len() < common.most_candidates()
            || self.proposals.last_key_value().is_some_and(|(last, _)| name < *last)
    }

    fn keep(&mut self, name: Candidate, in_time: bool, common: &Common) {
        self.proposals.insert(name, in_time);
        if self.proposals.len() > common.most_candidates() {
            self.proposals.pop_last();
        }
    }

    /// A vote of each of this node's miners.
    fn vote(&mut self, round: u8, view: &dyn View, common: &Common, out: &mut Vec<Effect>) {
        let Some(roster) = view.roster(self.epoch) else { return };
        // Somebody else votes with a key that was heard: two votes would be a fraud.
        let heard = |node_id| self.heard.get(&round).is_some_and(|votes| votes.contains_key(&node_id));
        let voter = |signer: &Signer| {
            let member = active(roster, signer.node_id()).filter(|_| !heard(signer.node_id()))?;
            Some((signer.clone(), member.vrf_nonce))
        };
        let voters: Vec<_> = common.signers.iter().filter_map(voter).collect();
        if voters.is_empty() {
            return;
        }
        let mut support = self.support(round, roster, view);
        support.truncate(common.most_candidates());
        for (signer, vrf_nonce) in voters {
            let Some(vote) = cast(&signer, self.epoch, (round, vrf_nonce), &support) else { continue };
            self.heard.entry(round).or_default().insert(vote.sender, vote.clone());
            out.push(Effect::Gossip(BeaconMessage::Vote(vote)));
        }
    }

    fn support(&self, round: u8, roster: &Roster, view: &dyn View) -> Vec<Candidate> {
        match round.checked_sub(1) {
            None => self.proposals.iter().filter(|(_, in_time)| **in_time).map(|(name, _)| *name).collect(),
            Some(before) => self.tally(before, roster, view).support(self.proposals.keys().copied()),
        }
    }

    fn tally(&self, round: u8, roster: &Roster, view: &dyn View) -> Tally {
        let weight = |voter: NodeId| {
            let counts = !self.excluded.contains(&voter) && !view.is_fraud(voter);
            active(roster, voter).filter(|_| counts).map_or(0, |member| member.weight)
        };
        let votes = self.heard.get(&round).into_iter().flatten();
        Tally::new(votes.map(|(voter, vote)| (vote, weight(*voter))), roster.honest_weight)
    }

    /// Whoever it is counts no more.
    pub(super) fn exclude(&mut self, node_id: NodeId) {
        self.excluded.insert(node_id);
        self.heard.values_mut().for_each(|votes| {
            votes.remove(&node_id);
        });
    }

    /// A miner that may say something, with weight or without.
    fn member<'a>(&self, view: &'a dyn View, sender: NodeId) -> Result<(&'a Roster, &'a Member), (Verdict, Reason)> {
        let found = view.roster(self.epoch).and_then(|roster| Some((roster, roster.member(sender)?)));
        let (roster, member) = found.ok_or((Verdict::Ignore, Reason::NoMember))?;
        if member.fraud || view.is_fraud(sender) || self.excluded.contains(&sender) {
            return Err((Verdict::Ignore, Reason::Fraud));
        }
        Ok((roster, member))
    }

    pub(super) fn take_proposal(
        &mut self,
        now: Time,
        view: &dyn View,
        common: &Common,
        (sender, proof): (NodeId, VrfProof),
    ) -> Taken {
        let in_time = self.calendar.in_time(now).ok_or((Verdict::Ignore, Reason::Time))?;
        let (roster, member) = self.member(view, sender)?;
        let name = candidate(&proof);
        if self.proposals.contains_key(&name) {
            return Err((Verdict::Ignore, Reason::Known));
        }
        if !self.odds(roster, common).draws(&proof) {
            return Err((Verdict::Ignore, Reason::NotDrawn));
        }
        if !self.has_room(name, common) {
            return Err((Verdict::Ignore, Reason::Crowded));
        }
        let message = proposal_message(self.epoch, member.vrf_nonce);
        common.verifier.drawn(sender, &message, &proof).map_err(|error| (Verdict::Reject, error.into()))?;
        // Who is in the active set of some nodes only is like who proposes late.
        self.keep(name, in_time && member.grade == Grade::Good, common);
        Ok(Reason::Good)
    }

    pub(super) fn take_vote(
        &mut self,
        now: Time,
        view: &dyn View,
        common: &Common,
        vote: BeaconVote,
        out: &mut Vec<Effect>,
    ) -> Taken {
        if !self.calendar.has(vote.round) {
            return Err((Verdict::Reject, Reason::Round(vote.round)));
        }
        if !self.calendar.takes(vote.round, now) {
            return Err((Verdict::Ignore, Reason::Time));
        }
        let (_, member) = self.member(view, vote.sender)?;
        let first = self.heard.get(&vote.round).and_then(|votes| votes.get(&vote.sender));
        if first.is_some_and(|first| (&first.support, first.coin) == (&vote.support, vote.coin)) {
            return Err((Verdict::Ignore, Reason::Known));
        }
        if vote.support.len() > common.most_candidates() || !vote.is_sound(&common.verifier) {
            return Err((Verdict::Reject, Reason::Unsound));
        }
        let message = coin_message(self.epoch, vote.round, member.vrf_nonce);
        common.verifier.drawn(vote.sender, &message, &vote.coin).map_err(|error| (Verdict::Reject, error.into()))?;
        let Some(first) = first else {
            self.heard.entry(vote.round).or_default().insert(vote.sender, vote);
            return Ok(Reason::Good);
        };
        // It is handed on, so that all see both.
        let sender = vote.sender;
        out.push(Effect::Contradiction(Box::new([first.clone(), vote])));
        self.exclude(sender);
        Ok(Reason::Contradiction)
    }
}

/// A miner of the active set that is no fraud.
fn active(roster: &Roster, node_id: NodeId) -> Option<&Member> {
    roster.member(node_id).filter(|member| member.grade == Grade::Good && !member.fraud)
}

fn cast(signer: &Signer, epoch: Epoch, (round, vrf_nonce): (u8, u64), support: &[Candidate]) -> Option<BeaconVote> {
    let coin = signer.draw(&coin_message(epoch, round, vrf_nonce)).ok()?;
    let (sender, signature) = (signer.node_id(), Signature([0; 64]));
    let mut vote = BeaconVote { epoch, round, support: support.to_vec(), coin, sender, signature };
    vote.sign(signer);
    Some(vote)
}
