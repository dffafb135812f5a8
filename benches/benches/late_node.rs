//! A node that joins late: what it costs to fetch and check the ATXs of a network, and to fetch the few that another lacks.
//!
//! Two whole nodes in this process, connected over loopback, with databases on disk. The ATXs are real: labels, proofs,
//! PoETs and signatures of miners with one devnet unit each, the network's parameters are the devnet's.
//!
//! `cargo bench -p benches --bench late_node -- [ATXs] [fast|light]`; bytes don't depend on the build, times do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use node::archive::Write;
use node::atx::{Atx, Initial, NiPost, SubPost, poet_challenge};
use node::codec::encode;
use node::env::checker::CheckerConfig;
use node::env::net::{CutOff, NetConfig, NetLimits};
use node::env::provers;
use node::env::store::Store;
use node::ids::{Address, AtxId, Challenge, Epoch, NO_ATX, NodeId, PoetChallenge, Signature};
use node::params::NodeParams;
use node::poet::{Members, Prover};
use node::run::{Settings, Started, now, run};
use node::signature::Signer;
use node::time::Time;
use post_core::backend::{Backend, Cpu, LabelJob, Labels};
use post_core::cipher::NONCES_PER_GROUP;
use post_core::difficulty::{Difficulty, vrf_threshold};
use post_core::identity::Commitment;
use post_core::index_packing::{pack, required_bits};
use post_core::label::{Label, reference};
use post_core::pow::Mode;
use post_core::proof::Proof;
use post_core::scan::{NonceGroup, ScanJob};

/// The epochs in which every miner publishes.
const EPOCHS: u32 = 10;
const PEACE: Duration = Duration::from_secs(1200);

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let atxs: usize = words.next().map_or(20_000, |word| word.parse().expect("a number of ATXs"));
    let mode = if words.next().as_deref() == Some("light") { Mode::Light } else { Mode::Fast };
    let mut params = NodeParams::devnet(Time(0));
    params.timing.genesis = now().before(params.timing.epoch_ms() * u64::from(EPOCHS + 1));

    let dir = tempfile::tempdir().unwrap();
    let (full, lacking, empty) = (dir.path().join("full"), dir.path().join("lacking"), dir.path().join("empty"));
    let started = Instant::now();
    let writes = make(&params, atxs.div_ceil(EPOCHS as usize));
    let sizes: BTreeMap<AtxId, usize> = writes.iter().filter_map(atx_size).collect();
    let bytes: usize = sizes.values().sum();
    println!("{} ATXs of {bytes} B made in {:.0} s", sizes.len(), started.elapsed().as_secs_f64());
    keep(&full, &params, writes.iter());
    // One in a thousand, spread over the last epoch's: nothing builds on those.
    let last = |write: &&Write| matches!(write, Write::Atx { epoch, .. } if epoch.0 == EPOCHS);
    let missing: Vec<AtxId> = writes
        .iter()
        .filter(last)
        .filter_map(atx_size)
        .map(|(id, _)| id)
        .step_by(100)
        .take(sizes.len() / 1000)
        .collect();
    let there = |write: &&Write| !matches!(write, Write::Atx { id, .. } if missing.contains(id));
    keep(&lacking, &params, writes.iter().filter(there));
    drop(writes);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Node::start(&runtime, settings(&params, &full, None, Mode::Light));
    for (name, directory, lacks) in [("lacks 1 in 1,000", &lacking, missing.len()), ("has none", &empty, sizes.len())] {
        let before = server.counters();
        let started = Instant::now();
        let late = Node::start(&runtime, settings(&params, directory, Some(server.started.listen[0]), mode));
        late.wait_for(sizes.len() as u64);
        let elapsed = started.elapsed().as_secs_f64();
        let after = server.counters();
        let used = |name: &str| after[name] - before[name];
        let (asked, answered) = (used("request_bytes_in"), used("response_bytes_out"));
        let socket = used("socket_bytes_in") + used("socket_bytes_out");
        let share = |part: u64| 100.0 * part as f64 / bytes as f64;
        println!(
            "{name}: {lacks} fetched and checked in {elapsed:.1} s; requests {asked} B, answers {answered} B, together \
             {:.2} % of all ATXs' bytes; all that crossed the sockets, gossip included: {socket} B, {:.2} %",
            share(asked + answered),
            share(socket)
        );
        late.stop(&runtime);
    }
    server.stop(&runtime);
}

fn atx_size(write: &Write) -> Option<(AtxId, usize)> {
    match write {
        Write::Atx { id, bytes, .. } => Some((*id, bytes.len())),
        _ => None,
    }
}

fn keep<'a>(directory: &Path, params: &NodeParams, writes: impl Iterator<Item = &'a Write>) {
    let store = Store::open(directory, params.genesis_id).unwrap();
    let writes: Vec<Write> = writes.cloned().collect();
    writes.chunks(1000).for_each(|chunk| store.write(chunk).unwrap());
    store.flush().unwrap();
}

/// A miner of one unit.
struct Miner {
    signer: Signer,
    labels: Vec<Label>,
    vrf_nonce: u64,
    last: Option<AtxId>,
}

/// `count` miners' ATXs of all epochs, and the PoET proofs.
fn make(params: &NodeParams, count: usize) -> Vec<Write> {
    let mut cpu = Cpu::new(0).unwrap();
    let mut miners: Vec<Miner> = (0..count).map(|i| miner(params, &mut cpu, i)).collect();
    let golden = params.golden_atx();
    let initial: Vec<Initial> = miners
        .iter()
        .map(|miner| Initial { commitment_atx: golden, post: prove(params, &mut cpu, miner, &Challenge([0; 32])) })
        .collect();
    let mut writes = Vec::new();
    let mut positioning = golden;
    for epoch in (1..=EPOCHS).map(Epoch) {
        let first = |i: usize| (epoch.0 == 1).then(|| initial[i].clone());
        let challenge = |(i, miner): (usize, &Miner)| {
            let post = first(i).map(|initial| initial.post);
            poet_challenge(epoch, miner.last.unwrap_or(NO_ATX), positioning, post.as_ref())
        };
        let challenges: Vec<PoetChallenge> = miners.iter().enumerate().map(challenge).collect();
        let members = Members::new(&challenges).unwrap();
        let mut prover = Prover::new(members.root());
        prover.work(1 << 16);
        let poet = prover.prove().unwrap();
        writes.push(Write::Poet { id: poet.id(), bytes: encode(&poet) });
        let received = params.timing.epoch_starts(epoch).after(params.timing.layer_ms);
        let mut next = positioning;
        for (i, miner) in miners.iter_mut().enumerate() {
            let leaf_index = members.position(&challenges[i]).unwrap();
            let post = prove(params, &mut cpu, miner, &poet.id());
            let mut atx = Atx {
                publish_epoch: epoch,
                positioning_atx: positioning,
                coinbase: Address([1; 24]),
                initial: first(i),
                previous_atxs: miner.last.into_iter().collect(),
                niposts: vec![NiPost {
                    membership: members.prove(&[leaf_index]).unwrap(),
                    challenge: poet.id(),
                    posts: vec![SubPost { marriage_index: 0, previous_index: 0, leaf_index, post, num_units: 1 }],
                }],
                vrf_nonce: miner.vrf_nonce,
                marriages: vec![],
                marriage_atx: None,
                smesher: NodeId([0; 32]),
                signature: Signature([0; 64]),
            };
            atx.sign(&miner.signer);
            let id = atx.id();
            (miner.last, next) = (Some(id), id);
            writes.push(Write::Atx { id, epoch, received, bytes: encode(&atx) });
        }
        positioning = next;
    }
    writes
}

fn miner(params: &NodeParams, cpu: &mut Cpu, i: usize) -> Miner {
    let signer = Signer::new(params.genesis_id, blake3::hash(format!("miner {i}").as_bytes()).as_bytes());
    let commitment = Commitment::new(&signer.node_id(), &params.golden_atx());
    let (count, scrypt) = (params.post.labels_per_unit, params.post.scrypt);
    let mut labels = Vec::with_capacity(count as usize);
    let job = LabelJob { scrypt, labels: Labels::Range(commitment, 0..count) };
    cpu.label(&job, &mut |_, some| {
        labels.extend_from_slice(some);
        ControlFlow::Continue(())
    })
    .unwrap();
    let threshold = vrf_threshold(count);
    let below = |index: &u64| reference::full_label(&commitment, *index, scrypt).unwrap() < threshold;
    let likely = (0..).zip(&labels).filter(|(_, label)| label[..] <= threshold[..16]).map(|(index, _)| index);
    let vrf_nonce = likely.chain(count..).find(below).unwrap();
    Miner { signer, labels, vrf_nonce, last: None }
}

/// Every k2pow meets the devnet's target, so 0 does.
fn prove(params: &NodeParams, cpu: &mut Cpu, miner: &Miner, challenge: &Challenge) -> Proof {
    let (count, k2) = (params.post.labels_per_unit, params.post.k2 as usize);
    let difficulty = Difficulty::new(params.post.k1, count).unwrap();
    for group in 0..256 {
        let keys = NonceGroup::new(challenge, group, 0);
        let mut hits = Vec::new();
        cpu.scan(&ScanJob { groups: &[&keys], difficulty }, 0, &miner.labels, &mut hits).unwrap();
        for nonce in (0..NONCES_PER_GROUP).map(|lane| group * NONCES_PER_GROUP + lane) {
            let of_nonce: Vec<u64> = hits.iter().filter(|hit| hit.nonce == nonce).map(|hit| hit.index).collect();
            if let Some(indices) = of_nonce.get(..k2) {
                return Proof { nonce, indices: pack(indices, required_bits(count)).unwrap(), pow: 0 };
            }
        }
    }
    panic!("no proof")
}

fn settings(params: &NodeParams, directory: &Path, other: Option<SocketAddr>, mode: Mode) -> Settings {
    std::fs::create_dir_all(directory).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Settings {
        lie: None,
        params: params.clone(),
        directory: directory.into(),
        coinbase: Address([0; 24]),
        signers: vec![],
        net: NetConfig {
            cut_off: CutOff::default(),
            genesis: params.genesis_id,
            directory: directory.into(),
            listen: vec![any],
            bootstrap: other.into_iter().collect(),
            limits: NetLimits::default(),
        },
        provers: provers::Config::new(any, [].into()),
        http: any,
        poet: None,
        checker: CheckerConfig::new(params.clone(), 0, mode).unwrap(),
        first: other.is_none(),
        progress: tokio::sync::watch::channel(None).0,
        die_at: None,
    }
}

/// A running node.
struct Node {
    started: Started,
    stop: tokio::sync::oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Node {
    fn start(runtime: &tokio::runtime::Runtime, settings: Settings) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (started, starts) = std::sync::mpsc::channel();
        let ended = runtime.spawn(async move {
            let tell = move |at: &Started| started.send(at.clone()).unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            run(settings, tell, stopped).await.unwrap();
        });
        Self { started: starts.recv_timeout(PEACE).unwrap(), stop, ended }
    }

    fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.started.http);
        ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let metrics = self.get("/metrics");
        let values = metrics.lines().filter_map(|line| line.strip_prefix("post_net_")?.split_once(' '));
        values.map(|(name, value)| (name.to_string(), value.parse().unwrap())).collect()
    }

    fn wait_for(&self, atxs: u64) {
        let deadline = Instant::now() + PEACE;
        loop {
            let status: node::status::Status = serde_json::from_str(&self.get("/status")).unwrap();
            if status.sync.have == atxs && status.synced {
                return;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn stop(self, runtime: &tokio::runtime::Runtime) {
        let _ = self.stop.send(());
        runtime.block_on(self.ended).unwrap();
    }
}
