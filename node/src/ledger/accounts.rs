//! Balances, and what transactions do to them.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::{self, Bucket};
use crate::archive::Write;
use crate::codec::{DecodeError, Reader, Scale};
use crate::ids::Address;
use crate::transaction::{Transaction, address_of, is_account};

/// An account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// In smidge.
    pub balance: u64,
    /// How many transactions of it were applied: the next one's nonce.
    pub nonce: u64,
}

impl Scale for Account {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.balance.encode_to(out);
        self.nonce.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { balance: u64::decode_from(input)?, nonce: u64::decode_from(input)? })
    }
}

/// All that ever had anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    /// Buckets hold those whose addresses hash alike, see [`super::tree`].
    all: BTreeMap<(Bucket, Address), Account>,
    /// The sum of their balances: no more than can be issued, so it fits.
    held: u64,
    changed: BTreeSet<(Bucket, Address)>,
}

impl Accounts {
    pub(super) fn get(&self, address: Address) -> Account {
        self.all.get(&(Bucket::of(&address.0), address)).copied().unwrap_or_default()
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// As it was kept.
    pub(super) fn restore(&mut self, address: Address, account: Account) -> Bucket {
        let bucket = Bucket::of(&address.0);
        self.all.insert((bucket, address), account);
        self.held = self.held.saturating_add(account.balance);
        bucket
    }

    fn change(&mut self, address: Address, change: impl FnOnce(&mut Account)) {
        let key = (Bucket::of(&address.0), address);
        change(self.all.entry(key).or_default());
        self.changed.insert(key);
    }

    /// Pays a reward.
    pub(super) fn credit(&mut self, address: Address, amount: u64) {
        if amount > 0 {
            self.held = self.held.saturating_add(amount);
            self.change(address, |account| account.balance = account.balance.saturating_add(amount));
        }
    }

    /// Applies a transaction and takes its fee off; nothing happens if it can't be applied.
    pub(super) fn transfer(&mut self, tx: &Transaction) -> Option<u64> {
        let from = address_of(&tx.from);
        let account = self.get(from);
        let cost = tx.amount.checked_add(tx.fee)?;
        let balance = account.balance.checked_sub(cost)?;
        let nonce = account.nonce.checked_add(1)?;
        if tx.nonce != account.nonce || !is_account(&tx.to) {
            return None;
        }
        self.change(from, |account| *account = Account { balance, nonce });
        self.held = self.held.saturating_sub(cost);
        self.credit(tx.to, tx.amount);
        Some(tx.fee)
    }

    /// What has changed since the last call.
    pub(super) fn changes(&mut self, buckets: &mut BTreeSet<Bucket>, writes: &mut Vec<Write>) {
        for key in std::mem::take(&mut self.changed) {
            buckets.insert(key.0);
            writes.push(entries::write_account(key.1, self.all.get(&key)));
        }
    }

    pub(super) fn hash_bucket(&self, bucket: Bucket, leaf: &mut blake3::Hasher) {
        let all = self.all.range((bucket, Address([0; 24]))..=(bucket, Address([0xff; 24])));
        let mut bytes = Vec::new();
        for ((_, address), account) in all {
            bytes.clear();
            entries::account(*address, account, &mut bytes);
            leaf.update(&bytes);
        }
    }
}
