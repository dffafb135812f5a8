//! Jobs for the judge, valid ones and each kind of invalid ones, over a few thousand real labels.

use std::sync::LazyLock;

use node::atxs::{Dear, Judgement, PostClaim, VrfClaim};
use node::ids::{AtxId, Challenge, NodeId};
use post_core::cipher::{Cipher, lazy_value};
use post_core::difficulty::{Difficulty, vrf_threshold};
use post_core::identity::Commitment;
use post_core::index_packing::{pack, required_bits};
use post_core::label::{FullLabel, reference, stored};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{PowError, PowInput, PowVerifier};
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::{Invalid, Mode};

const LABELS: u64 = 4096;

/// Few labels are hits, so that a wrong one is not taken for one.
pub(crate) fn params() -> NetworkParams {
    NetworkParams {
        labels_per_unit: LABELS,
        min_units: 1,
        max_units: 1,
        k1: 26,
        k2: 5,
        scrypt: ScryptParams { n: 2, r: 1, p: 1 },
        ..NetworkParams::devnet()
    }
}

/// Stands in for RandomX: a pow that three divides fails.
pub(crate) struct ByThree;

impl PowVerifier for ByThree {
    fn verify(&self, _: &PowInput, pow: u64, _: &[u8; 32]) -> Result<bool, PowError> {
        Ok(!pow.is_multiple_of(3))
    }
}

/// No pow can be told.
pub(crate) struct NoMemory;

impl PowVerifier for NoMemory {
    fn verify(&self, _: &PowInput, _: u64, _: &[u8; 32]) -> Result<bool, PowError> {
        Err(PowError::OutOfMemory { what: "dataset", mib: 2080 })
    }
}

/// A miner's labels and what can be proven with them.
struct Miner {
    job: Dear,
    commitment: Commitment,
    labels: Vec<FullLabel>,
    miss: u64,
    hits: Vec<u64>,
}

fn packed(indices: &[u64]) -> Vec<u8> {
    pack(indices, required_bits(LABELS)).unwrap()
}

fn miner(number: u8) -> Miner {
    let (params, nonce, pow) = (params(), u32::from(number) * 7, u64::from(number) * 3 + 1);
    let metadata = ProofMetadata {
        node_id: NodeId([number; 32]),
        commitment_atx_id: AtxId([number ^ 0xff; 32]),
        challenge: Challenge([number % 3; 32]),
        num_units: 1,
    };
    let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
    let labels: Vec<FullLabel> =
        (0..LABELS).map(|index| reference::full_label(&commitment, index, params.scrypt).unwrap()).collect();
    let cipher = Cipher::group(&metadata.challenge, nonce / 16, pow);
    let lazy = Cipher::lazy(&metadata.challenge, nonce / 16, pow, nonce);
    let difficulty = Difficulty::new(params.k1, LABELS).unwrap();
    let is_hit = |label: &FullLabel| {
        let byte = cipher.encrypt(&stored(label))[(nonce % 16) as usize];
        byte < difficulty.msb || (byte == difficulty.msb && lazy_value(&lazy.encrypt(&stored(label))) < difficulty.lsb)
    };
    let (hits, misses): (Vec<u64>, Vec<u64>) = (0..LABELS).partition(|index| is_hit(&labels[*index as usize]));
    let hits = hits[..params.k2 as usize].to_vec();
    let proof = Proof { nonce, indices: packed(&hits), pow };
    let post = PostClaim { proof, metadata, mode: Mode::Subset { k3: 2, seed: vec![number] } };
    let id = AtxId([number; 32]);
    Miner { job: Dear { id, posts: vec![post], vrf: None }, commitment, labels, miss: misses[0], hits }
}

impl Miner {
    /// The index of the smallest label, or of the largest.
    fn extreme(&self, smallest: bool) -> u64 {
        let key = |index: &u64| self.labels[*index as usize];
        if smallest { (0..LABELS).min_by_key(key).unwrap() } else { (0..LABELS).max_by_key(key).unwrap() }
    }

    fn vrf(&self, nonce: u64, threshold: FullLabel) -> Option<VrfClaim> {
        Some(VrfClaim { commitment: self.commitment, nonce, threshold })
    }
}

/// Which kind of judgement a job must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Valid,
    Units(usize),
    Pow(usize),
    Label(usize),
    Vrf,
}

impl Kind {
    pub(crate) fn fits(self, judgement: &Judgement) -> bool {
        match (self, judgement) {
            (Self::Valid, Judgement::Valid) | (Self::Vrf, Judgement::InvalidVrf) => true,
            (Self::Units(at), Judgement::InvalidPost { post, invalid: Invalid::NumUnitsTooLarge { .. } })
            | (Self::Pow(at), Judgement::InvalidPost { post, invalid: Invalid::InvalidPoW {} })
            | (
                Self::Label(at),
                Judgement::InvalidPost { post, invalid: Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. } },
            ) => at == *post,
            _ => false,
        }
    }
}

/// Jobs with what must come of them. Each has an id of its own.
pub(crate) fn all() -> &'static [(Dear, Kind)] {
    static ALL: LazyLock<Vec<(Dear, Kind)>> = LazyLock::new(|| {
        let mut all = Vec::new();
        for number in 1..=4 {
            let miner = miner(number);
            let mut with = |kind, change: &dyn Fn(&mut Dear)| {
                let mut job = miner.job.clone();
                job.id.0[..8].copy_from_slice(&(all.len() as u64).to_le_bytes());
                change(&mut job);
                all.push((job, kind));
            };
            let threshold = vrf_threshold(LABELS);
            let smallest = miner.extreme(true);
            let smallest_label = miner.labels[smallest as usize];
            // The number one above it, and the same first half with a smaller second one.
            let (mut above, mut tie) = (smallest_label, smallest_label);
            for byte in above.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
            tie[16..].fill(0);
            let missing = |at: usize| {
                let mut indices = miner.hits.clone();
                indices[at] = miner.miss;
                packed(&indices)
            };
            with(Kind::Valid, &|_| {});
            with(Kind::Valid, &|job| job.posts.clear());
            with(Kind::Valid, &|job| job.posts[0].mode = Mode::All);
            with(Kind::Valid, &|job| job.posts.extend(job.posts.clone()));
            with(Kind::Valid, &|job| job.vrf = miner.vrf(smallest, [0xff; 32]));
            with(Kind::Valid, &|job| job.vrf = miner.vrf(smallest, above));
            with(Kind::Vrf, &|job| job.vrf = miner.vrf(smallest, smallest_label));
            with(Kind::Vrf, &|job| job.vrf = miner.vrf(smallest, tie));
            with(Kind::Vrf, &|job| job.vrf = miner.vrf(miner.extreme(false), threshold));
            with(Kind::Units(0), &|job| job.posts[0].metadata.num_units = 2);
            with(Kind::Pow(0), &|job| job.posts[0].proof.pow = 9);
            with(Kind::Label(0), &|job| {
                (job.posts[0].proof.indices, job.posts[0].mode) = (missing(4), Mode::All);
            });
            with(Kind::Label(1), &|job| {
                job.posts.extend(job.posts.clone());
                (job.posts[1].proof.indices, job.posts[1].mode) = (missing(2), Mode::One(2));
            });
            // The posts' fault is the one that is named, and the first one's.
            with(Kind::Pow(2), &|job| {
                job.posts = vec![job.posts[0].clone(); 4];
                (job.posts[2].proof.pow, job.posts[3].metadata.num_units) = (9, 2);
                job.vrf = miner.vrf(miner.extreme(false), threshold);
            });
        }
        all
    });
    &ALL
}
