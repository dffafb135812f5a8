//! Transactions: an account sends to another. There are no others, and no VM.

use crate::codec::{DecodeError, Reader, Scale, encode};
use crate::ids::{Address, NodeId, Signature, TxId};
use crate::signature::{Domain, Signed, Signer, Verifier};

/// So many bytes are a transaction at most.
pub const MAX_TX_BYTES: usize = 256;

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The key of the account that pays; its address is [`address_of`] it.
    pub from: NodeId,
    /// Who gets `amount`.
    pub to: Address,
    /// In smidge.
    pub amount: u64,
    /// What the block's proposers get, in smidge.
    pub fee: u64,
    /// How many transactions of the account were applied before.
    pub nonce: u64,
    /// By `from` over all before it, for [`Domain::Transaction`].
    pub signature: Signature,
}

/// The address of a key: four zeros and 20 B of its hash.
#[must_use]
pub fn address_of(key: &NodeId) -> Address {
    let mut address = Address([0; 24]);
    address.0[4..].copy_from_slice(&blake3::hash(&key.0).as_bytes()[..20]);
    address
}

/// Whether an address could be a key's.
#[must_use]
pub fn is_account(address: &Address) -> bool {
    address.0.starts_with(&[0; 4])
}

impl Transaction {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.from.encode_to(&mut out);
        self.to.encode_to(&mut out);
        self.amount.encode_to(&mut out);
        self.fee.encode_to(&mut out);
        self.nonce.encode_to(&mut out);
        out
    }

    /// Its name: of all its bytes.
    #[must_use]
    pub fn id(&self) -> TxId {
        TxId(blake3::hash(&encode(self)).into())
    }

    /// Signs; `from` becomes the signer.
    pub fn sign(&mut self, signer: &Signer) {
        self.from = signer.node_id();
        self.signature = signer.sign(Domain::Transaction, &self.signed_bytes());
    }

    /// Whether the signature is the account's.
    #[must_use]
    pub fn signature_holds(&self, verifier: &Verifier) -> bool {
        let message = &self.signed_bytes()[..];
        verifier.holds(&Signed { domain: Domain::Transaction, signer: self.from, message, signature: self.signature })
    }
}

impl Scale for Transaction {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.signed_bytes());
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: NodeId::decode_from(input)?,
            to: Address::decode_from(input)?,
            amount: u64::decode_from(input)?,
            fee: u64::decode_from(input)?,
            nonce: u64::decode_from(input)?,
            signature: Signature::decode_from(input)?,
        })
    }
}
