//! Verification of valid proofs with mainnet's cost of a label on one core: one by one and many at once, with RandomX in
//! light and in fast mode, and with pows that cost nothing, which leaves the labels. `-- randomx=fast` first makes the
//! dataset, most of a minute.
#![allow(missing_docs, clippy::expect_used)]

use std::cell::LazyCell;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use post_core::backend::Cpu;
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::index_packing::{pack, required_bits};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options, PowClaim, PowError, PowInput, PowVerifier};
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::{Job, Mode, Verifier};

/// Figures are those of one core.
const THREADS: usize = 1;

/// K2 of mainnet.
const K2: u32 = 37;

/// Proofs that are verified at once.
const TOGETHER: usize = 64;

/// Pows in a batch that is worth a dataset.
const WORTH_DATASET: u64 = 1600;

/// All labels are hits and all pows hold, so any proof is valid: neither changes what verification costs.
fn params() -> NetworkParams {
    NetworkParams {
        labels_per_unit: 1 << 32,
        min_units: 1,
        max_units: 1,
        k1: u32::MAX,
        k2: K2,
        pow_difficulty: [0xff; 32],
        scrypt: ScryptParams::MAINNET,
        ..NetworkParams::mainnet()
    }
}

fn proof(miner: u64) -> (Proof, ProofMetadata) {
    let mut node_id = [0; 32];
    node_id[..8].copy_from_slice(&miner.to_le_bytes());
    let indices: Vec<u64> = (0..u64::from(K2)).map(|label| label << 26 | miner).collect();
    let metadata = ProofMetadata {
        node_id: NodeId(node_id),
        commitment_atx_id: AtxId([2; 32]),
        challenge: Challenge([3; 32]),
        num_units: 1,
    };
    (Proof { nonce: 0, indices: pack(&indices, required_bits(1 << 32)).expect("it fits"), pow: 0 }, metadata)
}

/// A k2pow that costs nothing: what is left are the labels and the cheap rules.
struct Free;

impl PowVerifier for Free {
    fn verify(&self, _: &PowInput, _: u64, _: &[u8; 32]) -> Result<bool, PowError> {
        Ok(true)
    }
}

/// RandomX in fast mode with its dataset made.
fn fast() -> LazyRandomX {
    let randomx = LazyRandomX::new(Options::new(PowMode::Fast, THREADS));
    let claim = |pow| PowClaim {
        input: PowInput::new(0, &Challenge([4; 32]), NodeId([5; 32])),
        pow,
        target: params().pow_difficulty,
    };
    let claims: Vec<_> = (0..WORTH_DATASET).map(claim).collect();
    randomx.verify_all(&claims).expect("memory for a dataset");
    randomx
}

fn verify(c: &mut Criterion) {
    let (params, mut cpu) = (params(), Cpu::new(THREADS).expect("threads"));
    let proofs: Vec<_> = (0..TOGETHER as u64).map(proof).collect();
    let mut group = c.benchmark_group("verify");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let light = LazyRandomX::new(Options::new(PowMode::Light, THREADS));
    let fast = LazyCell::new(fast);
    for mode in ["none", "light", "fast"] {
        for k3 in [1, K2] {
            for together in [1, TOGETHER] {
                let subset = Mode::Subset { k3, seed: vec![7; 32] };
                let jobs: Vec<_> =
                    proofs.iter().map(|(proof, metadata)| Job { proof, metadata, mode: &subset }).collect();
                // Never the same twice in a row: its pow would be known.
                let mut batches = jobs.chunks(together).cycle();
                group.throughput(Throughput::Elements(together as u64));
                group.bench_function(format!("randomx={mode}/k3={k3}/proofs={together}"), |b| {
                    let pow: &dyn PowVerifier = match mode {
                        "light" => &light,
                        "fast" => &*fast,
                        _ => &Free,
                    };
                    let verifier = Verifier::new(&params, pow).expect("good parameters");
                    b.iter(|| {
                        let batch = batches.next().unwrap_or_default();
                        let verdicts = verifier.verify_batch(batch, &mut cpu).expect("verdicts");
                        assert!(verdicts.iter().all(Result::is_ok));
                    });
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
