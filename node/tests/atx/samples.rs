//! One ATX of each kind, the same on every run.

use node::atx::{Atx, Initial, Marriage, Membership, NiPost, SubPost};
use node::ids::{Address, AtxId, Challenge, Epoch, GenesisId, NO_ATX, NodeId, Signature};
use node::signature::{Domain, Signer, Verifier};
use post_core::proof::Proof;

pub(crate) const GENESIS: GenesisId = GenesisId([0x9e; 20]);

pub(crate) fn verifier() -> Verifier {
    Verifier::new(GENESIS)
}

/// Bytes that follow from a name.
pub(crate) fn bytes<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn signer(name: &str) -> Signer {
    Signer::new(GENESIS, &bytes(name))
}

/// As large as the one of a miner with four units: 37 indices of 35 bits.
fn post(name: &str) -> Proof {
    let [a, b, c, d, e] = bytes(name);
    Proof { nonce: u32::from(a), indices: bytes::<162>(name).to_vec(), pow: u32::from_le_bytes([b, c, d, e]).into() }
}

fn sub_post(name: &str, marriage_index: u32, previous_index: u32) -> SubPost {
    let leaf_index = u64::from_le_bytes(bytes(name)) % 200_000;
    SubPost { marriage_index, previous_index, leaf_index, post: post(name), num_units: 4 + marriage_index }
}

/// Of a round with 200,000 members.
fn nipost(name: &str, posts: Vec<SubPost>) -> NiPost {
    let nodes = (0..18).map(|i| bytes(&format!("{name} node {i}"))).collect();
    NiPost { membership: Membership { nodes }, challenge: Challenge(bytes(name)), posts }
}

fn signed(mut atx: Atx, name: &str) -> Atx {
    atx.sign(&signer(name));
    atx
}

/// A miner's first.
pub(crate) fn initial(name: &str) -> Atx {
    let atx = Atx {
        publish_epoch: Epoch(3),
        positioning_atx: AtxId(bytes("positioning")),
        coinbase: Address(bytes("coinbase")),
        initial: Some(Initial { commitment_atx: AtxId(bytes("commitment")), post: post("initial post") }),
        previous_atxs: vec![],
        niposts: vec![nipost("round 3", vec![sub_post(name, 0, 0)])],
        vrf_nonce: 12_345_678_901,
        marriages: vec![],
        marriage_atx: None,
        smesher: NodeId([0; 32]),
        signature: Signature([0; 64]),
    };
    signed(atx, name)
}

/// Alice's second.
pub(crate) fn following() -> Atx {
    let atx = Atx {
        publish_epoch: Epoch(64),
        initial: None,
        previous_atxs: vec![initial("alice").id()],
        niposts: vec![nipost("round 64", vec![sub_post("alice 64", 0, 0)])],
        ..initial("alice")
    };
    signed(atx, "alice")
}

/// Alice's third, in which Bob and Carol marry her.
pub(crate) fn marrying() -> Atx {
    let alice = signer("alice").node_id();
    let marriage = |name, reference_atx| {
        let signature = signer(name).sign(Domain::Marriage, &alice.0);
        Marriage { reference_atx, signature }
    };
    let atx = Atx {
        publish_epoch: Epoch(65),
        previous_atxs: vec![following().id()],
        marriages: vec![
            marriage("bob", initial("bob").id()),
            marriage("alice", NO_ATX),
            marriage("carol", initial("carol").id()),
        ],
        ..following()
    };
    signed(atx, "alice")
}

/// Of the three, signed by Carol, from two rounds; Alice and Bob share a previous ATX.
pub(crate) fn merged() -> Atx {
    let atx = Atx {
        publish_epoch: Epoch(20_000),
        previous_atxs: vec![AtxId(bytes("merged before")), AtxId(bytes("carol before"))],
        niposts: vec![
            nipost("round a", vec![sub_post("merged bob", 0, 0), sub_post("merged alice", 1, 0)]),
            nipost("round b", vec![sub_post("merged carol", 2, 1)]),
        ],
        vrf_nonce: u64::MAX,
        marriages: vec![],
        marriage_atx: Some(marrying().id()),
        ..following()
    };
    signed(atx, "carol")
}

/// The largest set of miners, in one round, all merged before.
pub(crate) fn crowd() -> Atx {
    let posts = (0..256).map(|i| sub_post(&format!("crowd {i}"), i, 0)).collect();
    let atx =
        Atx { previous_atxs: vec![AtxId(bytes("merged before"))], niposts: vec![nipost("round c", posts)], ..merged() };
    signed(atx, "carol")
}

pub(crate) fn all() -> [(&'static str, Atx); 4] {
    [
        ("atx_initial", initial("alice")),
        ("atx_following", following()),
        ("atx_marrying", marrying()),
        ("atx_merged", merged()),
    ]
}
