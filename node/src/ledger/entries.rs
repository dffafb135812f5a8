//! What is kept of the ledger, and what its root is made of: the same bytes.

use std::collections::BTreeMap;

use super::accounts::Account;
use super::miners::{Accrued, Standing};
use crate::archive::Write;
use crate::codec::{DecodeError, Reader, Scale, encode, put_option};
use crate::ids::{Address, AtxId, Epoch, Layer, StateRoot};

/// A place in the tree that the root is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u16);

impl Bucket {
    /// So many there are.
    pub(super) const COUNT: usize = 4096;

    /// Where something with this name is.
    pub(super) fn of(name: &[u8]) -> Self {
        let hash = blake3::hash(name);
        let [low, high, ..] = *hash.as_bytes();
        Self(u16::from_le_bytes([low, high]) % Self::COUNT as u16)
    }

    /// Its position.
    pub(super) fn index(self) -> usize {
        self.0.into()
    }
}

/// What a key begins with.
const ACCOUNT: u8 = 0;
const ATX: u8 = 1;
const META: u8 = 2;

/// One kept thing.
pub(super) enum Entry {
    Account(Address, Account),
    Atx(AtxId, Standing),
    Meta(Meta),
}

/// Reads one kept thing.
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<Entry, DecodeError> {
    let (mut key, mut input) = (Reader::new(key), Reader::new(value));
    let entry = match key.variant(3)? {
        ACCOUNT => Entry::Account(Address::decode_from(&mut key)?, Account::decode_from(&mut input)?),
        ATX => Entry::Atx(AtxId::decode_from(&mut key)?, Standing::decode_from(&mut input)?),
        _ => Entry::Meta(Meta::decode_from(&mut input)?),
    };
    key.end()?;
    input.end()?;
    Ok(entry)
}

/// Appends an account's bytes: name, then value.
pub(super) fn account(address: Address, account: &Account, out: &mut Vec<u8>) {
    out.push(ACCOUNT);
    address.encode_to(out);
    account.encode_to(out);
}

/// Appends the bytes of what an ATX has earned: name, then value.
pub(super) fn atx(id: AtxId, standing: &Standing, out: &mut Vec<u8>) {
    out.push(ATX);
    id.encode_to(out);
    standing.encode_to(out);
}

pub(super) fn write_account(address: Address, account: Option<&Account>) -> Write {
    Write::Ledger { key: [&[ACCOUNT], &address.0[..]].concat(), value: account.map(encode) }
}

pub(super) fn write_atx(id: AtxId, standing: Option<&Standing>) -> Write {
    Write::Ledger { key: [&[ATX], &id.0[..]].concat(), value: standing.map(encode) }
}

/// What is there once. Sums are not kept but made again, so that they can't contradict what they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) last: Option<Layer>,
    pub(super) pot: u64,
    pub(super) burned: u64,
    pub(super) accrued: Accrued,
}

impl Meta {
    pub(super) fn write(&self) -> Write {
        Write::Ledger { key: vec![META], value: Some(encode(self)) }
    }

    /// The root of it and of all else.
    pub(super) fn root(&self, tree: [u8; 32]) -> StateRoot {
        StateRoot(blake3::Hasher::new().update(&tree).update(&encode(self)).finalize().into())
    }
}

impl Scale for Meta {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_option(out, self.last.as_ref());
        self.pot.encode_to(out);
        self.burned.encode_to(out);
        let Accrued { epoch, sum, rest, ends } = &self.accrued;
        put_option(out, epoch.as_ref());
        sum.to_le_bytes().encode_to(out);
        rest.to_le_bytes().encode_to(out);
        (ends.len() as u64).encode_to(out);
        for (epoch, sum) in ends {
            epoch.encode_to(out);
            sum.to_le_bytes().encode_to(out);
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (last, pot, burned) = (input.option()?, u64::decode_from(input)?, u64::decode_from(input)?);
        let epoch = input.option()?;
        let (sum, rest) = (u128::from_le_bytes(input.array()?), u128::from_le_bytes(input.array()?));
        let mut ends = BTreeMap::new();
        for _ in 0..input.compact(u32::MAX.into())? {
            ends.insert(Epoch::decode_from(input)?, u128::from_le_bytes(input.array()?));
        }
        Ok(Self { last, pot, burned, accrued: Accrued { epoch, sum, rest, ends } })
    }
}
