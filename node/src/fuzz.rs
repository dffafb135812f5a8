//! What bytes from anywhere must not do: one function a format, for a fuzzer and for the test that runs them over
//! mutated good ones.

use crate::atx::Atx;
use crate::ballot::Proposal;
use crate::beacon::BeaconMessage;
use crate::block::Block;
use crate::codec::{Scale, decode, encode};
use crate::fraud::FraudProof;
use crate::hare::HareMessage;
use crate::ids::GenesisId;
use crate::poet::PoetProof;
use crate::signature::Verifier;
use crate::transaction::Transaction;

/// `false` when bytes decode to something that encodes differently: then one value would have two encodings, or ids.
fn is_exact<T: Scale>(bytes: &[u8], then: impl FnOnce(&T)) -> bool {
    decode(bytes).map_or(true, |value| {
        then(&value);
        encode(&value) == bytes
    })
}

/// As an ATX: decoding, encoding, and all that is judged of one without others.
#[must_use]
pub fn decode_atx(bytes: &[u8]) -> bool {
    is_exact(bytes, |atx: &Atx| {
        // What comes of it is of no interest, only that something does.
        let _ = (atx.id(), atx.check());
    })
}

/// As a PoET proof: decoding, encoding, and its verification.
#[must_use]
pub fn decode_poet(bytes: &[u8]) -> bool {
    is_exact(bytes, |proof: &PoetProof| {
        let _ = proof.verify();
    })
}

fn verifier() -> Verifier {
    Verifier::new(GenesisId([0; 20]))
}

/// As a fraud proof: decoding, encoding, and whether it proves anything.
#[must_use]
pub fn decode_fraud(bytes: &[u8]) -> bool {
    is_exact(bytes, |proof: &FraudProof| {
        let _ = proof.check(&verifier());
    })
}

/// As a proposal, and so as a ballot: decoding, encoding, and all that is judged of one without others.
#[must_use]
pub fn decode_proposal(bytes: &[u8]) -> bool {
    is_exact(bytes, |proposal: &Proposal| {
        let _ = (proposal.ballot.id(), proposal.check(&verifier()));
    })
}

/// As a message of Hare's: decoding, encoding, and all that is judged of one without others.
#[must_use]
pub fn decode_hare(bytes: &[u8]) -> bool {
    is_exact(bytes, |message: &HareMessage| {
        let _ = message.is_sound(&verifier());
    })
}

/// As what is said of a beacon: decoding, encoding, and all that is judged of it without others.
#[must_use]
pub fn decode_beacon(bytes: &[u8]) -> bool {
    is_exact(bytes, |message: &BeaconMessage| {
        if let BeaconMessage::Vote(vote) = message {
            let _ = vote.is_sound(&verifier());
        }
    })
}

/// As a transaction: decoding, encoding, its name and signature.
#[must_use]
pub fn decode_transaction(bytes: &[u8]) -> bool {
    is_exact(bytes, |transaction: &Transaction| {
        let _ = (transaction.id(), transaction.signature_holds(&verifier()));
    })
}

/// As a block: decoding, encoding, its name.
#[must_use]
pub fn decode_block(bytes: &[u8]) -> bool {
    is_exact(bytes, |block: &Block| {
        let _ = block.id();
    })
}
