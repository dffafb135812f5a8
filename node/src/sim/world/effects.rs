//! What nodes want done, and how it is done here.

use std::rc::Rc;

use super::{Event, World};
use crate::archive::Write;
use crate::atxs::Judgement;
use crate::node::{Effect, Input};
use crate::sim::liars::Saying;
use crate::sim::network::{self, Audience, Message};
use crate::source::{Source, Topic, Verdict};

/// How long proofs of space take.
const PROVING_MS: u64 = 1_000;
/// How long a PoET takes to answer.
const POET_MS: u64 = 100;
/// How long a checker takes.
const JUDGING_MS: u64 = 20;

impl World {
    /// Writes of a step: the node sees them at once; they are safe a little later.
    pub(super) fn write(&mut self, i: usize, writes: Vec<Write>) {
        let agreed =
            writes.iter().filter_map(|write| if let Write::Hare { layer, .. } = write { Some(*layer) } else { None });
        for layer in agreed.filter(|_| self.members[i].is_honest()) {
            let ms = self.now.since(self.plan.params.timing.layer_starts(layer));
            *self.agreed.entry(ms).or_default() += 1;
        }
        let member = &mut self.members[i];
        member.disk.write(writes);
        if !member.flushing {
            member.flushing = true;
            let (life, ms) = (member.life, member.plan.flush_ms);
            self.after(ms, Event::Flushed { of: i, life });
        }
    }

    /// All that waited for the disk is done.
    pub(super) fn flushed(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.disk.flush();
        member.flushing = false;
        for effect in std::mem::take(&mut member.waiting) {
            self.execute(i, effect);
        }
    }

    pub(super) fn execute(&mut self, i: usize, effect: Effect) {
        match effect {
            // Done when it came.
            Effect::Persist(_) | Effect::Tell { .. } => {}
            Effect::Verdict { source, verdict, why } => self.verdict(i, source, verdict, &why),
            Effect::Check { source, bytes } => {
                let input = self.look_at(network::hash(Topic::Atx, &bytes), &bytes, source);
                self.input_after(JUDGING_MS, i, input);
            }
            Effect::Judge(dear) => {
                self.input_after(JUDGING_MS, i, Input::Judged { id: dear.id, judgement: Judgement::Valid });
            }
            Effect::Gossip { topic, bytes } => self.gossip(i, topic, bytes),
            Effect::Request { peer, id, request } => match self.network.node(peer) {
                Some(to) => {
                    let (ms, life) = (self.network.latency(i, to), self.members[i].life);
                    self.after(ms, Event::Ask { from: i, life, to, id, request: Box::new(request) });
                }
                None => self.input_after(0, i, Input::Response { peer, id, response: None }),
            },
            Effect::Punish { peer, why } => {
                if let Some(to) = self.network.node(peer) {
                    self.judge.blamed(self.now, &self.members, i, to, &why);
                }
            }
            Effect::AskProof { challenge, .. } => {
                let member = &mut self.members[i];
                if member.wanted != Some(challenge) {
                    member.wanted = Some(challenge);
                    let life = member.life;
                    self.after(PROVING_MS, Event::Proved { to: i, life, challenge });
                }
            }
            Effect::CancelProof { .. } => self.members[i].wanted = None,
            Effect::Poet(command) => {
                let event = self.poet.ask(self.now, &self.plan.params, command);
                self.input_after(POET_MS, i, Input::Poet(event));
            }
        }
    }

    /// Nobody is to reject what an honest node said. What a liar told a few spreads from those who take it for good.
    fn verdict(&mut self, i: usize, source: Source, verdict: Verdict, why: &str) {
        let Source::Gossip { message, .. } = source else { return };
        match verdict {
            Verdict::Reject => {
                if let Some(origin) = self.network.origin(&message) {
                    self.judge.blamed(self.now, &self.members, i, origin, why);
                }
            }
            Verdict::Accept if self.some_lie => {
                if let Some(message) = self.network.handed_on(&message) {
                    self.deliver(i, &message, Audience::All);
                }
            }
            Verdict::Accept | Verdict::Ignore => {}
        }
    }

    /// A node says something; a liar says something else.
    fn gossip(&mut self, i: usize, topic: Topic, bytes: Vec<u8>) {
        let Some(liar) = &mut self.members[i].liar else {
            self.spread(i, topic, bytes, Audience::All);
            return;
        };
        let lie = liar.lie(topic, bytes);
        let mut reached = Vec::new();
        for saying in lie.sayings {
            if saying.after_ms > 0 {
                self.after(saying.after_ms, Event::Say { from: i, saying: Box::new(saying) });
            } else {
                reached.push(self.spread(i, saying.topic, saying.bytes, saying.to));
            }
        }
        // One honest node may crash before it has told anybody.
        if let (Some(guilt), true) = (lie.guilt, reached.iter().all(|honest| *honest >= 2)) {
            self.judge.equivocated(self.now, i, guilt);
        }
    }

    /// A liar says what it held back.
    pub(super) fn say(&mut self, i: usize, saying: Saying) {
        if self.members[i].node.is_some() {
            self.spread(i, saying.topic, saying.bytes, saying.to);
        }
    }

    /// Brings a message on its way to everybody it can reach; how many of them are honest.
    fn spread(&mut self, i: usize, topic: Topic, bytes: Vec<u8>, to: Audience) -> usize {
        let message = self.network.message(self.now, i, topic, bytes);
        self.deliver(i, &message, to)
    }

    fn deliver(&mut self, i: usize, message: &Rc<Message>, to: Audience) -> usize {
        let reached = self.network.spread(i, message, to);
        let layer = self.plan.params.timing.layer_at(self.now).map_or(0, |layer| layer.0);
        let traffic = self.traffic.entry((layer, message.topic)).or_default();
        traffic.add(message.bytes.len(), reached.len(), i == message.origin);
        let honest = reached.iter().filter(|(to, ..)| self.members[*to].is_honest()).count();
        for (to, by, ms) in reached {
            self.after(ms, Event::Gossip { to, by, message: Rc::clone(message) });
        }
        honest
    }
}
