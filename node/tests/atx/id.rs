//! What an id stands for, and what can be shown to be in it.

use node::atx::{Atx, Field, poet_challenge};
use node::ids::{AtxId, Epoch, NO_ATX};

use crate::samples::{all, following, initial, merged, signer, verifier};

#[test]
fn one_field_can_be_shown() {
    for (name, atx) in all() {
        let id = atx.id();
        for field in Field::ALL {
            let proof = atx.prove(field);
            assert!(proof.holds(id), "{name}, {field:?}");
            assert!(!proof.holds(AtxId([1; 32])), "{name}, {field:?}");
            let mut other = proof.clone();
            other.leaf[0] ^= 1;
            assert!(!other.holds(id), "{name}, {field:?}");
            for level in 0..proof.path.len() {
                let mut other = proof.clone();
                other.path[level][0] ^= 1;
                assert!(!other.holds(id), "{name}, {field:?}, level {level}");
            }
        }
    }
}

#[test]
fn a_shown_field_is_the_whole_field_at_its_place() {
    let atx = following();
    let id = atx.id();
    assert_eq!(atx.prove(Field::Coinbase).leaf, atx.coinbase.0);
    assert_eq!(atx.prove(Field::PositioningAtx).leaf, atx.positioning_atx.0);
    assert_eq!(atx.prove(Field::MarriageAtx).leaf, [0; 32]);
    // A byte of the neighbour as a byte of the field gives the same hash, but is another length.
    let mut longer = atx.prove(Field::Coinbase);
    longer.leaf.push(longer.path[0].remove(0));
    assert!(!longer.holds(id));
    // An inner node is no field.
    let mut higher = atx.prove(Field::PublishEpoch);
    let inner = blake3::Hasher::new().update(&[1]).update(&higher.leaf).update(&higher.path.remove(0)).finalize();
    higher.leaf = inner.as_bytes().to_vec();
    assert!(!higher.holds(id));
    for (field, other) in [(Field::VrfNonce, Field::Marriages), (Field::NiPosts, Field::PreviousAtxs)] {
        let mut elsewhere = atx.prove(field);
        elsewhere.field = other;
        assert!(!elsewhere.holds(id), "{field:?}");
    }
}

/// Who signs is not part of the id: a fact that the handling of known ids has to live with.
#[test]
fn an_id_says_nothing_of_the_signer() {
    let carols = merged();
    let mut bobs = carols.clone();
    bobs.sign(&signer("bob"));
    assert_eq!(bobs.id(), carols.id());
    assert_ne!(bobs, carols);
    assert!(bobs.signature_holds(&verifier()));
    // But nobody can put a name to a signature.
    bobs.smesher = carols.smesher;
    assert!(!bobs.signature_holds(&verifier()));
}

#[test]
fn the_poet_challenge_is_of_what_is_known_before() {
    let challenge = |atx: &Atx| atx.poet_challenge(&atx.niposts[0].posts[0]);
    let first = initial("alice");
    let post = &first.initial.as_ref().unwrap().post;
    assert_eq!(challenge(&first), poet_challenge(Epoch(3), NO_ATX, first.positioning_atx, Some(post)));
    let next = following();
    assert_eq!(challenge(&next), poet_challenge(Epoch(64), first.id(), next.positioning_atx, None));
    // What comes after registration doesn't matter.
    let mut later = next.clone();
    later.niposts[0].posts[0].num_units += 1;
    later.coinbase.0[0] ^= 1;
    later.vrf_nonce += 1;
    assert_eq!(challenge(&later), challenge(&next));
    // Miners who were merged before share a challenge.
    let merged = merged();
    let [bob, alice] = &merged.niposts[0].posts[..] else { panic!("two posts") };
    let carol = &merged.niposts[1].posts[0];
    assert_eq!(merged.poet_challenge(bob), merged.poet_challenge(alice));
    assert_ne!(merged.poet_challenge(bob), merged.poet_challenge(carol));
}
