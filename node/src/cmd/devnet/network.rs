//! The processes of a devnet: a PoET in this one, nodes and provers as children, each with a directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use node::env::net::KEY_FILE_NAME;
use node::env::poet::{LocalPoet, LocalPoetConfig, serve};
use node::ids::{Layer, NodeId};
use node::params::NodeParams;
use node::smeshing::Phase;
use node::source::Peer;
use node::status::{AtxStatus, LayerStatus, Status};
use node::time::Time;
use post_core::identity::IdentityKey;

use super::mishaps::Partition;
use super::process::Process;
use crate::cmd::run::Started;
use crate::cmd::{agent, ask};

/// From the start of the children to genesis, and for each node.
const LEAD_MS: u64 = 4000;
/// The children start one after the other, and all provers work at once on their first proof.
const LEAD_MS_EACH: u64 = 1500;
/// Sequential steps of a round's PoET: a moment's work, and a few dozen ticks.
const POET_LEAVES: u64 = 1 << 16;

/// What is wanted.
pub(super) struct Plan {
    pub(super) nodes: u32,
    /// Units of every miner; where there is no number, one more than the miner before has.
    pub(super) units: Option<u32>,
    pub(super) seed: u64,
    pub(super) directory: PathBuf,
    pub(super) post: PathBuf,
    pub(super) crash_phases: bool,
    pub(super) partition: Option<Partition>,
    /// What the last nodes say two things about.
    pub(super) lies: Vec<String>,
}

/// What a node answered; `None` for what it did not.
pub(super) struct Answer {
    pub(super) status: Option<Status>,
    /// Epoch 1 first.
    pub(super) epochs: Vec<Option<Vec<AtxStatus>>>,
}

/// A node with its miner's prover.
struct Member {
    miner: Option<NodeId>,
    directory: PathBuf,
    node: Process,
    prover: Option<Process>,
    started: Started,
    killed: bool,
}

/// A running devnet; it ends when this is dropped.
pub(super) struct Network {
    params: NodeParams,
    post: PathBuf,
    directory: PathBuf,
    members: Vec<Member>,
    poet: SocketAddr,
    agent: ureq::Agent,
    crashes: Option<Crashes>,
    /// More arguments, one list a node.
    extra: Vec<Vec<String>>,
    // Serves the PoET.
    _runtime: tokio::runtime::Runtime,
}

/// The first node's crashes, one in each phase.
struct Crashes {
    left: Vec<Phase>,
    done: usize,
}

impl Crashes {
    /// Counts a death in the phase that was due; `false` when it was another one.
    fn count(&mut self, directory: &Path) -> bool {
        let there = |phase: &mut Phase| directory.join("node").join(format!("died_at_{phase}")).exists();
        let counts = self.left.pop_if(there).is_some();
        self.done += usize::from(counts);
        counts
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Network {
    /// Makes keys and data, then starts everything; genesis is a moment later.
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let mut params = NodeParams::devnet(Time(now_ms()));
        let directory = &plan.directory;
        new_file(&directory.join("post.toml"), &params.post.to_toml())?;
        let peers: Vec<_> = (0..plan.nodes).map(|i| make_peer(plan, i)).collect::<Result<_>>()?;
        let miners: Vec<_> = (0..plan.nodes).map(|i| make_miner(plan, &params, i)).collect::<Result<_>>()?;
        params.timing.genesis = Time(now_ms() + LEAD_MS + LEAD_MS_EACH * u64::from(plan.nodes));
        new_file(&directory.join("network.toml"), &params.to_toml()?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let poet = runtime.block_on(start_poet(&params, directory))?;
        let extra = extra_arguments(plan, &params, &peers);
        // The first node of a network has nobody to sync with, and nobody is a fraud here.
        let phases = Phase::ALL.iter().rev().filter(|phase| !matches!(phase, Phase::Syncing | Phase::Stopped));
        let crashes = plan.crash_phases.then(|| Crashes { left: phases.copied().collect(), done: 0 });
        let mut network = Self {
            params,
            post: plan.post.clone(),
            directory: directory.clone(),
            members: Vec::new(),
            poet,
            agent: agent(),
            crashes,
            extra,
            _runtime: runtime,
        };
        for miner in miners {
            network.add_member(Some(miner))?;
        }
        Ok(network)
    }

    fn add_member(&mut self, miner: Option<NodeId>) -> Result<()> {
        let i = self.members.len();
        let directory = member_directory(&self.directory, i);
        let (node, started) = self.start_node(i, miner.is_some(), None)?;
        let mut member = Member { miner, directory, node, prover: None, started, killed: false };
        if miner.is_some() {
            member.prover = Some(self.start_prover(&member)?);
        }
        self.members.push(member);
        Ok(())
    }

    /// Starts one more node, which has no miner and knows nothing yet.
    pub(super) fn add_late_node(&mut self) -> Result<()> {
        let directory = member_directory(&self.directory, self.members.len());
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        self.add_member(None)
    }

    /// Kills a node and its prover for good.
    pub(super) fn kill(&mut self, i: usize) -> Result<()> {
        let Some(member) = self.members.get_mut(i) else { return Ok(()) };
        member.killed = true;
        member.node.kill()?;
        member.prover.as_mut().map_or(Ok(()), Process::kill)
    }

    /// Starts a node, anew when it ran before as `before`: then on the same ports.
    fn start_node(&self, i: usize, has_miner: bool, before: Option<&Started>) -> Result<(Process, Started)> {
        let directory = &member_directory(&self.directory, i);
        let at = |address: fn(&Started) -> SocketAddr| {
            before.map_or_else(|| "127.0.0.1:0".to_string(), |before| address(before).to_string())
        };
        let mut args = vec![
            "run".to_string(),
            format!("--network={}", self.directory.join("network.toml").display()),
            format!("--data={}", directory.join("node").display()),
            format!("--listen={}", at(|before| before.listen)),
            format!("--provers={}", at(|before| before.provers)),
            format!("--http={}", at(|before| before.http)),
            "--randomx=light".into(),
            "--poll-ms=200".into(),
            format!("--watch-pid={}", std::process::id()),
        ];
        if has_miner {
            args.push(format!("--identity={}", directory.join(IdentityKey::FILE_NAME).display()));
            args.push(format!("--coinbase={:048x}", i + 1));
            args.push(format!("--poet=http://{}", self.poet));
        }
        args.extend(self.extra.get(i).cloned().unwrap_or_default());
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != i);
        args.extend(others.map(|(_, other)| format!("--bootstrap={}", other.started.listen)));
        if i == 0 {
            args.push("--first".into());
        }
        if i == 0
            && let Some(phase) = self.crashes.as_ref().and_then(|crashes| crashes.left.last())
        {
            args.push(format!("--die-at={phase}"));
        }
        let own = std::env::current_exe().context("this program can't find itself")?;
        let mut process = Process::start(&own, &args, &directory.join("node.log"))?;
        let line = process.first_line()?;
        let started = serde_json::from_str(&line).with_context(|| format!("a node says {line:?}"))?;
        Ok((process, started))
    }

    fn start_prover(&self, member: &Member) -> Result<Process> {
        let args = [
            "serve".to_string(),
            format!("--data={}", member.directory.join("post").display()),
            format!("--address=http://{}", member.started.provers),
            format!("--network={}", self.directory.join("post.toml").display()),
            "--randomx-mode=light".into(),
            "--threads=1".into(),
            "--device=cpu".into(),
            "--reconnect-interval-s=1".into(),
            format!("--watch-pid={}", std::process::id()),
        ];
        Process::start(&self.post, &args, &member.directory.join("prover.log"))
    }

    /// Starts again what ended as it should, and complains about what should not have ended.
    pub(super) fn tend(&mut self) -> Result<()> {
        for i in 0..self.members.len() {
            if self.members[i].killed {
                continue;
            }
            let ended = self.members[i].node.ended()?;
            if let Some(prover) = &mut self.members[i].prover
                && let Some(status) = prover.ended()?
            {
                bail!("prover {i} ended ({status}): {}", prover.complaint());
            }
            let Some(status) = ended else { continue };
            let crashes = self.crashes.as_mut().filter(|_| i == 0 && killed(status));
            if !crashes.is_some_and(|crashes| crashes.count(&self.members[i].directory)) {
                bail!("node {i} ended ({status}): {}", self.members[i].node.complaint());
            }
            let (node, started) =
                self.start_node(i, self.members[i].miner.is_some(), Some(&self.members[i].started))?;
            (self.members[i].node, self.members[i].started) = (node, started);
        }
        Ok(())
    }

    /// Asks every node what it knows.
    pub(super) fn ask(&self, epochs: u32) -> Vec<Answer> {
        self.members.iter().map(|member| self.ask_one(&member.started.http.to_string(), epochs)).collect()
    }

    fn ask_one(&self, http: &str, epochs: u32) -> Answer {
        let status = ask::<Status>(&self.agent, http, "/status").ok();
        let atxs = |epoch| ask(&self.agent, http, &format!("/epochs/{epoch}/atxs")).ok();
        Answer { status, epochs: (1..=epochs).map(atxs).collect() }
    }

    /// Asks a node how it is, and for the final layers from one on. `None` when it was killed.
    pub(super) fn ask_layers(&self, i: usize, from: Layer) -> Option<(Option<Status>, Vec<LayerStatus>)> {
        let member = self.members.get(i).filter(|member| !member.killed)?;
        let http = member.started.http.to_string();
        let layers = ask(&self.agent, &http, &format!("/layers?from={from}")).unwrap_or_default();
        Some((ask(&self.agent, &http, "/status").ok(), layers))
    }

    /// Asks a node for an epoch's ATXs.
    pub(super) fn ask_atxs(&self, i: usize, epoch: u32) -> Option<Vec<AtxStatus>> {
        let member = self.members.get(i).filter(|member| !member.killed)?;
        ask(&self.agent, &member.started.http.to_string(), &format!("/epochs/{epoch}/atxs")).ok()
    }

    pub(super) fn params(&self) -> &NodeParams {
        &self.params
    }

    /// The miners' ids, as hex.
    pub(super) fn miners(&self) -> Vec<String> {
        self.members.iter().filter_map(|member| member.miner.map(|miner| miner.to_string())).collect()
    }

    /// Crashes so far, and phases in which there was none yet; `None` when none are wanted.
    pub(super) fn crashes(&self) -> Option<(usize, Vec<String>)> {
        let crashes = self.crashes.as_ref()?;
        Some((crashes.done, crashes.left.iter().map(ToString::to_string).collect()))
    }

    /// What nodes and provers have taken of memory at most, each at its own time, in bytes. `None` where the system does
    /// not say.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let provers = self.members.iter().filter_map(|member| member.prover.as_ref());
        self.members.iter().map(|member| &member.node).chain(provers).map(Process::peak_memory).sum()
    }
}

#[cfg(unix)]
fn killed(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

#[cfg(not(unix))]
fn killed(_: std::process::ExitStatus) -> bool {
    false
}

fn member_directory(directory: &Path, i: usize) -> PathBuf {
    directory.join(format!("member-{i}"))
}

/// Makes the key of a node's connections.
fn make_peer(plan: &Plan, i: u32) -> Result<Peer> {
    let directory = member_directory(&plan.directory, i as usize).join("node");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let seed = blake3::hash(format!("devnet node {i} of {}", plan.seed).as_bytes());
    let key = IdentityKey::from_seed(seed.as_bytes());
    key.write_new(&directory.join(KEY_FILE_NAME))?;
    Ok(Peer(key.node_id().0))
}

/// Arguments that not all nodes have.
fn extra_arguments(plan: &Plan, params: &NodeParams, peers: &[Peer]) -> Vec<Vec<String>> {
    let first = params.effective_genesis().next();
    let of_node = |i: u32| {
        let mut arguments = Vec::new();
        if let Some(partition) = &plan.partition {
            let others = partition.others(i).filter_map(|other| peers.get(other as usize));
            let others: Vec<String> = others.map(ToString::to_string).collect();
            let [from, to] = [partition.layers.start, partition.layers.end]
                .map(|layers| params.timing.layer_starts(first.after(layers)).0);
            arguments.push(format!("--cut-off={}:{from}..{to}", others.join(",")));
        }
        let honest = plan.nodes.saturating_sub(plan.lies.len() as u32);
        let lie = i.checked_sub(honest).and_then(|liar| plan.lies.get(liar as usize));
        arguments.extend(lie.map(|lie| format!("--lie={lie}")));
        arguments
    };
    (0..plan.nodes).map(of_node).collect()
}

/// Makes a miner's key and data.
fn make_miner(plan: &Plan, params: &NodeParams, i: u32) -> Result<NodeId> {
    let directory = member_directory(&plan.directory, i as usize);
    let seed = blake3::hash(format!("devnet miner {i} of {}", plan.seed).as_bytes());
    let key = IdentityKey::from_seed(seed.as_bytes());
    let path = directory.join(IdentityKey::FILE_NAME);
    key.write_new(&path)?;
    let args = [
        "init".to_string(),
        format!("--drive=path={}", directory.join("post").display()),
        format!("--key={}", path.display()),
        format!("--units={}", plan.units.unwrap_or(i + 1)),
        format!("--commitment-atx={}", params.golden_atx()),
        format!("--network={}", plan.directory.join("post.toml").display()),
        "--device=cpu".into(),
    ];
    Process::start(&plan.post, &args, &directory.join("init.log"))?.finish()?;
    Ok(key.node_id())
}

async fn start_poet(params: &NodeParams, directory: &Path) -> Result<SocketAddr> {
    let poet = LocalPoet::new(LocalPoetConfig {
        genesis_id: params.genesis_id,
        timing: params.timing.clone(),
        leaves: POET_LEAVES,
        pow_difficulty: 8,
        clock: Box::new(|| Time(now_ms())),
        dir: Some(directory.join("poet")),
    })?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no port for the PoET")?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(Arc::new(poet), listener, std::future::pending()));
    Ok(address)
}

fn new_file(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
