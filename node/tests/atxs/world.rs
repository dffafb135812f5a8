//! A network with tiny units, in which everything is real but the k2pow, a hash in place of RandomX.

use node::atx::{Atx, Initial, Marriage, NiPost, SubPost, poet_challenge};
use node::codec::{Scale, encode};
use node::ids::{Address, AtxId, Challenge, Epoch, NO_ATX, NodeId, PoetChallenge, Signature};
use node::params::NodeParams;
use node::poet::{Members, PoetProof, Prover};
use node::signature::{Domain, Signer};
use node::time::Time;
use post_core::cipher::NONCES_PER_GROUP;
use post_core::difficulty::{Difficulty, pow_target, vrf_threshold};
use post_core::identity::Commitment;
use post_core::index_packing::{pack, required_bits};
use post_core::label::{reference, stored};
use post_core::params::NetworkParams;
use post_core::pow::{PowError, PowInput, PowVerifier};
use post_core::proof::Proof;
use post_core::scan::{self, NonceGroup, ScanJob};

pub(crate) const LEAVES: u64 = 11;

/// K3 is all of K2, so that nothing escapes.
pub(crate) fn params() -> NodeParams {
    let mut params = NodeParams::devnet(Time(1_700_000_000_000));
    params.tick_size = 4;
    params.post.labels_per_unit = 256;
    params.post.pow_difficulty = NetworkParams::devnet().pow_difficulty;
    (params.post.min_units, params.post.max_units) = (2, 8);
    params.post.k3 = params.post.k2;
    params.post.scrypt.n = 2;
    params
}

/// Stands in for RandomX.
pub(crate) struct HashPow;

impl PowVerifier for HashPow {
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError> {
        Ok(blake3::hash(&input.bytes(pow)).as_bytes() < target)
    }
}

pub(crate) fn bytes<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A miner with its data.
pub(crate) struct Miner {
    pub(crate) signer: Signer,
    pub(crate) commitment_atx: AtxId,
    pub(crate) units: u32,
}

impl Miner {
    pub(crate) fn id(&self) -> NodeId {
        self.signer.node_id()
    }

    fn commitment(&self) -> Commitment {
        Commitment::new(&self.id(), &self.commitment_atx)
    }

    /// The certificate of a marriage with `with`.
    pub(crate) fn marries(&self, with: &Miner, reference: AtxId) -> Marriage {
        Marriage { reference_atx: reference, signature: self.signer.sign(Domain::Marriage, &with.id().0) }
    }
}

/// An ATX with the PoET proofs it names.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) atx: Atx,
    pub(crate) poets: Vec<PoetProof>,
}

impl Made {
    pub(crate) fn id(&self) -> AtxId {
        self.atx.id()
    }

    /// Another one, changed and signed again.
    pub(crate) fn but(&self, signer: &Miner, change: impl FnOnce(&mut Atx)) -> Self {
        let mut made = self.clone();
        change(&mut made.atx);
        made.atx.sign(&signer.signer);
        made
    }
}

/// One miner's part in an ATX to be made.
pub(crate) struct Share<'a> {
    pub(crate) miner: &'a Miner,
    /// Its marriage.
    pub(crate) index: u32,
    pub(crate) previous: Option<AtxId>,
    pub(crate) units: u32,
}

/// An ATX to be made.
pub(crate) struct Plan<'a> {
    pub(crate) epoch: u32,
    pub(crate) positioning: AtxId,
    pub(crate) shares: Vec<Share<'a>>,
    pub(crate) marriage: Option<AtxId>,
    pub(crate) marriages: Vec<Marriage>,
    pub(crate) leaves: u64,
    /// Signs; owner of the VRF nonce.
    pub(crate) signer: &'a Miner,
}

pub(crate) struct World {
    pub(crate) params: NodeParams,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { params: params() }
    }

    pub(crate) fn golden(&self) -> AtxId {
        self.params.golden_atx()
    }

    pub(crate) fn miner(&self, name: &str) -> Miner {
        let signer = Signer::new(self.params.genesis_id, &bytes(name));
        Miner { signer, commitment_atx: self.golden(), units: 4 }
    }

    pub(crate) fn start(&self, epoch: u32) -> Time {
        self.params.timing.epoch_starts(Epoch(epoch))
    }

    fn num_labels(&self, units: u32) -> u64 {
        u64::from(units) * self.params.post.labels_per_unit
    }

    /// A proof that the miner holds `units`.
    pub(crate) fn post(&self, miner: &Miner, challenge: &Challenge, units: u32) -> Proof {
        let (params, num_labels) = (&self.params.post, self.num_labels(units));
        let full = |index| reference::full_label(&miner.commitment(), index, params.scrypt).unwrap();
        let labels: Vec<_> = (0..num_labels).map(|index| stored(&full(index))).collect();
        let difficulty = Difficulty::new(params.k1, num_labels).unwrap();
        let target = pow_target(&params.pow_difficulty, units);
        for group in 0..=u8::MAX {
            let input = PowInput::new(group, challenge, miner.id());
            let pow = (0..).find(|pow| HashPow.verify(&input, *pow, &target).unwrap()).unwrap();
            let keys = NonceGroup::new(challenge, group.into(), pow);
            let mut hits = Vec::new();
            scan::reference::scan(&ScanJob { groups: &[&keys], difficulty }, 0, &labels, &mut hits);
            for nonce in (0..NONCES_PER_GROUP).map(|lane| u32::from(group) * NONCES_PER_GROUP + lane) {
                let all: Vec<u64> = hits.iter().filter(|hit| hit.nonce == nonce).map(|hit| hit.index).collect();
                if let Some(indices) = all.get(..params.k2 as usize) {
                    return Proof { nonce, indices: pack(indices, required_bits(num_labels)).unwrap(), pow };
                }
            }
        }
        panic!("no proof")
    }

    pub(crate) fn vrf_nonce(&self, miner: &Miner, units: u32) -> u64 {
        let threshold = vrf_threshold(self.num_labels(units));
        let full = |index| reference::full_label(&miner.commitment(), index, self.params.post.scrypt).unwrap();
        (0..).find(|index| full(*index) < threshold).unwrap()
    }

    /// An index whose label is no VRF nonce of so many units.
    pub(crate) fn no_vrf_nonce(&self, miner: &Miner, units: u32) -> u64 {
        let threshold = vrf_threshold(self.num_labels(units));
        let full = |index| reference::full_label(&miner.commitment(), index, self.params.post.scrypt).unwrap();
        (0..).find(|index| full(*index) >= threshold).unwrap()
    }

    /// A round of some members, of which `challenges` are some.
    pub(crate) fn round(&self, challenges: &[PoetChallenge], leaves: u64) -> (PoetProof, Members) {
        let mut all: Vec<_> = (0..3).map(|i| PoetChallenge(bytes(&format!("member {i}")))).collect();
        all.extend(challenges);
        all.push(PoetChallenge(bytes("last member")));
        let members = Members::new(&all).unwrap();
        let mut prover = Prover::new(members.root());
        prover.work(leaves);
        (prover.prove().unwrap(), members)
    }

    /// Makes an ATX in a round of its own.
    pub(crate) fn make(&self, plan: &Plan<'_>) -> Made {
        let first = plan.shares[0].previous.is_none().then(|| Initial {
            commitment_atx: plan.shares[0].miner.commitment_atx,
            post: self.post(plan.shares[0].miner, &Challenge([0; 32]), plan.shares[0].units),
        });
        let challenge = |share: &Share<'_>| {
            let post = first.as_ref().map(|initial| &initial.post);
            poet_challenge(Epoch(plan.epoch), share.previous.unwrap_or(NO_ATX), plan.positioning, post)
        };
        let mut challenges: Vec<_> = plan.shares.iter().map(challenge).collect();
        challenges.sort();
        challenges.dedup();
        let (proof, members) = self.round(&challenges, plan.leaves);
        let mut previous_atxs: Vec<AtxId> = plan.shares.iter().filter_map(|share| share.previous).collect();
        previous_atxs.sort();
        previous_atxs.dedup();
        let sub_post = |share: &Share<'_>| SubPost {
            marriage_index: share.index,
            previous_index: share.previous.map_or(0, |id| previous_atxs.binary_search(&id).unwrap() as u32),
            leaf_index: members.position(&challenge(share)).unwrap(),
            post: self.post(share.miner, &proof.id(), share.units),
            num_units: share.units,
        };
        let posts: Vec<_> = plan.shares.iter().map(sub_post).collect();
        let positions: Vec<u64> = posts.iter().map(|post| post.leaf_index).collect();
        let membership = members.prove(&positions).unwrap();
        let signers = plan.shares.iter().find(|share| share.miner.id() == plan.signer.id());
        let units = signers.map_or(plan.shares[0].units, |share| share.units);
        let mut atx = Atx {
            publish_epoch: Epoch(plan.epoch),
            positioning_atx: plan.positioning,
            coinbase: Address(bytes("coinbase")),
            initial: first.clone(),
            previous_atxs,
            niposts: vec![NiPost { membership, challenge: proof.id(), posts }],
            vrf_nonce: self.vrf_nonce(plan.signer, units),
            marriages: plan.marriages.clone(),
            marriage_atx: plan.marriage,
            smesher: NodeId([0; 32]),
            signature: Signature([0; 64]),
        };
        atx.sign(&plan.signer.signer);
        Made { atx, poets: vec![proof] }
    }

    fn solo<'a>(&self, miner: &'a Miner, epoch: u32, previous: Option<AtxId>) -> Plan<'a> {
        Plan {
            epoch,
            positioning: self.golden(),
            shares: vec![Share { miner, index: 0, previous, units: miner.units }],
            marriage: None,
            marriages: vec![],
            leaves: LEAVES,
            signer: miner,
        }
    }

    /// A miner's first ATX, on the golden one.
    pub(crate) fn initial(&self, miner: &Miner, epoch: u32) -> Made {
        self.make(&self.solo(miner, epoch, None))
    }

    /// The one after `previous`, on the golden one.
    pub(crate) fn next(&self, miner: &Miner, epoch: u32, previous: AtxId) -> Made {
        self.make(&self.solo(miner, epoch, Some(previous)))
    }

    /// The one after `previous`, planned otherwise.
    pub(crate) fn next_but<'a>(
        &self,
        miner: &'a Miner,
        epoch: u32,
        previous: Option<AtxId>,
        change: impl FnOnce(&mut Plan<'a>),
    ) -> Made {
        let mut plan = self.solo(miner, epoch, previous);
        change(&mut plan);
        self.make(&plan)
    }
}

/// The bytes of a value after `tamper`.
pub(crate) fn tampered(value: &impl Scale, tamper: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = encode(value);
    tamper(&mut bytes);
    bytes
}
