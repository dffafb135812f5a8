//! How fast proofs are verified, one by one and many at once.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::index_packing::{pack, required_bits};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::proof::{Proof, ProofFile, ProofMetadata};
use post_core::verify::{Job, Mode, Verifier};
use serde_json::json;

use super::Settings;
use crate::args::Compute;
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, stop};

/// Proofs that are verified at once.
const TOGETHER: usize = 64;

/// Verifies proofs with mainnet's cost of a label for a while.
pub(crate) fn run(settings: &Settings, compute: &Compute) -> Result<()> {
    // All labels are hits and all pows hold, so any proof is valid: neither changes what verification costs.
    let params = NetworkParams {
        labels_per_unit: 1 << 32,
        min_units: 1,
        max_units: 1,
        k1: u32::MAX,
        pow_difficulty: [0xff; 32],
        scrypt: ScryptParams::MAINNET,
        ..NetworkParams::mainnet()
    };
    let mut backend = devices::open(compute, Work::Short, &Arc::new(Reporter::quiet()))?.backend;
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, settings.threads));
    let proofs = (0..TOGETHER as u64).map(|miner| proof(&params, miner)).collect::<Result<Vec<_>>>()?;
    let verifier = Verifier::new(&params, &randomx)?;

    settings.heading(&format!("verify, threads: {} (RandomX in light mode)", settings.threads));
    // RandomX is set up when it is first asked.
    randomx.hash(&[])?;
    for (mode, name) in [(Mode::All, "all"), (Mode::Subset { k3: 1, seed: vec![7; 32] }, "k3=1")] {
        for together in [1, TOGETHER] {
            let (start, mut verified) = (Instant::now(), 0);
            while start.elapsed() < settings.time() * 4 {
                // Never the same twice in a row: its pow would be known.
                let some = proofs.iter().cycle().skip(verified % TOGETHER).take(together);
                let jobs: Vec<_> =
                    some.map(|file| Job { proof: &file.proof, metadata: &file.metadata, mode: &mode }).collect();
                if verifier.verify_batch(&jobs, &mut *backend)?.iter().any(Result::is_err) {
                    bail!("a valid proof is refused; this is a defect, please report it");
                }
                verified += together;
                if stop::requested() {
                    bail!("stopped");
                }
            }
            let rate = verified as f64 / start.elapsed().as_secs_f64();
            let row = format!("  {name:5} {together:3} at once {rate:9.1} proofs/s");
            let threads = settings.threads;
            let object = json!({
                "bench": "verify", "labels": name, "together": together, "threads": threads, "proofs_per_s": rate
            });
            settings.result(&object, &row);
        }
    }
    Ok(())
}

/// A proof of a miner's own.
fn proof(params: &NetworkParams, miner: u64) -> Result<ProofFile> {
    let mut node_id = [0; 32];
    node_id[..8].copy_from_slice(&miner.to_le_bytes());
    let indices: Vec<u64> = (0..u64::from(params.k2)).map(|label| label << 26 | miner).collect();
    Ok(ProofFile {
        proof: Proof { nonce: 0, indices: pack(&indices, required_bits(params.labels_per_unit))?, pow: 0 },
        metadata: ProofMetadata {
            node_id: NodeId(node_id),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([3; 32]),
            num_units: 1,
        },
    })
}
