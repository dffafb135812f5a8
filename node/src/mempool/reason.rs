//! What the pool says to a transaction.

use crate::codec::DecodeError;
use crate::source::Verdict;

/// Why a transaction is taken or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is in the pool now.
    #[error("taken")]
    Taken,
    /// No transaction is so long.
    #[error("longer than a transaction may be")]
    TooLong,
    /// It is none.
    #[error("no transaction: {0}")]
    Encoding(DecodeError),
    /// The account's key did not sign it.
    #[error("the signature is wrong")]
    Signature,
    /// It is there.
    #[error("known already")]
    Known,
    /// No key has this address, so what is sent there is lost.
    #[error("no key has the recipient's address")]
    Recipient,
    /// A transaction with this nonce was applied.
    #[error("the nonce is used; the next one is {next}")]
    Spent {
        /// The account's next nonce.
        next: u64,
    },
    /// Too many are to come before it.
    #[error("the nonce is too far ahead; the next one is {next}")]
    Ahead {
        /// The account's next nonce.
        next: u64,
    },
    /// The account has less than this and the others that wait would take.
    #[error("the account has {balance} smidge, less than all its transactions take")]
    Balance {
        /// What it has.
        balance: u64,
    },
    /// Another one with this nonce waits, and pays as much.
    #[error("another one with this nonce waits and pays {fee} smidge; an eighth more replaces it")]
    Outbid {
        /// What it pays.
        fee: u64,
    },
    /// All that wait pay as much.
    #[error("no room; the least that another one pays is {fee} smidge, an eighth more takes its place")]
    Full {
        /// What it pays.
        fee: u64,
    },
}

impl Reason {
    /// What becomes of the message. Rejected is only what its sender could know to be wrong.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Taken => Verdict::Accept,
            Self::TooLong | Self::Encoding(_) | Self::Signature => Verdict::Reject,
            _ => Verdict::Ignore,
        }
    }
}
