//! Lies about space.

use crate::atx::Atx;
use crate::codec::{decode, encode};
use crate::signature::Signer;

/// A second ATX of the epoch: the same, paid to somebody else.
pub(super) fn other(signer: &Signer, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut atx = decode::<Atx>(bytes).ok().filter(|atx| atx.smesher == signer.node_id())?;
    atx.coinbase.0[0] ^= 1;
    atx.sign(signer);
    Some(encode(&atx))
}
