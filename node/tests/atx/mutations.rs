//! Bytes that somebody changed, and ATXs of any shape.

use node::atx::{Atx, Initial, Marriage, Membership, NiPost, SubPost};
use node::codec::{decode, encode};
use node::ids::{Address, AtxId, Challenge, Epoch, NodeId, Signature};
use post_core::proof::Proof;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::samples::all;

/// The part of an ATX that its id stands for.
fn unsigned(mut atx: Atx) -> Atx {
    (atx.smesher, atx.signature) = (NodeId([0; 32]), Signature([0; 64]));
    atx
}

/// Each bit of each sample, one at a time: whatever still decodes has one form, and if it is an ATX at all, it is
/// another one with another id. So nobody can make two ATXs out of one.
#[test]
fn no_bit_can_be_changed_unseen() {
    for (name, atx) in all() {
        let (bytes, id) = (encode(&atx), atx.id());
        let (mut decoded, mut renamed) = (0, 0);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(other) = decode::<Atx>(&changed) else { continue };
            decoded += 1;
            assert_eq!(encode(&other), changed, "{name}, bit {bit}");
            if other.check().is_ok() && unsigned(other.clone()) != unsigned(atx.clone()) {
                renamed += 1;
                assert_ne!(other.id(), id, "{name}, bit {bit}");
            }
        }
        assert!(decoded > bytes.len() * 7 && renamed > bytes.len() * 5, "{name}: {decoded}, {renamed}");
    }
}

/// Two forms of one claim would be two fraud proofs, or none.
#[test]
fn a_truncated_or_longer_atx_does_not_decode() {
    for (name, atx) in all() {
        let bytes = encode(&atx);
        for len in 0..bytes.len() {
            assert!(decode::<Atx>(&bytes[..len]).is_err(), "{name}, {len}");
        }
        assert!(decode::<Atx>(&[&bytes[..], &[0]].concat()).is_err(), "{name}");
    }
}

fn post() -> impl Strategy<Value = Proof> {
    (any::<u32>(), vec(any::<u8>(), 0..=800), any::<u64>()).prop_map(|(nonce, indices, pow)| Proof {
        nonce,
        indices,
        pow,
    })
}

fn sub_post() -> impl Strategy<Value = SubPost> {
    (any::<[u32; 3]>(), any::<u64>(), post()).prop_map(
        |([marriage_index, previous_index, num_units], leaf_index, post)| SubPost {
            marriage_index,
            previous_index,
            leaf_index,
            post,
            num_units,
        },
    )
}

fn nipost() -> impl Strategy<Value = NiPost> {
    (vec(any::<[u8; 32]>(), 0..=32), any::<[u8; 32]>(), vec(sub_post(), 0..4)).prop_map(|(nodes, challenge, posts)| {
        NiPost { membership: Membership { nodes }, challenge: Challenge(challenge), posts }
    })
}

fn marriage() -> impl Strategy<Value = Marriage> {
    (any::<[u8; 32]>(), any::<[[u8; 32]; 2]>()).prop_map(|(id, signature)| Marriage {
        reference_atx: AtxId(id),
        signature: Signature(signature.concat().try_into().unwrap()),
    })
}

fn initial() -> impl Strategy<Value = Initial> {
    (any::<[u8; 32]>(), post()).prop_map(|(id, post)| Initial { commitment_atx: AtxId(id), post })
}

fn atx() -> impl Strategy<Value = Atx> {
    let ids = vec(any::<[u8; 32]>(), 0..=256).prop_map(|ids| ids.into_iter().map(AtxId).collect::<Vec<_>>());
    let lists = (proptest::option::of(initial()), ids, vec(nipost(), 0..=4), vec(marriage(), 0..9));
    let rest = (
        any::<u32>(),
        any::<[u8; 24]>(),
        any::<u64>(),
        any::<[[u8; 32]; 4]>(),
        proptest::option::of(any::<[u8; 32]>()),
    );
    (lists, rest).prop_map(
        |((initial, previous_atxs, niposts, marriages), (epoch, coinbase, vrf_nonce, ids, married))| {
            let [positioning, smesher, r, s] = ids;
            Atx {
                publish_epoch: Epoch(epoch),
                positioning_atx: AtxId(positioning),
                coinbase: Address(coinbase),
                initial,
                previous_atxs,
                niposts,
                vrf_nonce,
                marriages,
                marriage_atx: married.map(AtxId),
                smesher: NodeId(smesher),
                signature: Signature([r, s].concat().try_into().unwrap()),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_atx_of_any_shape_comes_back(atx in atx()) {
        prop_assert_eq!(decode(&encode(&atx)), Ok(atx.clone()));
        // Neither the id nor the checks mind what is in it.
        let _ = (atx.id(), atx.check());
    }

    #[test]
    fn random_bytes_are_refused_or_have_one_form(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(atx) = decode::<Atx>(&bytes) {
            prop_assert_eq!(encode(&atx), bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Bytes overwritten, put in, taken out: never a panic, and what decodes has one form.
    #[test]
    fn changed_bytes_are_refused_or_have_one_form(
        sample in 0_usize..4,
        changes in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..5), 0_usize..5), 1..4),
    ) {
        let mut bytes = SAMPLES.with(|samples| samples[sample].clone());
        for (at, with, instead) in changes {
            let at = at.index(bytes.len());
            let end = (at + instead).min(bytes.len());
            bytes.splice(at..end, with);
        }
        if let Ok(atx) = decode::<Atx>(&bytes) {
            prop_assert_eq!(encode(&atx), bytes);
            let _ = (atx.id(), atx.check());
        }
    }
}

thread_local! {
    static SAMPLES: [Vec<u8>; 4] = all().map(|(_, atx)| encode(&atx));
}
