//! An ATX as it came: decoded, with its id and its bytes.

use std::sync::Arc;

use super::Atx;
use crate::codec::{DecodeError, decode, encode};
use crate::ids::AtxId;
use crate::signature::{Domain, Signed, Verifier};

/// No ATX is longer: 256 merged posts of the largest size, with all else at its limit, are 320 KB.
pub const MAX_ATX_BYTES: usize = 384 << 10;

/// Why bytes are no ATX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Junk {
    /// Longer than any ATX.
    #[error("{len} bytes are more than an ATX can have")]
    TooLarge {
        /// How many there are.
        len: usize,
    },
    /// No encoding of an ATX.
    #[error("no ATX: {0}")]
    Encoding(#[from] DecodeError),
}

/// An ATX as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The ATX.
    pub atx: Box<Atx>,
    /// Its id.
    pub id: AtxId,
    /// Its encoding.
    pub bytes: Arc<[u8]>,
}

impl Received {
    /// Decodes; nothing is said about signature or syntax.
    ///
    /// # Errors
    /// [`Junk`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Junk> {
        if bytes.len() > MAX_ATX_BYTES {
            return Err(Junk::TooLarge { len: bytes.len() });
        }
        let atx: Atx = decode(bytes)?;
        let id = atx.id();
        Ok(Self { atx: Box::new(atx), id, bytes: bytes.into() })
    }

    /// The positions of those whose signature is not the smesher's.
    #[must_use]
    pub fn wrongly_signed(verifier: &Verifier, all: &[Self]) -> Vec<usize> {
        verifier.wrong_among(&all.iter().map(Self::signed).collect::<Vec<_>>())
    }

    /// The id with the signature over it.
    #[must_use]
    pub fn signed(&self) -> Signed<'_> {
        let Atx { smesher: signer, signature, .. } = *self.atx;
        Signed { domain: Domain::Atx, signer, message: &self.id.0, signature }
    }
}

impl From<Atx> for Received {
    fn from(atx: Atx) -> Self {
        Self { id: atx.id(), bytes: encode(&atx).into(), atx: Box::new(atx) }
    }
}
