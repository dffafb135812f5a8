//! How fast proofs are verified.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use post_core::drive::{DirDrive, Drive};
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::init::{CHECKPOINT_EVERY, Request, init};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::prove::prove;
use post_core::set::DataSet;
use post_core::verify::{Mode, Verifier};
use serde_json::json;

use super::Settings;
use crate::args::Compute;
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, stop};

/// Makes a small set with mainnet's cost of a label, a proof of it, and verifies that for a while.
pub(crate) fn run(settings: &Settings, compute: &Compute) -> Result<()> {
    // Enough labels for a proof, an easy pow: neither changes what verification costs.
    let params = NetworkParams {
        labels_per_unit: 1024,
        min_units: 1,
        max_units: 1,
        pow_difficulty: [0xff; 32],
        scrypt: ScryptParams::MAINNET,
        ..NetworkParams::mainnet()
    };
    let reporter = Arc::new(Reporter::quiet());
    let mut backend = devices::open(compute, Work::Short, &reporter)?.backend;
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, settings.threads));
    let dir = tempfile::tempdir().context("cannot make a temporary folder; set TMPDIR to a place with space")?;
    let open = || -> Result<Vec<Box<dyn Drive>>> { Ok(vec![Box::new(DirDrive::planned(dir.path()))]) };
    let request = Request {
        params: params.clone(),
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        units: 1,
        max_file_size: 1 << 20,
        files: None,
        broken: Vec::new(),
        checkpoint_every: CHECKPOINT_EVERY,
    };
    init(&request, &open()?, &[], &mut *backend, &*reporter)?;
    let set = DataSet::open(open()?)?;
    // Two proofs in turn: of one and the same, the pow would be hashed only once.
    let mut proofs = Vec::new();
    for challenge in [3, 4] {
        proofs.push(prove(&set, &params, &Challenge([challenge; 32]), 288, &mut *backend, &randomx, &*reporter)?);
    }
    let verifier = Verifier::new(&params, &randomx)?;

    settings.heading(&format!("verify, threads: {} (RandomX in light mode)", settings.threads));
    for (mode, name) in [(Mode::All, "all"), (Mode::Subset { k3: 1, seed: vec![7; 32] }, "k3=1")] {
        let (start, mut verified) = (Instant::now(), 0);
        while start.elapsed() < settings.time() * 4 {
            let file = &proofs[verified % proofs.len()];
            if verifier.verify(&file.proof, &file.metadata, &mode, &mut *backend)?.is_err() {
                bail!("a fresh proof is refused; this is a defect, please report it");
            }
            verified += 1;
            if stop::requested() {
                bail!("stopped");
            }
        }
        let rate = verified as f64 / start.elapsed().as_secs_f64();
        settings.result(
            &json!({ "bench": "verify", "labels": name, "threads": settings.threads, "proofs_per_s": rate }),
            &format!("  {name:10} {rate:9.1} proofs/s"),
        );
    }
    Ok(())
}
