//! A node around the machine: keeps what is to be kept, and judges at once.

use node::archive::{Memory, Write};
use node::atx::{Junk, Received};
use node::atxs::{Atxs, Dear, Effect, Input, Judgement, Need, PostClaim, Reason};
use node::codec::encode;
use node::ids::{AtxId, NodeId};
use node::params::NodeParams;
use node::signature::Verifier;
use node::source::{MessageHash, Peer, Source, Topic, Verdict};
use node::time::Time;
use post_core::backend::Cpu;
use post_core::label::reference;
use post_core::verify::{self, Job};

use crate::world::{HashPow, Made, World};

pub(crate) const OWN: Peer = Peer([1; 32]);

pub(crate) fn peer(n: u8) -> Peer {
    Peer([n; 32])
}

pub(crate) fn gossip(from: u8, bytes: &[u8]) -> Source {
    Source::Gossip { peer: peer(from), message: MessageHash(blake3::hash(bytes).into()) }
}

/// What becomes of bytes that come as an ATX.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Not even decoded.
    Junk(Junk),
    /// Not signed.
    Signature,
    /// The machine's verdict.
    Verdict(Verdict, Reason),
    /// None yet.
    Undecided,
}

pub(crate) struct Desk {
    pub(crate) params: NodeParams,
    pub(crate) atxs: Atxs,
    pub(crate) archive: Memory,
    pub(crate) writes: Vec<Write>,
    pub(crate) now: Time,
    /// Everything that was not done here.
    pub(crate) effects: Vec<Effect>,
    /// What was given to the judge.
    pub(crate) judged: Vec<Dear>,
    /// Judges only when told to.
    pub(crate) holds_back: bool,
    held: Vec<Dear>,
    cpu: Cpu,
}

impl Desk {
    pub(crate) fn new(world: &World) -> Self {
        Self::with(&world.params, OWN, world.start(9))
    }

    pub(crate) fn with(params: &NodeParams, own: Peer, now: Time) -> Self {
        Self {
            params: params.clone(),
            atxs: Atxs::new(params, Verifier::new(params.genesis_id), own),
            archive: Memory::default(),
            writes: vec![],
            now,
            effects: vec![],
            judged: vec![],
            holds_back: false,
            held: vec![],
            cpu: Cpu::new(1).unwrap(),
        }
    }

    /// One step and all that follows from it.
    pub(crate) fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.atxs.step(self.now, &self.archive, input, &mut out).unwrap();
            for effect in out {
                match effect {
                    Effect::Persist(writes) => {
                        self.writes.extend(writes.iter().cloned());
                        writes.into_iter().for_each(|write| self.archive.write(write));
                    }
                    Effect::Judge(dear) if self.holds_back => self.held.push(dear),
                    Effect::Judge(dear) => inputs.push(self.judged(dear)),
                    other => self.effects.push(other),
                }
            }
        }
    }

    fn judged(&mut self, dear: Dear) -> Input {
        let judgement = self.judge(&dear);
        let id = dear.id;
        self.judged.push(dear);
        Input::Judged { id, judgement }
    }

    /// How many wait for [`Desk::catch_up`].
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Judges what was held back.
    pub(crate) fn catch_up(&mut self) {
        while !self.held.is_empty() {
            for dear in std::mem::take(&mut self.held) {
                let input = self.judged(dear);
                self.step(input);
            }
        }
    }

    fn judge(&mut self, dear: &Dear) -> Judgement {
        let verifier = verify::Verifier::new(&self.params.post, &HashPow).unwrap();
        let mut jobs = Vec::new();
        for PostClaim { proof, metadata, mode } in &dear.posts {
            jobs.push(Job { proof, metadata, mode });
        }
        let verdicts = verifier.verify_batch(&jobs, &mut self.cpu).unwrap();
        for (post, verdict) in verdicts.into_iter().enumerate() {
            if let Err(invalid) = verdict {
                return Judgement::InvalidPost { post, invalid };
            }
        }
        let holds = dear.vrf.as_ref().is_none_or(|vrf| {
            reference::full_label(&vrf.commitment, vrf.nonce, self.params.post.scrypt).unwrap() < vrf.threshold
        });
        if holds { Judgement::Valid } else { Judgement::InvalidVrf }
    }

    /// Bytes come as an ATX by gossip from peer 7; what becomes of them.
    pub(crate) fn bytes_come(&mut self, bytes: &[u8]) -> Found {
        self.bytes_come_from(gossip(7, bytes), bytes)
    }

    pub(crate) fn bytes_come_from(&mut self, source: Source, bytes: &[u8]) -> Found {
        let received = match Received::decode(bytes) {
            Ok(received) => received,
            Err(junk) => return Found::Junk(junk),
        };
        if !Received::wrongly_signed(&Verifier::new(self.params.genesis_id), std::slice::from_ref(&received)).is_empty()
        {
            return Found::Signature;
        }
        self.step(Input::Atx { received, source });
        self.verdict(source)
    }

    /// The last verdict a source got.
    pub(crate) fn verdict(&self, of: Source) -> Found {
        let verdict = |effect: &Effect| match effect {
            Effect::Verdict { source, verdict, why } if *source == of => Some(Found::Verdict(*verdict, why.clone())),
            _ => None,
        };
        self.effects.iter().rev().find_map(verdict).unwrap_or(Found::Undecided)
    }

    /// The PoET proofs come by themselves.
    pub(crate) fn poets_come(&mut self, made: &Made) {
        for proof in &made.poets {
            self.step(Input::Poet { proof: proof.clone(), source: Source::Own });
        }
    }

    /// An ATX comes with all its PoET proofs.
    pub(crate) fn comes(&mut self, made: &Made) -> Found {
        self.poets_come(made);
        self.bytes_come(&encode(&made.atx))
    }

    /// A good ATX comes.
    pub(crate) fn accepts(&mut self, made: &Made) {
        let found = self.comes(made);
        assert_eq!(found, Found::Verdict(Verdict::Accept, Reason::Good), "{:?}", made.id());
    }

    /// Whatever was asked for is missing, until nothing is asked for.
    pub(crate) fn nobody_answers(&mut self) {
        loop {
            let asked: Vec<_> = self.fetches();
            if asked.is_empty() {
                return;
            }
            for (what, from) in asked {
                self.step(Input::Missing { what, from });
            }
        }
    }

    /// What is asked for since this was called last.
    pub(crate) fn fetches(&mut self) -> Vec<(Need, Peer)> {
        let mut needs = Vec::new();
        self.effects.retain(|effect| {
            let Effect::Fetch { atxs, poets, from } = effect else { return true };
            needs.extend(atxs.iter().map(|id| (Need::Atx(*id), *from)));
            needs.extend(poets.iter().map(|id| (Need::Poet(*id), *from)));
            false
        });
        needs
    }

    /// The fraud proofs that were gossiped.
    pub(crate) fn fraud_proofs(&self) -> Vec<Vec<u8>> {
        let proof = |effect: &Effect| match effect {
            Effect::Gossip { topic: Topic::Fraud, bytes } => Some(bytes.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(proof).collect()
    }

    /// A fraud proof comes by gossip from a peer.
    pub(crate) fn fraud_comes(&mut self, from: u8, bytes: &[u8]) -> Found {
        let source = gossip(from, bytes);
        self.step(Input::Fraud { bytes: bytes.to_vec(), source });
        self.verdict(source)
    }

    /// Accepted ATXs of some epochs.
    pub(crate) fn known(&self) -> Vec<AtxId> {
        (0..12).flat_map(|epoch| self.atxs.ids(node::ids::Epoch(epoch))).collect()
    }

    pub(crate) fn frauds(&self) -> Vec<NodeId> {
        self.atxs.frauds().collect()
    }
}
