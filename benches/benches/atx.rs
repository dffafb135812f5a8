//! What checking an ATX costs on one core, from its bytes to its judgement, with mainnet's cost of a label: one by one and
//! many at once, with RandomX in light and in fast mode, for 1 and for all 37 labels; what each step takes of it; what labels
//! cost label by label, proof by proof and pooled; and what junk costs. Left out is what needs a node's state: whether
//! earlier ATXs and the PoET proof are known, and the membership's 18 hashes.
//!
//! `-- junk`, `-- labels` or `-- randomx=light` runs a part. `-- randomx=fast` first makes the dataset, most of a minute.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr)]

use std::cell::LazyCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use node::atx::{Atx, Initial, MAX_ATX_BYTES, Membership, NiPost, Received, SubPost};
use node::atxs::{Dear, Judgement, PostClaim, VrfClaim};
use node::codec::encode;
use node::env::checker::{CheckerEvent, Judge, Message, Meters, Sieve};
use node::ids::{Address, AtxId, Challenge, Epoch, GenesisId, NodeId, Signature};
use node::signature::{Signer, Verifier};
use node::source::{Peer, Source};
use post_core::backend::{Cpu, label_list};
use post_core::identity::Commitment;
use post_core::index_packing::{pack, required_bits};
use post_core::label::tier::Tier;
use post_core::label::worker::{Method, Worker};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options, PowClaim, PowError, PowInput, PowVerifier};
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::Mode;

/// Figures are those of one core.
const THREADS: usize = 1;

/// K2 of mainnet.
const K2: u32 = 37;

/// ATXs that are checked at once.
const TOGETHER: usize = 64;

/// More than a checker remembers, so that none is known when it comes again.
const ATXS: u64 = 20_000;

/// Pows in a batch that is worth a dataset.
const WORTH_DATASET: u64 = 1600;

const GENESIS: GenesisId = GenesisId([0x9e; 20]);
const COMMITMENT_ATX: AtxId = AtxId([2; 32]);
const POET: Challenge = Challenge([3; 32]);

/// All labels are hits and all pows hold, so any proof is valid: neither changes what checking costs.
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

fn post(miner: u64) -> Proof {
    let indices: Vec<u64> = (0..u64::from(K2)).map(|label| label << 26 | miner).collect();
    Proof { nonce: 0, indices: pack(&indices, required_bits(1 << 32)).expect("it fits"), pow: miner }
}

/// An ATX of a miner: a later one, or the first.
fn atx(miner: u64, initial: bool) -> Atx {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&miner.to_le_bytes());
    let sub_post = SubPost { marriage_index: 0, previous_index: 0, leaf_index: miner, post: post(miner), num_units: 1 };
    // Of a round with 200,000 members.
    let membership = Membership { nodes: vec![seed; 18] };
    let mut atx = Atx {
        publish_epoch: Epoch(9),
        positioning_atx: AtxId([5; 32]),
        coinbase: Address([6; 24]),
        initial: initial.then(|| Initial { commitment_atx: COMMITMENT_ATX, post: post(miner + ATXS) }),
        previous_atxs: if initial { Vec::new() } else { vec![AtxId([7; 32])] },
        niposts: vec![NiPost { membership, challenge: POET, posts: vec![sub_post] }],
        vrf_nonce: miner,
        marriages: Vec::new(),
        marriage_atx: None,
        smesher: NodeId([0; 32]),
        signature: Signature([0; 64]),
    };
    atx.sign(&Signer::new(GENESIS, &seed));
    atx
}

/// What of it is dear.
fn dear(Received { atx, id, .. }: &Received, mode: &Mode) -> Dear {
    let claim = |proof: &Proof, challenge, mode: &Mode| PostClaim {
        proof: proof.clone(),
        metadata: ProofMetadata { node_id: atx.smesher, commitment_atx_id: COMMITMENT_ATX, challenge, num_units: 1 },
        mode: mode.clone(),
    };
    let first = atx.initial.iter().map(|initial| claim(&initial.post, Challenge([0; 32]), &Mode::All));
    let posts = atx.niposts.iter().flat_map(|nipost| &nipost.posts).map(|post| claim(&post.post, POET, mode));
    let commitment = Commitment::new(&atx.smesher, &COMMITMENT_ATX);
    let vrf = atx.initial.as_ref().map(|_| VrfClaim { commitment, nonce: atx.vrf_nonce, threshold: [0xff; 32] });
    Dear { id: *id, posts: first.chain(posts).collect(), vrf }
}

fn message(peer: u64, bytes: Vec<u8>) -> Message {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&peer.to_le_bytes());
    Message { source: Source::Answer { peer: Peer(key) }, bytes }
}

/// One RandomX for many judges.
#[derive(Clone)]
struct Shared(Arc<LazyRandomX>);

impl PowVerifier for Shared {
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError> {
        self.0.verify(input, pow, target)
    }
    fn verify_all(&self, claims: &[PowClaim]) -> Result<Vec<bool>, PowError> {
        self.0.verify_all(claims)
    }
}

fn light() -> Shared {
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, THREADS));
    randomx.hash(&[]).expect("memory for a cache");
    Shared(Arc::new(randomx))
}

/// With its dataset made.
fn fast() -> Shared {
    let randomx = LazyRandomX::new(Options::new(PowMode::Fast, THREADS));
    let claim = |pow| PowClaim {
        input: PowInput::new(0, &Challenge([4; 32]), NodeId([5; 32])),
        pow,
        target: params().pow_difficulty,
    };
    let claims: Vec<_> = (0..WORTH_DATASET).map(claim).collect();
    randomx.verify_all(&claims).expect("memory for a dataset");
    Shared(Arc::new(randomx))
}

/// A checker without its threads.
struct Checker {
    sieve: Sieve,
    judge: Judge,
    mode: Mode,
    meters: Arc<Meters>,
}

impl Checker {
    fn new(randomx: Shared, k3: u32) -> Self {
        let meters = Arc::new(Meters::default());
        let sieve = Sieve::new(Verifier::new(GENESIS), Arc::clone(&meters));
        let cpu = Cpu::new(THREADS).expect("threads");
        let judge = Judge::new(params(), vec![Box::new(cpu)], vec![Box::new(randomx)], Arc::clone(&meters));
        let mode = Mode::Subset { k3, seed: vec![7; 32] };
        Self { sieve, judge: judge.expect("means"), mode, meters }
    }

    fn check(&mut self, messages: Vec<Message>) {
        let jobs: Vec<Dear> = self
            .sieve
            .sift(messages)
            .iter()
            .map(|event| match event {
                CheckerEvent::Atx { received, .. } => dear(received, &self.mode),
                event => unreachable!("a good ATX, not {event:?}"),
            })
            .collect();
        let judgements = self.judge.judge(&jobs).expect("judgements");
        assert!(judgements.iter().all(|judgement| *judgement == Judgement::Valid));
    }

    /// What each step took of an ATX, as the checker measures itself.
    fn tell_steps(&self, name: &str) {
        let Meters { sieve_us, signatures_us, pow_us, labels_us, vrf_us, good, .. } = &*self.meters;
        let atxs = good.load(Relaxed).max(1) as f64;
        let each = |us: u64| us as f64 / atxs;
        let signatures = signatures_us.load(Relaxed);
        let steps = [
            ("decode", sieve_us.load(Relaxed).saturating_sub(signatures)),
            ("signature", signatures),
            ("k2pow", pow_us.load(Relaxed)),
            ("labels", labels_us.load(Relaxed)),
            ("vrf", vrf_us.load(Relaxed)),
        ];
        let all: f64 = steps.iter().map(|(_, us)| each(*us)).sum();
        let steps: Vec<String> = steps
            .iter()
            .map(|(step, us)| format!("{step} {:.1} µs ({:.2} %)", each(*us), each(*us) / all * 100.0))
            .collect();
        eprintln!("{name}, an ATX: {}", steps.join(", "));
    }
}

fn configure(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
}

fn checks(c: &mut Criterion) {
    let (light, fast) = (LazyCell::new(light), LazyCell::new(fast));
    for (kind, initial) in [("following", false), ("initial", true)] {
        let atxs = LazyCell::new(|| (0..ATXS).map(|miner| encode(&atx(miner, initial))).collect::<Vec<_>>());
        let mut group = c.benchmark_group(format!("atx/{kind}"));
        configure(&mut group);
        for mode in ["light", "fast"] {
            for k3 in [1, K2] {
                for together in [1, TOGETHER] {
                    let name = format!("randomx={mode}/k3={k3}/atxs={together}");
                    group.throughput(Throughput::Elements(together as u64));
                    let mut used = None;
                    group.bench_function(&name, |b| {
                        let randomx = if mode == "light" { &*light } else { &*fast };
                        let checker = used.get_or_insert_with(|| Checker::new(randomx.clone(), k3));
                        let mut next = (0_u64..).zip(atxs.iter().cycle());
                        // Alone each comes from a peer of its own, so that its signature is checked alone.
                        let from = |number| if together == 1 { number } else { u64::MAX };
                        let some = || next.by_ref().take(together).map(|(n, bytes)| message(from(n), bytes.clone()));
                        let mut some = some;
                        b.iter_batched(
                            || some().collect(),
                            |messages| checker.check(messages),
                            BatchSize::PerIteration,
                        );
                    });
                    if let Some(checker) = used {
                        checker.tell_steps(&format!("atx/{kind}/{name}"));
                    }
                }
            }
        }
        group.finish();
    }
}

/// All 37 labels of 64 proofs.
fn labels(c: &mut Criterion) {
    let list = |proof: u8| (0..u64::from(K2)).map(move |index| (Commitment([proof; 32]), index << 20));
    let proofs: Vec<Vec<_>> = (0..TOGETHER as u8).map(|proof| list(proof).collect()).collect();
    let mut group = c.benchmark_group("atx/labels");
    configure(&mut group);
    group.measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(1));
    let mut next = proofs.iter().cycle();
    let mut proof = || next.next().map(Vec::as_slice).unwrap_or_default();
    group.bench_function("label by label", |b| {
        let mut scalar = Worker::new(Method::new(Tier::Scalar), ScryptParams::MAINNET).expect("1 MiB");
        b.iter(|| {
            let mut full = [[0; 32]];
            for label in proof() {
                scalar.full_labels(&[*label], &mut full);
                std::hint::black_box(&full);
            }
        });
    });
    let mut cpu = Cpu::new(THREADS).expect("threads");
    group.bench_function("one at a time in lanes", |b| {
        b.iter(|| {
            for label in proof() {
                std::hint::black_box(label_list(&mut cpu, ScryptParams::MAINNET, &[*label]).expect("a label"));
            }
        });
    });
    group.bench_function("proof by proof", |b| {
        b.iter(|| label_list(&mut cpu, ScryptParams::MAINNET, proof()).expect("labels"));
    });
    let pooled: Vec<_> = proofs.concat();
    group.throughput(Throughput::Elements(TOGETHER as u64));
    group.bench_function("pooled", |b| {
        b.iter(|| label_list(&mut cpu, ScryptParams::MAINNET, &pooled).expect("labels"));
    });
    group.finish();
}

/// What junk costs, a message, in rounds as the checker makes them.
fn junk(c: &mut Criterion) {
    const ROUND: usize = 256;
    let good: Vec<Vec<u8>> = (0..ATXS).map(|miner| encode(&atx(miner, false))).collect();
    // The signature is at the end.
    let wrong: Vec<Vec<u8>> = good
        .iter()
        .map(|bytes| {
            let mut bytes = bytes.clone();
            if let Some(byte) = bytes.last_chunk_mut::<40>() {
                byte[0] ^= 1;
            }
            bytes
        })
        .collect();
    let random = |number: u64| {
        let mut bytes = vec![0; 900];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    let large: Vec<Vec<u8>> = vec![vec![0; MAX_ATX_BYTES + 1]; 2];
    let noise: Vec<Vec<u8>> = (0..1000).map(random).collect();
    let cut: Vec<Vec<u8>> = good.iter().map(|bytes| bytes[..bytes.len() - 1].to_vec()).collect();
    let longest: Vec<Vec<u8>> = vec![vec![0xff; MAX_ATX_BYTES]; 2];

    let mut group = c.benchmark_group("atx/junk");
    configure(&mut group);
    let mut bench = |name: &str, pool: &[Vec<u8>], round: usize, peers: u64, junk: bool| {
        group.throughput(Throughput::Elements(round as u64));
        group.bench_function(name, |b| {
            let mut sieve = Sieve::new(Verifier::new(GENESIS), Arc::default());
            if peers == 1 {
                // A peer that is trusted.
                let shown = good.iter().rev().take(20).map(|bytes| message(0, bytes.clone())).collect();
                assert!(sieve.sift(shown).iter().all(|event| matches!(event, CheckerEvent::Atx { .. })));
            }
            let mut next = (0_u64..).zip(pool.iter().cycle());
            let mut some =
                || next.by_ref().take(round).map(|(n, bytes)| message(n % peers, bytes.clone())).collect::<Vec<_>>();
            b.iter_batched(
                &mut some,
                |messages| {
                    let events = sieve.sift(messages);
                    assert!(events.iter().all(|event| matches!(event, CheckerEvent::Junk { .. }) == junk));
                    events
                },
                BatchSize::PerIteration,
            );
        });
    };
    bench("too large", &large, 4, 50, true);
    bench("noise, 900 B", &noise, ROUND, 50, true);
    bench("noise, 384 KiB", &longest, 4, 50, true);
    bench("all but the last byte", &cut, ROUND, 50, true);
    bench("wrong signature", &wrong, ROUND, 50, true);
    bench("wrong signature, known", &wrong[..100], ROUND, 50, true);
    bench("good, of strangers", &good, ROUND, u64::MAX, false);
    bench("good, of a trusted peer", &good, ROUND, 1, false);
    bench("good, known", &good[..100], ROUND, 50, false);
    group.finish();
}

criterion_group!(benches, junk, labels, checks);
criterion_main!(benches);
