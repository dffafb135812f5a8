//! Messages of all kinds.

use std::sync::Arc;

use node::atx::{Atx, Junk, MAX_ATX_BYTES, Received};
use node::codec::encode;
use node::env::checker::{CheckerEvent, Message, Meters, Sieve, Why};
use node::ids::Epoch;
use node::source::{MessageHash, Peer, Source};

use crate::samples;

pub(crate) fn peer(number: u8) -> Peer {
    Peer([number; 32])
}

pub(crate) fn gossip(peer: Peer, bytes: &[u8]) -> Source {
    Source::Gossip { peer, message: MessageHash(*blake3::hash(bytes).as_bytes()) }
}

pub(crate) fn message(from: u8, bytes: Vec<u8>) -> Message {
    Message { source: gossip(peer(from), &bytes), bytes }
}

pub(crate) fn sieve() -> (Sieve, Arc<Meters>) {
    let meters = Arc::new(Meters::default());
    (Sieve::new(samples::verifier(), Arc::clone(&meters)), meters)
}

/// A rightly signed ATX, another one for each number.
pub(crate) fn good(number: u32) -> Vec<u8> {
    let mut atx = samples::following();
    atx.publish_epoch = Epoch(number);
    atx.sign(&samples::signer(&format!("miner {}", number % 100)));
    encode(&atx)
}

/// One whose signature is of another one.
pub(crate) fn badly_signed(number: u32) -> Vec<u8> {
    let other = Received::decode(&good(number)).unwrap().atx;
    let atx = Atx { publish_epoch: Epoch(number ^ 0x4000_0000), ..*other };
    encode(&atx)
}

/// No ATX at all, in a way that depends on the number.
pub(crate) fn garbage(number: u32) -> Vec<u8> {
    let mut bytes = good(number);
    match number % 4 {
        0 => bytes.truncate(bytes.len() / 2),
        1 => bytes.push(0),
        2 => bytes = samples::bytes::<900>(&format!("garbage {number}")).to_vec(),
        _ => bytes.clear(),
    }
    bytes
}

pub(crate) fn too_large() -> Vec<u8> {
    vec![0; MAX_ATX_BYTES + 1]
}

/// What must be said of bytes, found the slow way.
pub(crate) fn alone(message: &Message) -> CheckerEvent {
    let source = message.source;
    match Received::decode(&message.bytes) {
        Err(junk) => CheckerEvent::Junk { source, id: None, why: Why::NoAtx(junk) },
        Ok(received) if received.atx.signature_holds(&samples::verifier()) => {
            CheckerEvent::Atx { received: received.into(), source }
        }
        Ok(received) => {
            let id = matches!(source, Source::Answer { .. }).then_some(received.id);
            CheckerEvent::Junk { source, id, why: Why::Signature }
        }
    }
}

/// Every kind of message: `kind` says which, `number` which one of it.
pub(crate) fn of_kind(kind: u8, number: u32) -> Vec<u8> {
    match kind {
        0 => garbage(number),
        1 => badly_signed(number),
        2 => too_large(),
        _ => good(number),
    }
}

pub(crate) fn is_too_large(event: &CheckerEvent) -> bool {
    matches!(event, CheckerEvent::Junk { why: Why::NoAtx(Junk::TooLarge { .. }), .. })
}
