//! Many proofs judged at once: each gets the verdict that it gets alone, and nothing is computed that need not be.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use fixtures::Case;
use post_core::backend::checked::Checked;
use post_core::backend::faulty::{Deeds, Faulty};
use post_core::backend::pool::Pool;
use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Labels, Sink};
use post_core::cipher::{Cipher, lazy_value};
use post_core::difficulty::Difficulty;
use post_core::identity::{AtxId, Challenge, Commitment, NodeId};
use post_core::index_packing::{pack, required_bits};
use post_core::label::Label;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options, PowClaim, PowError, PowInput, PowVerifier};
use post_core::proof::{Proof, ProofFile, ProofMetadata};
use post_core::scan::{Hit, ScanJob};
use post_core::verify::{Invalid, Job, Mode, Verdict, Verifier, VerifyError};
use proptest::prelude::*;

const LABELS: u64 = 4096;

/// Few labels are hits, so that a wrong one is not taken for one.
fn params() -> NetworkParams {
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

/// Stands in for RandomX: a pow that three divides fails. Counts how often each claim is judged.
#[derive(Default)]
struct ByThree(Mutex<BTreeMap<PowClaim, u32>>);

impl PowVerifier for ByThree {
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError> {
        *self.0.lock().unwrap().entry(PowClaim { input: *input, pow, target: *target }).or_default() += 1;
        Ok(!pow.is_multiple_of(3))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    proof: Proof,
    metadata: ProofMetadata,
    mode: Mode,
}

impl Entry {
    fn job(&self) -> Job<'_> {
        Job { proof: &self.proof, metadata: &self.metadata, mode: &self.mode }
    }

    fn alone(&self, verifier: &Verifier<'_>, backend: &mut dyn Backend) -> Verdict {
        verifier.verify(&self.proof, &self.metadata, &self.mode, backend).unwrap()
    }
}

fn jobs<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Job<'a>> {
    entries.into_iter().map(Entry::job).collect()
}

fn packed(indices: &[u64]) -> Vec<u8> {
    pack(indices, required_bits(LABELS)).unwrap()
}

/// A valid proof of this miner's data, and the first index that is not in it.
fn valid(miner: u8, nonce: u32, pow: u64) -> (Entry, u64) {
    let params = params();
    let metadata = ProofMetadata {
        node_id: NodeId([miner; 32]),
        commitment_atx_id: AtxId([miner ^ 0xff; 32]),
        challenge: Challenge([miner % 3; 32]),
        num_units: 1,
    };
    let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
    let job = LabelJob { scrypt: params.scrypt, labels: Labels::Range(commitment, 0..LABELS) };
    let mut labels: Vec<Label> = Vec::new();
    let mut keep = |_, batch: &[Label]| {
        labels.extend_from_slice(batch);
        ControlFlow::Continue(())
    };
    Cpu::new(1).unwrap().label(&job, &mut keep).unwrap();
    let cipher = Cipher::group(&metadata.challenge, nonce / 16, pow);
    let lazy = Cipher::lazy(&metadata.challenge, nonce / 16, pow, nonce);
    let difficulty = Difficulty::new(params.k1, LABELS).unwrap();
    let is_hit = |label: &Label| {
        let byte = cipher.encrypt(label)[(nonce % 16) as usize];
        byte < difficulty.msb || (byte == difficulty.msb && lazy_value(&lazy.encrypt(label)) < difficulty.lsb)
    };
    let (hits, misses): (Vec<u64>, Vec<u64>) = (0..LABELS).partition(|index| is_hit(&labels[*index as usize]));
    let proof = Proof { nonce, indices: packed(&hits[..params.k2 as usize]), pow };
    (Entry { proof, metadata, mode: Mode::All }, misses[usize::from(miner)])
}

/// Valid proofs, and each of them with one thing changed: at least one for every rule.
fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let mut entries = Vec::new();
        for miner in 1..=6_u8 {
            let (good, miss) = valid(miner, u32::from(miner) * 7, u64::from(miner) * 3 + 1);
            let hits: Vec<u64> = post_core::index_packing::unpack(&good.proof.indices, 13).take(5).collect();
            let mut with = |change: &dyn Fn(&mut Entry)| {
                let mut changed = good.clone();
                change(&mut changed);
                entries.push(changed);
            };
            let missing = |at: usize| {
                let mut indices = hits.clone();
                indices[at] = miss;
                packed(&indices)
            };
            with(&|_| {});
            with(&|e| e.mode = Mode::One(2));
            with(&|e| e.mode = Mode::Subset { k3: 2, seed: vec![miner] });
            with(&|e| e.mode = Mode::Subset { k3: 5, seed: vec![miner] });
            with(&|e| e.metadata.num_units = 0);
            with(&|e| e.metadata.num_units = 2);
            with(&|e| e.proof.nonce = 4096);
            with(&|e| e.proof.pow = 1 << 56);
            with(&|e| e.mode = Mode::One(5));
            with(&|e| e.mode = Mode::Subset { k3: 0, seed: Vec::new() });
            with(&|e| _ = e.proof.indices.pop());
            with(&|e| *e.proof.indices.last_mut().unwrap() |= 0x80);
            with(&|e| e.proof.indices = packed(&[hits[0], hits[1], hits[1], hits[2], hits[3]]));
            with(&|e| e.proof.indices = packed(&[hits[0], LABELS, hits[1], hits[2], hits[3]]));
            with(&|e| e.proof.pow = 9);
            with(&|e| e.proof.indices = missing(0));
            with(&|e| e.proof.indices = missing(4));
            with(&|e| (e.proof.indices, e.mode) = (missing(2), Mode::One(2)));
            with(&|e| (e.proof.indices, e.mode) = (missing(2), Mode::One(3)));
            // Rules 6 and 7, 5 and 6, 1 and 7.
            with(&|e| (e.proof.pow, e.proof.indices) = (9, missing(0)));
            with(&|e| (e.proof.pow, e.proof.indices) = (9, Vec::new()));
            with(&|e| (e.metadata.num_units, e.proof.indices) = (0, missing(0)));
            with(&|e| e.metadata.commitment_atx_id = AtxId([0; 32]));
            with(&|e| e.metadata.challenge = Challenge([200; 32]));
        }
        entries
    });
    &ENTRIES
}

fn kind(verdict: &Verdict) -> String {
    match verdict {
        Ok(()) => "valid".into(),
        Err(invalid) => serde_json::to_value(invalid).unwrap()["kind"].as_str().unwrap().into(),
    }
}

/// The verdicts of all entries, each judged alone.
fn one_by_one() -> &'static [Verdict] {
    static VERDICTS: LazyLock<Vec<Verdict>> = LazyLock::new(|| {
        let (params, pow) = (params(), ByThree::default());
        let verifier = Verifier::new(&params, &pow).unwrap();
        let mut cpu = Cpu::new(1).unwrap();
        entries().iter().map(|entry| entry.alone(&verifier, &mut cpu)).collect()
    });
    &VERDICTS
}

fn batch(entries: &[&Entry], backend: &mut dyn Backend) -> Result<Vec<Verdict>, VerifyError> {
    let (params, pow) = (params(), ByThree::default());
    Verifier::new(&params, &pow).unwrap().verify_batch(&jobs(entries.iter().copied()), backend)
}

#[test]
fn the_first_rule_broken_is_the_one_reported() {
    let kinds: Vec<String> = one_by_one().iter().map(kind).collect();
    let of_a_miner = [
        "valid",
        "valid",
        "valid",
        "valid",
        "NumUnitsTooSmall",
        "NumUnitsTooLarge",
        "NonceGroupOutOfBounds",
        "PowOutOfRange",
        "PositionOutOfRange",
        "K3OutOfRange",
        "InvalidIndicesLen",
        "NonZeroPadding",
        "DuplicateIndex",
        "IndexOutOfRange",
        "InvalidPoW",
        "InvalidMsb",
        "InvalidMsb",
        "InvalidMsb",
        "valid",
        "InvalidPoW",
        "InvalidIndicesLen",
        "NumUnitsTooSmall",
        "InvalidMsb",
        "InvalidMsb",
    ];
    for (at, kind) in kinds.iter().enumerate() {
        let expected = of_a_miner[at % of_a_miner.len()];
        // Most labels miss by their byte, some by their low bits.
        let kind = if kind == "InvalidLsb" { "InvalidMsb" } else { kind };
        assert_eq!(kind, expected, "entry {at}");
    }
}

#[test]
fn an_empty_batch_has_no_verdicts_and_asks_nobody() {
    let (params, pow) = (params(), ByThree::default());
    let mut device = Faulty::new("idle", Box::new(Cpu::new(1).unwrap()), 10);
    let verdicts = Verifier::new(&params, &pow).unwrap().verify_batch(&[], &mut device).unwrap();
    assert_eq!((verdicts.len(), device.deeds().batches(), pow.0.into_inner().unwrap().len()), (0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_entries_in_any_order_get_the_verdicts_they_get_alone(
        picked in prop::collection::vec(0..entries().len(), 0..120), threads in 1_usize..4,
    ) {
        let some: Vec<&Entry> = picked.iter().map(|at| &entries()[*at]).collect();
        let expected: Vec<Verdict> = picked.iter().map(|at| one_by_one()[*at].clone()).collect();
        prop_assert_eq!(batch(&some, &mut Cpu::new(threads).unwrap()).unwrap(), expected);
    }
}

/// More labels than go into one job of the backend.
#[test]
fn a_large_batch_equals_one_by_one() {
    let (params, pow) = (params(), ByThree::default());
    let verifier = Verifier::new(&params, &pow).unwrap();
    let mut cpu = Cpu::new(2).unwrap();
    let good: Vec<&Entry> = entries().iter().step_by(24).collect();
    let entries: Vec<Entry> = (0..15_000_u64)
        .map(|number| {
            let mut entry = good[number as usize % good.len()].clone();
            // Every other one stays valid for its own labels, and is told from its like by what is not looked at.
            match number % 2 {
                0 => entry.metadata.node_id.0[..8].copy_from_slice(&number.to_le_bytes()),
                _ => entry.mode = Mode::Subset { k3: 5, seed: number.to_le_bytes().to_vec() },
            }
            entry
        })
        .collect();
    let verdicts = verifier.verify_batch(&jobs(&entries), &mut cpu).unwrap();
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), 7_500);
    // Judged alone are those at both ends and around the place where the second job begins, and some between.
    for at in (0..20).chain((20..13_000).step_by(97)).chain(13_080..13_130).chain(14_980..15_000) {
        assert_eq!(verdicts[at], entries[at].alone(&verifier, &mut cpu), "proof {at}");
    }
}

#[test]
fn nothing_is_computed_twice_or_for_nothing() {
    let (params, pow) = (params(), ByThree::default());
    let verifier = Verifier::new(&params, &pow).unwrap();
    let mut device = Faulty::new("counting", Box::new(Cpu::new(1).unwrap()), 1000);
    let four_times: Vec<Entry> = entries().iter().cycle().take(entries().len() * 4).cloned().collect();
    let verdicts = verifier.verify_batch(&jobs(&four_times), &mut device).unwrap();
    assert!(verdicts.iter().eq(one_by_one().iter().cycle().take(four_times.len())));

    let cheap = |verdict: &Verdict| {
        !matches!(
            verdict,
            Ok(()) | Err(Invalid::InvalidPoW {} | Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. })
        )
    };
    let judged = pow.0.into_inner().unwrap();
    let past_the_cheap: BTreeSet<(NodeId, Challenge, u64)> = entries()
        .iter()
        .zip(one_by_one())
        .filter(|(_, verdict)| !cheap(verdict))
        .map(|(entry, _)| (entry.metadata.node_id, entry.metadata.challenge, entry.proof.pow))
        .collect();
    assert_eq!(judged.len(), past_the_cheap.len());
    assert!(judged.values().all(|times| *times == 1), "{judged:?}");

    let labels: u64 = entries()
        .iter()
        .zip(one_by_one())
        .filter(|(_, verdict)| !cheap(verdict) && !matches!(verdict, Err(Invalid::InvalidPoW {})))
        .map(|(entry, _)| match entry.mode {
            Mode::All => 5,
            Mode::One(_) => 1,
            Mode::Subset { k3, .. } => u64::from(k3),
        })
        .sum();
    assert_eq!(device.deeds().labels(), labels);
}

/// A device that is no CPU, and beside which there are others or not.
struct Elsewhere {
    inner: Faulty,
    info: Info,
    others: bool,
    accused: u32,
}

impl Elsewhere {
    fn new(inner: Faulty, others: bool) -> Self {
        let info = Info { kind: "vulkan", ..inner.info().clone() };
        Self { inner, info, others, accused: 0 }
    }
}

impl Backend for Elsewhere {
    fn info(&self) -> &Info {
        &self.info
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.inner.label(job, sink)
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.inner.scan(job, first, labels, hits)
    }
    fn accuse(&mut self, commitment: &Commitment, index: u64) -> Error {
        self.accused += 1;
        self.inner.accuse(commitment, index)
    }
    fn others_left(&self) -> bool {
        self.others
    }
}

fn liar(one_in: u64) -> Faulty {
    Faulty::new("liar", Box::new(Cpu::new(1).unwrap()), 10).lies(one_in, 5)
}

/// Works on only when the liar has had its part.
struct After {
    cpu: Cpu,
    liar: Arc<Deeds>,
}

impl Backend for After {
    fn info(&self) -> &Info {
        self.cpu.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let since = Instant::now();
        while self.liar.batches() == 0 && since.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.cpu.label(job, sink)
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.cpu.scan(job, first, labels, hits)
    }
}

#[test]
fn devices_that_lie_change_no_verdict() {
    let all: Vec<&Entry> = entries().iter().collect();
    // What the liar makes of a label that misses is no hit by chance: a CPU's labels are not looked at again.
    let lies = batch(&all, &mut liar(1)).unwrap();
    let by_labels =
        |verdict: &&Verdict| matches!(verdict, Err(Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. }));
    let misses = one_by_one().iter().filter(by_labels).count();
    assert!(misses >= 30 && lies.iter().filter(by_labels).count() > misses);
    for (lie, truth) in lies.iter().zip(one_by_one()) {
        assert!(lie.is_err() || truth.is_ok());
    }

    for one_in in [1, 2, 5] {
        let mut device = Elsewhere::new(liar(one_in), true);
        assert_eq!(batch(&all, &mut device).unwrap(), one_by_one(), "one lie in {one_in}");
        assert!(device.accused > 0);

        let inner = liar(one_in);
        let deeds = inner.deeds();
        let good = || -> Box<dyn Backend> { Box::new(After { cpu: Cpu::new(1).unwrap(), liar: deeds.clone() }) };
        let unwatched = Pool::new(vec![Box::new(inner), good()], Box::new(|_| {}));
        assert_eq!(batch(&all, &mut unwatched.unwrap()).unwrap(), one_by_one(), "one lie in {one_in}, pooled");
        // Which labels the liar gets is a matter of time; if all are lies, any will do.
        assert!(one_in > 1 || deeds.lies.load(Ordering::Relaxed) > 0);

        let inner = liar(one_in);
        let deeds = inner.deeds();
        let good: Box<dyn Backend> = Box::new(After { cpu: Cpu::new(1).unwrap(), liar: deeds.clone() });
        let watched = Pool::new(vec![Box::new(Checked::new(Box::new(inner))), good], Box::new(|_| {}));
        assert_eq!(batch(&all, &mut watched.unwrap()).unwrap(), one_by_one(), "one lie in {one_in}, watched");
        assert!(one_in > 1 || deeds.lies.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn a_lone_device_that_lies_is_named_and_an_honest_one_is_believed() {
    let all: Vec<&Entry> = entries().iter().collect();
    match batch(&all, &mut Elsewhere::new(liar(2), false)) {
        Err(VerifyError::Backend(Error::Wrong { device, .. })) => assert_eq!(device, "liar"),
        other => panic!("{other:?}"),
    }
    let honest = Faulty::new("honest", Box::new(Cpu::new(1).unwrap()), 10);
    let mut honest = Elsewhere::new(honest, false);
    assert_eq!(batch(&all, &mut honest).unwrap(), one_by_one());
    assert_eq!(honest.accused, 0);
}

/// Hands on all labels but the last.
struct Short(Cpu);

impl Backend for Short {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let end = job.labels.positions().end;
        self.0.label(job, &mut |positions, labels| {
            let labels = if positions.end == end { &labels[..labels.len() - 1] } else { labels };
            sink(positions, labels)
        })
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.0.scan(job, first, labels, hits)
    }
}

#[test]
fn a_label_that_is_not_there_is_no_hit() {
    let result = batch(&[&entries()[0]], &mut Short(Cpu::new(1).unwrap()));
    assert!(matches!(result, Err(VerifyError::Backend(Error::DeviceLost { .. }))), "{result:?}");
}

fn mode(mode: &fixtures::Mode) -> Mode {
    match mode {
        fixtures::Mode::All => Mode::All,
        fixtures::Mode::One { index } => Mode::One(*index),
        fixtures::Mode::Subset { k3, seed } => Mode::Subset { k3: *k3, seed: hex::decode(seed).unwrap() },
    }
}

/// All proofs of the vectors, those of one network in one batch, out of order and some of them twice.
#[test]
fn the_vectors_get_in_a_batch_the_verdicts_they_get_alone() {
    let mut networks: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    let entry = |file: serde_json::Value, of: &fixtures::Mode| {
        let ProofFile { proof, metadata } = ProofFile::parse(file.to_string().as_bytes()).unwrap();
        Entry { proof, metadata, mode: mode(of) }
    };
    for case in Case::all() {
        let file = serde_json::json!({ "proof": case.proof, "metadata": case.proof_metadata });
        let of_case = networks.entry(case.network_toml()).or_default();
        of_case.extend(case.verdicts.iter().map(|v| entry(file.clone(), &v.mode)));
        for m in &case.mutated {
            let file = serde_json::json!({ "proof": m.proof, "metadata": m.metadata });
            networks.entry(m.init_config.network_toml(&m.proof_config)).or_default().push(entry(file, &m.mode));
        }
    }
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, 2));
    let mut cpu = Cpu::new(0).unwrap();
    let (mut proofs, mut valid, mut bad_pows) = (0, 0, 0);
    for (network, entries) in networks {
        let params = NetworkParams::from_toml(&network).unwrap();
        let verifier = Verifier::new(&params, &randomx).unwrap();
        let alone: Vec<Verdict> = entries.iter().map(|entry| entry.alone(&verifier, &mut cpu)).collect();
        // A step that has no divisor in common with the length meets all, in an order of its own.
        let len = entries.len();
        let step = (len / 3..).find(|step| gcd(*step, len) == 1).unwrap_or(1).max(1);
        let order: Vec<usize> = (0..len + len / 4).map(|at| at * step % len).collect();
        let verdicts = verifier.verify_batch(&jobs(order.iter().map(|at| &entries[*at])), &mut cpu).unwrap();
        for (at, verdict) in order.iter().zip(&verdicts) {
            assert_eq!(verdict, &alone[*at], "{:?}", entries[*at]);
        }
        proofs += len;
        valid += alone.iter().filter(|verdict| verdict.is_ok()).count();
        bad_pows += alone.iter().filter(|verdict| matches!(verdict, Err(Invalid::InvalidPoW {}))).count();
    }
    assert_eq!(proofs, 380);
    assert!(valid > 80 && bad_pows > 20, "{valid} {bad_pows}");
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn randomx_judges_many_pows_as_it_judges_one() {
    let claims: Vec<PowClaim> = (0..12_u64)
        .map(|pow| {
            let input = PowInput::new(pow as u8, &Challenge([1; 32]), NodeId([2; 32]));
            // Half of all hashes are below it.
            PowClaim { input, pow, target: [0x80; 32] }
        })
        .collect();
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, 3));
    let together = randomx.verify_all(&claims).unwrap();
    let alone: Vec<bool> =
        claims.iter().map(|claim| randomx.hash(&claim.input.bytes(claim.pow)).unwrap() < claim.target).collect();
    assert_eq!(together, alone);
    assert!(together.contains(&true) && together.contains(&false));
    assert!(randomx.verify_all(&[]).unwrap().is_empty());
}
