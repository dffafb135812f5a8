//! Hare: a committee agrees on a layer's proposals (NODE.md section 6).
//!
//! ```text
//! preround ─► [hardlock ─►] softlock ─► propose ─► wait ─► wait ─► commit ─► notify ─┐
//!                 ▲                                                                  │ next iteration
//!                 └──────────────────────────────────────────────────────────────────┘
//! ```
//! In each round other miners are drawn. They say what the proposals are that they know (preround), what should come out
//! (propose), what may come out (commit), and that enough committed to it (notify). Whatever more than half of the expected
//! seats say is the committee's.
//!
//! # Why two nodes never decide differently
//! Assume that what an honest node hears, all hear a round later, since it hands on; that all know the same weights, and so
//! count the same seats; and that of the seats drawn, fewer than a threshold are of liars, more than one of honest miners.
//!
//! - **Grades.** A message has grade 5 if it came before the round after its own, and one less for each later round. What
//!   has grade g for one node has g − 1 for every other. So a threshold seen at grade g by one is seen at g − 1 by all, if
//!   each node looks a round later for one grade less. It does: no rule looks at another moment.
//! - **Contradictions.** Who says two things in a round is caught by all a round later. Its seats then count for every
//!   value that anybody else supports: a node that heard only one of the two counted them too, and its threshold
//!   must be there for all.
//! - **One commit an iteration.** An honest node commits to the proposed set with the smallest draw, and only if it came
//!   in time and without contradiction (grade 2). Then it is at least a candidate (grade 1) for all, so nobody commits to one with a
//!   larger draw. What makes a set unfit to be a candidate is graded in the same way: within the preround's values at grade 1 for
//!   a candidate, at grade 2 to commit. Without honest commits there is no threshold; so at most one value has one.
//! - **Locks.** If a node decides, some honest one notified, which saw commits reach the threshold at grade 5. So all see it at
//!   grade 4 at the next hardlock, and all commit to it, and to nothing else, in all iterations that follow. Who has a hard lock
//!   (grade 4) commits without a proposal; then all others have at least a soft lock (grade 3) on the same value and
//!   commit to nothing else. A leader proposes what it saw at grade 2, thus every soft lock there is.
//!
//! # Why what everybody proposes comes out
//! What all honest miners say in the preround has grade 5 for all. Nobody commits to a set that lacks some of it, unless
//! there was a threshold of commits to that set in the iteration before: then an honest node had found it good.
//!
//! An honest miner with the smallest draw ends it in its iteration. Each seat draws, so an honest majority of seats has it with
//! a chance of more than one half an iteration, into however many keys others split their weight. After the last one Hare gives up, and the tortoise decides.

mod clock;
mod heard;
mod message;
mod session;

use std::collections::{BTreeMap, BTreeSet};

pub use message::{HareHeader, HareMessage, IterRound, MAX_VALUES, Round, Value};

use crate::codec::{DecodeError, decode};
use crate::eligibility::{Seats, seat_message};
use crate::ids::{BallotId, Beacon, Epoch, Layer, NodeId, Signature};
use crate::params::NodeParams;
use crate::roster::Roster;
use crate::signature::{Signer, Verifier};
use crate::source::{Source, Verdict};
use crate::time::Time;
use crate::vrf::VrfProof;
use clock::Clock;
use heard::{Heard, News};
use session::Session;

/// What Hare looks up.
pub trait View {
    /// Who takes part in an epoch.
    fn roster(&self, epoch: Epoch) -> Option<&Roster>;
    /// An epoch's beacon.
    fn beacon(&self, epoch: Epoch) -> Option<Beacon>;
    /// The good proposals of a layer that are completely known, ascending.
    fn proposals(&self, layer: Layer) -> Vec<BallotId>;
    /// Whether this node's miners may say anything in a layer: not after a restart within it, for they may have spoken.
    fn may_speak(&self, layer: Layer) -> bool;
    /// Whether there is a fraud proof of a miner.
    fn is_fraud(&self, node_id: NodeId) -> bool;
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passes. Every other input passes it as well.
    Tick,
    /// A message came.
    Message {
        /// Its bytes.
        bytes: Vec<u8>,
        /// From whom.
        source: Source,
    },
    /// A fraud proof came: what the miner said counts as contradicted from now on.
    Convicted(NodeId),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A message of this node's miners, to be sent to everyone.
    Gossip(HareMessage),
    /// What becomes of a message that came.
    Verdict {
        /// From whom.
        source: Source,
        /// The verdict.
        verdict: Verdict,
        /// Its reason.
        why: Why,
    },
    /// A miner said two things in one round, which is a fraud proof.
    Contradiction(Box<[(HareHeader, Signature); 2]>, NodeId),
    /// A layer's proposals, ascending, at least one.
    Decided {
        /// The layer.
        layer: Layer,
        /// What it has.
        proposals: Vec<BallotId>,
    },
    /// A layer has no decision, and won't have one.
    GaveUp {
        /// The layer.
        layer: Layer,
    },
    /// A layer's coin, which most nodes see alike; none if nobody was heard in its preround.
    Coin {
        /// The layer.
        layer: Layer,
        /// How it fell.
        heads: bool,
    },
}

/// The reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It counts.
    #[error("a message that counts")]
    Counts,
    /// It counts as contradicted: its sender is a fraud.
    #[error("its sender is a fraud")]
    Fraud,
    /// Its sender said something else before.
    #[error("its sender said something else in the same round")]
    Contradicts,
    /// It is there already, or two others of the sender's and round are.
    #[error("enough is known of what its sender said in this round")]
    Known,
    /// Not a message.
    #[error("no Hare message: {0}")]
    Malformed(DecodeError),
    /// A value that doesn't fit its round, a round that there isn't, or a wrong signature.
    #[error("a value that does not fit the round, or a wrong signature")]
    Unsound,
    /// Of a layer that Hare doesn't run for.
    #[error("Hare does not run for its layer")]
    Layer,
    /// Too late to count anywhere.
    #[error("too late to count")]
    Late,
    /// The epoch's miners or its beacon aren't known.
    #[error("the beacon or the weights of its epoch are not known")]
    Epoch,
    /// Its sender has no weight, as far as is known.
    #[error("its sender has no weight")]
    Weightless,
    /// Its proof is not the sender's for this round.
    #[error("its proof is not the sender's for this round")]
    NotDrawn,
    /// Its sender drew no seat, by the weights that are known here.
    #[error("its sender drew no seat")]
    NoSeat,
}

/// What a miner's draw in a layer is made with.
struct Standing {
    weight: u64,
    /// Of all who may have seats.
    seat_weight: u64,
    beacon: Beacon,
    fraud: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Hare {
    clock: Clock,
    committee: u32,
    threshold: u32,
    verifier: Verifier,
    signers: Vec<Signer>,
    sessions: BTreeMap<Layer, Session>,
    /// No session begins for a layer before this one any more.
    next: Layer,
    seats: BTreeMap<Epoch, Seats>,
}

impl Hare {
    /// One that follows all layers with weight, and speaks for `signers`.
    #[must_use]
    pub fn new(params: &NodeParams, verifier: Verifier, signers: Vec<Signer>) -> Self {
        Self {
            clock: Clock::new(params),
            committee: params.consensus.committee,
            threshold: params.consensus.threshold(),
            verifier,
            signers,
            sessions: BTreeMap::new(),
            next: params.effective_genesis().next(),
            seats: BTreeMap::new(),
        }
    }

    /// Whether a layer may still be decided here.
    #[must_use]
    pub fn is_running(&self, layer: Layer) -> bool {
        self.sessions.get(&layer).is_some_and(|session| !session.has_decided())
    }

    /// Takes one input at a moment; what is to be done is appended to `out`, in order.
    pub fn step(&mut self, now: Time, view: &dyn View, input: Input, out: &mut Vec<Effect>) {
        self.begin(now);
        self.execute_due(now, view, out);
        match input {
            Input::Tick => {}
            Input::Message { bytes, source } => {
                let (verdict, why) = self.message(view, &bytes, out);
                out.push(Effect::Verdict { source, verdict, why });
            }
            Input::Convicted(node_id) => self.sessions.values_mut().for_each(|session| session.convict(node_id)),
        }
    }

    /// Sessions of layers that are near and not over. Messages may come a round before their layer.
    fn begin(&mut self, now: Time) {
        let Some(last) = self.clock.last_open(now).filter(|last| *last >= self.next) else { return };
        let first = self.next.max(self.clock.first_running(last, now));
        for layer in (first.0..=last.0).map(Layer) {
            self.sessions.insert(layer, Session::new(layer));
        }
        self.next = last.next();
    }

    /// Executes the rounds whose time has come, the earliest first.
    fn execute_due(&mut self, now: Time, view: &dyn View, out: &mut Vec<Effect>) {
        let due = |clock: &Clock, session: &Session| clock.starts(session.layer(), session.next_round());
        while let Some((at, layer)) = self.sessions.values().map(|s| (due(&self.clock, s), s.layer())).min()
            && at <= now
        {
            self.execute(layer, now, view, out);
        }
    }

    fn execute(&mut self, layer: Layer, now: Time, view: &dyn View, out: &mut Vec<Effect>) {
        let Some(mut session) = self.sessions.remove(&layer) else { return };
        let is_last = session.next_round() >= self.clock.rounds();
        let (in_time, at) = (self.clock.is_in_time(layer, session.next_round(), now), session.at());
        let outcome = session.execute(self.threshold, || view.proposals(layer));
        if let Some(heads) = outcome.coin {
            out.push(Effect::Coin { layer, heads });
        }
        if let Some(proposals) = outcome.decided {
            out.push(Effect::Decided { layer, proposals });
        }
        if outcome.is_over || is_last {
            if !session.has_decided() {
                out.push(Effect::GaveUp { layer });
            }
            self.forget_epochs();
            return;
        }
        if let Some(value) = outcome.say.filter(|_| in_time && view.may_speak(layer)) {
            self.say(&mut session, at, &value, view, out);
        }
        self.sessions.insert(layer, session);
    }

    /// Tables of epochs without a session are not needed.
    fn forget_epochs(&mut self) {
        let epochs: BTreeSet<Epoch> = self.sessions.keys().map(|layer| self.clock.epoch_of(*layer)).collect();
        self.seats.retain(|epoch, _| epochs.contains(epoch));
    }

    /// Says a value for each of this node's miners that is drawn.
    fn say(&mut self, session: &mut Session, at: IterRound, value: &Value, view: &dyn View, out: &mut Vec<Effect>) {
        let layer = session.layer();
        for i in 0..self.signers.len() {
            let Some(signer) = self.signers.get(i).cloned() else { continue };
            let sender = signer.node_id();
            let Ok(standing) = self.standing(view, layer, sender) else { continue };
            // Somebody else speaks with this key: two messages would be a fraud.
            if standing.fraud || session.has_heard(at, sender) {
                continue;
            }
            let Ok(proof) = signer.draw(&seat_message(standing.beacon, layer, at.number())) else { continue };
            let seats = self.seats(layer, &standing, &proof);
            if seats == 0 {
                continue;
            }
            let value = value.clone();
            let signature = Signature([0; 64]);
            let mut message = HareMessage { layer, at, value, proof, seats, sender, signature };
            message.sign(&signer);
            session.hear(at, sender, Heard::of(&message, message.value.hash(), seats, false), message.value.clone());
            out.push(Effect::Gossip(message));
        }
    }

    /// With what a miner draws in a layer.
    fn standing(&self, view: &dyn View, layer: Layer, node_id: NodeId) -> Result<Standing, Why> {
        let epoch = self.clock.epoch_of(layer);
        let (Some(roster), Some(beacon)) = (view.roster(epoch), view.beacon(epoch)) else { return Err(Why::Epoch) };
        let member = roster.member(node_id).filter(|member| member.has_seats()).ok_or(Why::Weightless)?;
        let fraud = member.fraud || view.is_fraud(node_id);
        Ok(Standing { weight: member.weight, seat_weight: roster.seat_weight, beacon, fraud })
    }

    fn seats(&mut self, layer: Layer, standing: &Standing, proof: &VrfProof) -> u16 {
        let (epoch, total) = (self.clock.epoch_of(layer), standing.seat_weight);
        let seats = self.seats.entry(epoch).or_insert_with(|| Seats::new(total, self.committee));
        if seats.total_weight() != total {
            *seats = Seats::new(total, self.committee);
        }
        seats.of(standing.weight, proof)
    }

    /// Checks a message, cheap before dear, and keeps it.
    fn message(&mut self, view: &dyn View, bytes: &[u8], out: &mut Vec<Effect>) -> (Verdict, Why) {
        let message: HareMessage = match decode(bytes) {
            Ok(message) => message,
            Err(error) => return (Verdict::Reject, Why::Malformed(error)),
        };
        let (layer, at, sender) = (message.layer, message.at, message.sender);
        if at.number() >= self.clock.rounds() {
            return (Verdict::Reject, Why::Unsound);
        }
        let Some(session) = self.sessions.get(&layer) else { return (Verdict::Ignore, Why::Layer) };
        let value = message.value.hash();
        match session.news(at, sender, value) {
            News::Nothing => return (Verdict::Ignore, Why::Known),
            News::First if session.is_late(at) => return (Verdict::Ignore, Why::Late),
            News::First | News::Second => {}
        }
        let standing = match self.standing(view, layer, sender) {
            Ok(standing) => standing,
            Err(why) => return (Verdict::Ignore, why),
        };
        if !message.is_sound(&self.verifier) {
            return (Verdict::Reject, Why::Unsound);
        }
        let drawn_for = seat_message(standing.beacon, layer, at.number());
        if self.verifier.drawn(sender, &drawn_for, &message.proof).is_err() {
            // Honest nodes that were cut off from each other may have other beacons for a while.
            return (Verdict::Ignore, Why::NotDrawn);
        }
        // What the message says of its seats isn't signed, so whoever hands it on could change it.
        let seats = self.seats(layer, &standing, &message.proof);
        if seats == 0 {
            return (Verdict::Ignore, Why::NoSeat);
        }
        let heard = Heard::of(&message, value, seats, standing.fraud);
        let Some(session) = self.sessions.get_mut(&layer) else { return (Verdict::Ignore, Why::Layer) };
        match session.hear(at, sender, heard, message.value) {
            // Handed on all the same: its seats must count with all or with none.
            None if standing.fraud => (Verdict::Accept, Why::Fraud),
            None => (Verdict::Accept, Why::Counts),
            Some(before) => {
                let header = |value| HareHeader { layer, at, value };
                let pair = [(header(before.value), before.signature), (header(value), message.signature)];
                out.push(Effect::Contradiction(Box::new(pair), sender));
                (Verdict::Accept, Why::Contradicts)
            }
        }
    }
}
