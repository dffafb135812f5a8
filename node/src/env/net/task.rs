//! The task that owns the connections.

mod dial;
mod swarm;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::{MessageAcceptance, PublishError};
use libp2p::request_response::{OutboundRequestId, ResponseChannel};
use libp2p::swarm::{Config, ConnectionId, Swarm, SwarmEvent};
use tokio::sync::{mpsc, oneshot, watch};

use super::behaviour::{Parts, parts};
use super::book::Book;
use super::conduct::Weight;
use super::counters::NetCounters;
use super::gossip::{self, Topics};
use super::inbox::{Inbox, Next};
use super::transport::transport;
use super::{Command, EVENTS, NetConfig, NetError, NetEvent, NetHandle, RequestError, Responder, key, place};
use crate::codec::encode;
use crate::source::{MessageHash, Peer, Source, Topic, Verdict};
use crate::wire::{Request, Response};

/// Addresses, limits and the like are looked after so often.
const TICK: Duration = Duration::from_millis(250);
/// Own messages that nobody could be told yet.
const MAX_UNSENT: usize = 256;
const UNSENT: Duration = Duration::from_secs(300);

/// A gossiped message.
struct Gossiped {
    topic: Topic,
    message: MessageHash,
    data: Vec<u8>,
}

/// A request, and where the answer goes.
struct Asked {
    request: Request,
    channel: ResponseChannel<Response>,
}

/// Who waits for an answer.
enum Waiting {
    Node(oneshot::Sender<Result<Response, RequestError>>),
    /// The address book.
    Book,
}

/// A connected peer.
struct Link {
    ip: IpAddr,
    since: Instant,
    /// Whether it takes part in the gossip.
    gossips: bool,
    /// Where this node called it, if it did.
    called: Option<SocketAddr>,
}

/// Everything the task has.
struct Task {
    config: NetConfig,
    own: Peer,
    port: Option<u16>,
    swarm: Swarm<Parts>,
    topics: Topics,
    counters: Arc<NetCounters>,
    commands: mpsc::WeakUnboundedSender<Command>,
    inbox: Inbox<Gossiped, Asked>,
    links: BTreeMap<Peer, Link>,
    /// Who the node believes to be connected.
    reported: BTreeSet<Peer>,
    peers: watch::Sender<BTreeSet<Peer>>,
    waiting: HashMap<OutboundRequestId, Waiting>,
    book: Book,
    calls: HashMap<ConnectionId, SocketAddr>,
    unsent: VecDeque<(Instant, Topic, Vec<u8>)>,
    saved: Instant,
}

/// See [`super::start`].
pub(super) async fn start(config: NetConfig) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    let keypair = key::open(&config.directory)?;
    let id = keypair.public().to_peer_id();
    let own = key::peer(&id).ok_or_else(|| NetError::Settings("the node's key is no Ed25519 key".into()))?;
    let counters = Arc::new(NetCounters::default());
    let transport = transport(config.genesis, &keypair, config.limits.handshake_timeout, Arc::clone(&counters))?;
    // Connections stay until one side ends them; who does nothing is dropped by the task.
    let settings = Config::with_tokio_executor()
        .with_idle_connection_timeout(Duration::from_secs(u64::from(u32::MAX)))
        .with_max_negotiating_inbound_streams(16);
    let mut swarm = Swarm::new(transport, parts(&config, Arc::clone(&counters))?, id, settings);
    let listening: Arc<[SocketAddr]> = listen(&mut swarm, &config.listen).await?.into();

    let (commands, orders) = mpsc::unbounded_channel();
    let (events, taken) = mpsc::channel(EVENTS);
    let (peers, watched) = watch::channel(BTreeSet::new());
    let handle = NetHandle {
        own,
        listening: Arc::clone(&listening),
        commands: commands.clone(),
        peers: watched,
        counters: Arc::clone(&counters),
    };
    let task = Task {
        own,
        port: listening.first().map(SocketAddr::port),
        swarm,
        topics: Topics::new(config.genesis),
        counters,
        commands: commands.downgrade(),
        inbox: Inbox::new(config.limits.messages_per_second, config.limits.messages_burst),
        links: BTreeMap::new(),
        reported: BTreeSet::new(),
        peers,
        waiting: HashMap::new(),
        book: Book::open(&config.directory, &config.bootstrap),
        calls: HashMap::new(),
        unsent: VecDeque::new(),
        saved: Instant::now(),
        config,
    };
    tokio::spawn(task.run(orders, events));
    Ok((handle, taken))
}

/// Listens, and waits until the system has said where.
async fn listen(swarm: &mut Swarm<Parts>, addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, NetError> {
    let mut waiting = HashMap::new();
    for address in addresses {
        let failed = |reason: String| NetError::Listen { address: *address, reason };
        // libp2p would share the port with whoever listens there.
        if address.port() != 0 {
            std::net::TcpListener::bind(address).map_err(|error| failed(error.to_string()))?;
        }
        let id = swarm.listen_on(place::multiaddr(*address)).map_err(|error| failed(error.to_string()))?;
        waiting.insert(id, *address);
    }
    let mut listening = Vec::new();
    while !waiting.is_empty() {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                waiting.remove(&listener_id);
                listening.extend(place::address(&address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                if let Some(address) = waiting.remove(&listener_id) {
                    let reason = reason.err().map_or_else(|| "it closed".into(), |error| error.to_string());
                    return Err(NetError::Listen { address, reason });
                }
            }
            _ => {}
        }
    }
    Ok(listening)
}

impl Task {
    /// Until there is no handle any more, or nobody takes the events. The node is never waited for.
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>, events: mpsc::Sender<NetEvent>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done = loop {
            let ready = self.has_event();
            tokio::select! {
                order = orders.recv() => match order {
                    None => break None,
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.command(command),
                },
                permit = events.reserve(), if ready => match permit {
                    Err(_) => break None,
                    Ok(permit) => if let Some(event) = self.event() {
                        permit.send(event);
                    }
                },
                event = self.swarm.select_next_some() => self.swarm_event(event),
                _ = tick.tick() => self.tick(),
                () = events.closed() => break None,
            }
        };
        self.save();
        drop(self.swarm);
        if let Some(done) = done {
            // Nobody waits any more: no matter.
            let _ = done.send(());
        }
    }

    fn has_event(&mut self) -> bool {
        self.changed_peer().is_some() || self.inbox.has_next(Instant::now())
    }

    /// A peer whose coming or going the node was not told.
    fn changed_peer(&self) -> Option<(Peer, bool)> {
        let gone = self.reported.iter().find(|peer| !self.links.contains_key(*peer)).map(|peer| (*peer, false));
        gone.or_else(|| self.links.keys().find(|peer| !self.reported.contains(*peer)).map(|peer| (*peer, true)))
    }

    /// The next event for the node.
    fn event(&mut self) -> Option<NetEvent> {
        if let Some((peer, up)) = self.changed_peer() {
            return Some(if up {
                self.reported.insert(peer);
                NetEvent::PeerUp(peer)
            } else {
                self.reported.remove(&peer);
                NetEvent::PeerDown(peer)
            });
        }
        let (peer, next) = self.inbox.next(Instant::now())?;
        Some(match next {
            Next::Message(Gossiped { topic, message, data }) => {
                NetEvent::Gossip { topic, source: Source::Gossip { peer, message }, data }
            }
            Next::Request(Asked { request, channel }) => {
                let commands = self.commands.upgrade()?;
                NetEvent::Request { peer, request, responder: Responder { peer, channel, commands } }
            }
        })
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, data } => self.publish(Instant::now() + UNSENT, topic, data),
            Command::Verdict { source, verdict } => self.verdict(source, verdict),
            Command::Request { peer, request, reply } => match key::peer_id(peer) {
                Some(id) if self.links.contains_key(&peer) => {
                    let asked = self.swarm.behaviour_mut().requests.send_request(&id, Ok(request));
                    self.waiting.insert(asked, Waiting::Node(reply));
                }
                _ => {
                    // Who asked may have stopped waiting.
                    let _ = reply.send(Err(RequestError::Gone));
                }
            },
            Command::Respond { peer, channel, response } => {
                self.inbox.answered(Instant::now(), peer, encode(&response).len());
                // Too late is too late.
                let _ = self.swarm.behaviour_mut().requests.send_response(channel, response);
            }
            Command::Punish { peer, why } => {
                tracing::info!(%peer, %why, "a peer lied");
                self.offence(peer, Weight::LIE);
            }
            Command::Dial(address) => self.call(address),
            Command::Shutdown(_) => {}
        }
    }

    /// Gossips something of this node's own, until `until` again and again when there is nobody to take it.
    fn publish(&mut self, until: Instant, topic: Topic, data: Vec<u8>) {
        let name = gossip::name(self.config.genesis, topic);
        match self.swarm.behaviour_mut().gossip.publish(name, data.clone()) {
            Ok(_) => self.counters.messages_out.add(1),
            // It is on its way already.
            Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => {
                if self.unsent.len() < MAX_UNSENT {
                    self.unsent.push_back((until, topic, data));
                }
            }
            Err(error) => tracing::error!(%error, topic = topic.name(), "a message can't be published"),
        }
    }

    fn verdict(&mut self, source: Source, verdict: Verdict) {
        if let Source::Gossip { peer, message } = source {
            let (acceptance, count) = match verdict {
                Verdict::Accept => (MessageAcceptance::Accept, Some(&self.counters.messages_accepted)),
                Verdict::Ignore => (MessageAcceptance::Ignore, None),
                Verdict::Reject => (MessageAcceptance::Reject, Some(&self.counters.messages_rejected)),
            };
            if let Some(count) = count {
                count.add(1);
            }
            self.report(peer, message, acceptance);
        }
        if let (Verdict::Reject, Some(peer)) = (verdict, source.peer()) {
            self.offence(peer, Weight::BAD_MESSAGE);
        }
    }

    /// Tells the gossip what to do with a message that waits.
    fn report(&mut self, peer: Peer, message: MessageHash, acceptance: MessageAcceptance) {
        if let Some(id) = key::peer_id(peer) {
            let gossip = &mut self.swarm.behaviour_mut().gossip;
            gossip.report_message_validation_result(&gossip::message_id(message), &id, acceptance);
        }
    }

    /// Notes what a peer did, and closes the connection when that is enough.
    fn offence(&mut self, peer: Peer, weight: Weight) {
        if self.swarm.behaviour_mut().gate.conduct.offend(Instant::now(), peer, weight) {
            tracing::info!(%peer, "banned");
            self.counters.bans.add(1);
            self.hang_up(peer);
        }
    }

    fn hang_up(&mut self, peer: Peer) {
        if let Some(id) = key::peer_id(peer) {
            // It may be gone already.
            let _ = self.swarm.disconnect_peer_id(id);
        }
    }
}
