//! Proofs are a pure function of the data, and no input makes the verifier panic.
#![allow(missing_docs, clippy::unwrap_used)]

mod util;

use std::collections::BTreeMap;
use std::ops::Range;

use post_core::backend::Cpu;
use post_core::cipher::{Cipher, lazy_value};
use post_core::difficulty::Difficulty;
use post_core::drive::{Drive, MemoryDrive};
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::index_packing::{pack, required_bits, unpack};
use post_core::label::Label;
use post_core::metadata::Metadata;
use post_core::params::NetworkParams;
use post_core::pow::{PowError, PowInput, PowProver, PowVerifier};
use post_core::proof::{Proof, ProofFile, ProofMetadata};
use post_core::prove::{ProveError, prove};
use post_core::set::DataSet;
use post_core::verify::{Mode, Verifier};
use post_core::watch::{Silent, Watch};
use proptest::prelude::*;
use util::Batches;

/// Stands in for RandomX, which would take a second a case: every pow is valid, the smallest one is made up.
struct AnyPow(bool);

impl PowProver for AnyPow {
    fn prove(&self, input: &PowInput, _: &[u8; 32], _: &dyn Watch) -> Result<u64, PowError> {
        Ok(u64::from(input.group) * 7 + 1)
    }
}

impl PowVerifier for AnyPow {
    fn verify(&self, _: &PowInput, _: u64, _: &[u8; 32]) -> Result<bool, PowError> {
        Ok(self.0)
    }
}

fn metadata(num_units: u32, labels_per_unit: u64, max_file_size: u64) -> Metadata {
    Metadata {
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        labels_per_unit,
        num_units,
        max_file_size,
        nonce: None,
        nonce_value: None,
        last_position: None,
        other: serde_json::Map::new(),
    }
}

/// A set of the given labels, spread over two drives.
fn set(metadata: &Metadata, labels: &[Label]) -> DataSet {
    let drives = [MemoryDrive::default(), MemoryDrive::default()];
    for (file, bytes) in labels.as_flattened().chunks(metadata.max_file_size as usize).enumerate() {
        drives[file % 2].set_file(file as u32, bytes.to_vec());
    }
    for drive in &drives {
        drive.replace_metadata(metadata).unwrap();
    }
    DataSet::open(drives.into_iter().map(|drive| Box::new(drive) as Box<dyn Drive>).collect()).unwrap()
}

/// The rule itself, with nothing shared with the prover but the ciphers: the hits of every nonce of a pass over all
/// labels, the nonce whose K2-th hit comes first, the lower one of two.
fn by_the_rule(
    labels: &[Label],
    challenge: &Challenge,
    d: Difficulty,
    k2: usize,
    nonces: Range<u32>,
) -> Option<(u32, Vec<u64>)> {
    let mut winner: Option<(u64, u32, Vec<u64>)> = None;
    for nonce in nonces {
        let (group, lane) = (nonce / 16, (nonce % 16) as usize);
        let pow = u64::from(group) * 7 + 1;
        let (cipher, lazy) = (Cipher::group(challenge, group, pow), Cipher::lazy(challenge, group, pow, nonce));
        let is_hit = |label: &Label| {
            let byte = cipher.encrypt(label)[lane];
            byte < d.msb || (byte == d.msb && lazy_value(&lazy.encrypt(label)) < d.lsb)
        };
        let hits: Vec<u64> = (0..).zip(labels).filter(|(_, label)| is_hit(label)).map(|(i, _)| i).take(k2).collect();
        if hits.len() == k2 && winner.as_ref().is_none_or(|(last, ..)| hits[k2 - 1] < *last) {
            winner = Some((hits[k2 - 1], nonce, hits));
        }
    }
    winner.map(|(_, nonce, hits)| (nonce, hits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_proof_depends_on_nothing_but_its_inputs(
        seed in any::<u64>(), units in 1_u32..4, per_unit in 60_u64..900, per_file in 1_u64..1000,
        k1 in 1_u32..50, k2 in 1_u32..12, groups in 1_u32..4, batch in 1_usize..3000, threads in 1_usize..5,
    ) {
        let count = u64::from(units) * per_unit;
        // Not labels of this identity, but that is the verifier's business; the prover scans what is there.
        let mut stream = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut labels = vec![[0; 16]; count as usize];
        stream.fill(labels.as_flattened_mut());
        let challenge = Challenge([seed as u8; 32]);
        let params = NetworkParams { labels_per_unit: per_unit, k1, k2, ..NetworkParams::devnet() };
        let set = set(&metadata(units, per_unit, per_file * 16), &labels);
        let mut backend = Batches { cpu: Cpu::new(threads).unwrap(), size: batch };
        let difficulty = Difficulty::new(k1, count).unwrap();

        let per_pass = groups * 16;
        let expected = (0..4096_u32).step_by(per_pass as usize).find_map(|from| {
            by_the_rule(&labels, &challenge, difficulty, k2 as usize, from..(from + per_pass).min(4096))
        });
        let result = prove(&set, &params, &challenge, per_pass, &mut backend, &AnyPow(true), &Silent);
        match expected {
            Some((nonce, indices)) => {
                let file = result.unwrap();
                let bits = required_bits(count);
                prop_assert_eq!(file.proof.nonce, nonce);
                prop_assert_eq!(file.proof.pow, u64::from(nonce / 16) * 7 + 1);
                prop_assert_eq!(unpack(&file.proof.indices, bits).take(k2 as usize).collect::<Vec<_>>(), indices);
            }
            None => {
                let not_found = matches!(result, Err(ProveError::NotFound { .. }));
                prop_assert!(not_found);
            }
        }
    }
}

fn any_params() -> impl Strategy<Value = NetworkParams> {
    let counts = prop_oneof![1_u64..5000, any::<u64>()];
    (counts, any::<u32>(), any::<u32>(), 1_u32..100, 1_u32..=65535).prop_map(|(labels_per_unit, a, b, k1, k2)| {
        let mut params = NetworkParams { labels_per_unit, k1, k2: k2 % 50 + 1, ..NetworkParams::devnet() };
        (params.min_units, params.max_units) = (a.min(b), a.max(b));
        params.scrypt.n = 2;
        params
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_proof_makes_the_verifier_panic(
        params in any_params(),
        few_units in any::<bool>(),
        nonce in prop_oneof![0_u32..5000, any::<u32>()],
        pow in prop_oneof![0_u64..5000, any::<u64>()],
        units in any::<u32>(),
        indices in prop::collection::vec(any::<u8>(), 0..120),
        right_length in any::<bool>(),
        mode in prop_oneof![
            Just(Mode::All),
            any::<u32>().prop_map(Mode::One),
            (0_u32..60).prop_map(Mode::One),
            (0_u32..60, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k3, seed)| Mode::Subset { k3, seed }),
        ],
        pow_ok in any::<bool>(),
    ) {
        let mut params = params;
        let mut indices = indices;
        let raw = indices.clone();
        if few_units {
            // Else most cases end at the first rule.
            (params.min_units, params.max_units) = (0, u32::MAX);
        }
        let labels = u64::from(units).saturating_mul(params.labels_per_unit);
        if right_length && labels >= u64::from(params.k2) * 256 {
            // Distinct indices below the number of labels: only the last rules can refuse these.
            let distinct = (0..u64::from(params.k2)).map(|i| i * 256 + u64::from(raw.get(i as usize).copied().unwrap_or(0)));
            indices = pack(&distinct.collect::<Vec<_>>(), required_bits(labels)).unwrap();
        }
        let proof = Proof { nonce, indices, pow };
        let about = metadata(units, 1, 16);
        let about = ProofMetadata {
            node_id: about.node_id,
            commitment_atx_id: about.commitment_atx_id,
            challenge: Challenge([3; 32]),
            num_units: units,
        };
        let randomx = AnyPow(pow_ok);
        let verifier = Verifier::new(&params, &randomx).unwrap();
        let mut cpu = Cpu::new(1).unwrap();
        let verdict = verifier.verify(&proof, &about, &mode, &mut cpu).unwrap();
        // Whatever is said, it can be written down.
        if let Err(invalid) = verdict {
            prop_assert!(serde_json::to_value(&invalid).unwrap()["kind"].is_string());
            prop_assert!(!invalid.to_string().contains('\n'));
        }
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..400) {
        let _ = ProofFile::parse(&bytes);
        let _ = Metadata::parse(&bytes);
        let _ = NetworkParams::from_toml(&String::from_utf8_lossy(&bytes));
        // A real file, cut and with one byte changed.
        let case = &*fixtures_text();
        let mut text = case.as_bytes()[..cut.min(case.len())].to_vec();
        if let (Some(byte), Some(new)) = (text.get_mut(cut / 2), bytes.first()) {
            *byte = *new;
        }
        let _ = ProofFile::parse(&text);
    }
}

fn fixtures_text() -> String {
    let case = &fixtures::Case::all()[0];
    case.mutated[0].proof_file()
}

#[test]
fn undefined_configurations_are_the_callers_mistake() {
    let good = NetworkParams::devnet();
    let bad: BTreeMap<&str, NetworkParams> = BTreeMap::from([
        ("k1", NetworkParams { k1: 0, ..good.clone() }),
        ("k2", NetworkParams { k2: 0, ..good.clone() }),
        ("k2 too large", NetworkParams { k2: 65536, ..good.clone() }),
        ("n", NetworkParams { scrypt: post_core::params::ScryptParams { n: 3, r: 1, p: 1 }, ..good.clone() }),
        ("r", NetworkParams { scrypt: post_core::params::ScryptParams { n: 2, r: 2, p: 1 }, ..good.clone() }),
    ]);
    for (what, params) in bad {
        assert!(Verifier::new(&params, &AnyPow(true)).is_err(), "{what}");
    }
    assert!(Verifier::new(&good, &AnyPow(true)).is_ok());
}
