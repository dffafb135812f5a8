//! Names of things. Those of the prover's world are post-core's.

use std::fmt;

pub use post_core::identity::{AtxId, Challenge, NodeId};

use crate::codec::scale_as_inner;

/// An epoch, counted from genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before it; `None` for the first.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A layer, counted from genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer(pub u32);

impl Layer {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        self.after(1)
    }

    /// So many layers later.
    #[must_use]
    pub fn after(self, layers: u32) -> Self {
        Self(self.0.saturating_add(layers))
    }

    /// So many layers earlier; not before layer 0.
    #[must_use]
    pub fn before(self, layers: u32) -> Self {
        Self(self.0.saturating_sub(layers))
    }

    /// Layers from `earlier` to this one; 0 when that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes!(
    /// A network: every signature is bound to it.
    GenesisId,
    20
);
bytes!(
    /// An account that is paid rewards.
    Address,
    24
);
bytes!(
    /// A ballot, and the proposal it is part of.
    BallotId,
    20
);
bytes!(
    /// A block.
    BlockId,
    20
);
bytes!(
    /// A transaction.
    TxId,
    32
);
bytes!(
    /// What an epoch's draws are made from, which nobody could know before.
    Beacon,
    4
);
bytes!(
    /// A ballot's votes on all layers before its own (NODE.md section 6).
    Opinion,
    32
);
bytes!(
    /// All accounts after a layer.
    StateRoot,
    32
);
bytes!(
    /// What a miner gives a PoET to have it in the round's statement.
    PoetChallenge,
    32
);
bytes!(
    /// An Ed25519 signature: R, then s.
    Signature,
    64
);

scale_as_inner!(Epoch, Layer, GenesisId, Address, PoetChallenge, Signature);
scale_as_inner!(BallotId, BlockId, TxId, Beacon, Opinion, StateRoot);

/// What stands where there is no ATX.
pub const NO_ATX: AtxId = AtxId([0; 32]);
