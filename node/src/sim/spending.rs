//! Miners spend what they earn: some send to others, and some, who lie, two things with one nonce.

use super::liars::Saying;
use super::member::Member;
use super::network::Audience;
use super::rng::Rng;
use crate::codec::encode;
use crate::ids::{Address, Signature};
use crate::signature::Signer;
use crate::source::Topic;
use crate::transaction::{Transaction, address_of};

/// Of a thousand layers a miner sends something in so many.
const SENDS_PERMILLE: u32 = 150;
const FEE: u64 = 100;

/// What somebody wants sent.
pub(super) enum Order {
    /// Given to its own node.
    Submit(Vec<u8>),
    /// Told to others past its own node.
    Say(Vec<Saying>),
}

/// What is to be sent at a layer's end, and by whom.
pub(super) fn orders(members: &[Member], rng: &mut Rng) -> Vec<(usize, Order)> {
    let wallets: Vec<Address> = members.iter().map(Member::coinbase).collect();
    let spends = |(i, member): (usize, &Member)| {
        let (node, signer) = (member.node.as_ref()?, member.signer.as_ref()?);
        let lucky = rng.chance(SENDS_PERMILLE);
        let to = wallets[rng.below(wallets.len() as u64) as usize];
        let account = node.account(member.coinbase());
        let amount = account.balance / 4;
        if !lucky || amount <= FEE {
            return None;
        }
        let transfer = |fee| transfer(signer, (to, amount, fee), account.nonce);
        let order = if member.is_honest() {
            Order::Submit(transfer(FEE))
        } else {
            // The second one pays more, so that it takes the first one's place where that is already.
            let say = |(fee, odd, after_ms)| Saying {
                topic: Topic::Transaction,
                bytes: transfer(fee),
                to: Audience::Half { odd },
                after_ms,
            };
            Order::Say([(FEE, false, 0), (2 * FEE, true, 0), (3 * FEE, false, 3_000)].map(say).into())
        };
        Some((i, order))
    };
    members.iter().enumerate().filter_map(spends).collect()
}

fn transfer(signer: &Signer, (to, amount, fee): (Address, u64, u64), nonce: u64) -> Vec<u8> {
    let (from, signature) = (signer.node_id(), Signature([0; 64]));
    let mut transfer = Transaction { from, to, amount, fee, nonce, signature };
    transfer.sign(signer);
    encode(&transfer)
}

/// The account of a miner's key.
pub(super) fn account_of(signer: &Signer) -> Address {
    address_of(&signer.node_id())
}
