//! What bytes from anywhere must not do: one function a format, for a fuzzer and for the test that runs them over
//! mutated good ones.

use crate::atx::Atx;
use crate::codec::{Scale, decode, encode};
use crate::poet::PoetProof;

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
