//! Small sets, and judging what is proven of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixtures::Case;
use post_core::backend::Cpu;
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::{Mode, Verifier};
use post_service::v1;

use crate::program::{Run, post};

/// What a set is, and the flags to serve it with.
pub(crate) struct Set {
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) params: NetworkParams,
    pub(crate) metadata: v1::Metadata,
    pub(crate) nonces: u32,
}

/// A case of the vectors, and what is known of it.
pub(crate) struct Known {
    pub(crate) set: Set,
    pub(crate) challenge: [u8; 32],
    pub(crate) proof: v1::Proof,
}

/// A challenge for tests that don't care.
pub(crate) const CHALLENGE: [u8; 32] = [7; 32];
pub(crate) const OTHER: [u8; 32] = [8; 32];

impl Known {
    /// Copies the data of a case into `root`.
    pub(crate) fn copy(name: &str, root: &Path) -> Self {
        let case = Case::all().into_iter().find(|case| case.name.starts_with(name)).expect("a case of this name");
        let dir = root.join("set");
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(case.data_dir()).unwrap() {
            let entry = entry.unwrap();
            fs::write(dir.join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
        let set = Set {
            metadata: metadata(&dir),
            dirs: vec![dir],
            params: NetworkParams::from_toml(&case.network_toml()).unwrap(),
            nonces: case.prove.nonces_per_pass,
        };
        let proof = &case.deterministic_proof;
        let indices = STANDARD.decode(&proof.indices).unwrap();
        let proof = v1::Proof { nonce: proof.nonce, indices, pow: proof.pow };
        Self { set, challenge: case.challenge.array(), proof }
    }
}

impl Set {
    /// A set of one unit of 4096 labels on two drives, where any pow will do.
    pub(crate) fn init(root: &Path, name: &str, node_id: u8) -> Self {
        let params = cheap_network();
        let network = format!(
            "labels_per_unit = {}\nmin_units = 1\nmax_units = 8\nk1 = 26\nk2 = 37\nk3 = 1\npow_difficulty = \"{}\"\n\
             [scrypt]\nn = 2\nr = 1\np = 1\n",
            params.labels_per_unit,
            hex::encode(params.pow_difficulty)
        );
        fs::write(root.join("net.toml"), network).unwrap();
        let [one, two] = ["one", "two"].map(|drive| format!("path={name}-{drive}"));
        let (node_id, atx) = (hex::encode([node_id; 32]), hex::encode([0xaa; 32]));
        let call = ["init", "--network", "net.toml", "--units", "1", "--max-file-size", "8KiB", "--device", "cpu"];
        let who = ["--node-id", &node_id, "--commitment-atx", &atx, "--drive", &one, "--drive", &two];
        let done = post(root, &[&call[..], &who[..]].concat());
        assert_eq!(done.code, Some(0), "{}", done.err);
        let dirs = vec![root.join(format!("{name}-one")), root.join(format!("{name}-two"))];
        Self { metadata: metadata(&dirs[0]), dirs, params, nonces: 128 }
    }

    /// `post serve` of this set for a node at this address, everything told by flags, in light mode.
    pub(crate) fn serve(&self, address: &str) -> Run {
        let NetworkParams { min_units, max_units, k1, k2, pow_difficulty, scrypt, .. } = &self.params;
        let mut run = Run::default().add(&["serve", "--address", address, "--randomx-mode", "light"]);
        for dir in &self.dirs {
            run = run.add(&["--dir", dir.to_str().unwrap()]);
        }
        run.set("-n", scrypt.n)
            .set("-r", scrypt.r)
            .set("-p", scrypt.p)
            .set("--min-num-units", min_units)
            .set("--max-num-units", max_units)
            .set("--k1", k1)
            .set("--k2", k2)
            .set("--pow-difficulty", hex::encode(pow_difficulty))
            .set("--nonces", self.nonces)
            .set("--threads", 1)
            .set("--reconnect-interval-s", 0.05)
    }

    /// Judges a proof as the network would, all labels of it.
    #[track_caller]
    pub(crate) fn assert_proven(&self, challenge: [u8; 32], answer: &v1::GenProofResponse) {
        assert_eq!(answer.status(), v1::GenProofStatus::Ok);
        let (proof, metadata) = (answer.proof.as_ref().unwrap(), answer.metadata.as_ref().unwrap());
        assert_eq!(metadata.challenge, challenge);
        assert_eq!(metadata.meta.as_ref(), Some(&self.metadata));
        let v1::Proof { nonce, indices, pow } = proof.clone();
        let of = ProofMetadata {
            node_id: NodeId(self.metadata.node_id.as_slice().try_into().unwrap()),
            commitment_atx_id: AtxId(self.metadata.commitment_atx_id.as_slice().try_into().unwrap()),
            challenge: Challenge(challenge),
            num_units: self.metadata.num_units,
        };
        static RANDOMX: LazyLock<LazyRandomX> = LazyLock::new(|| LazyRandomX::new(Options::new(PowMode::Light, 1)));
        let verifier = Verifier::new(&self.params, &*RANDOMX).unwrap();
        let mut cpu = Cpu::new(1).unwrap();
        let verdict = verifier.verify(&Proof { nonce, indices, pow }, &of, &Mode::All, &mut cpu).unwrap();
        assert_eq!(verdict, Ok(()));
    }
}

fn cheap_network() -> NetworkParams {
    NetworkParams {
        labels_per_unit: 4096,
        min_units: 1,
        max_units: 8,
        k1: 26,
        k2: 37,
        k3: 1,
        pow_difficulty: [0xff; 32],
        scrypt: ScryptParams { n: 2, r: 1, p: 1 },
    }
}

/// What the file in a data directory says.
fn metadata(dir: &Path) -> v1::Metadata {
    let text = fs::read(dir.join("postdata_metadata.json")).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let bytes = |key: &str| STANDARD.decode(value[key].as_str().unwrap()).unwrap();
    v1::Metadata {
        node_id: bytes("NodeId"),
        commitment_atx_id: bytes("CommitmentAtxId"),
        nonce: value["Nonce"].as_u64(),
        num_units: value["NumUnits"].as_u64().unwrap().try_into().unwrap(),
        labels_per_unit: value["LabelsPerUnit"].as_u64().unwrap(),
    }
}
