//! PoET proofs as everyone sees them: bytes, ids, and what breaks them.
#![allow(clippy::unwrap_used)]

use node::codec::{DecodeError, Fault, decode, encode};
use node::poet::{MAX_LEAVES, PROVEN_LEAVES, PoetProof, ProofError, Prover};
use proptest::prelude::*;

mod http;
mod local;

fn proof(leaves: u64) -> PoetProof {
    let mut prover = Prover::new([0x5a; 32]);
    prover.work(leaves);
    prover.prove().unwrap()
}

/// Bytes and id are those that are checked in: whoever changes the format finds out here, not on the network.
#[test]
fn bytes_and_id_are_those_checked_in() {
    let proof = proof(200);
    let bytes = encode(&proof);
    let now = format!(
        "{{\n\"bytes\": \"{}\",\n\"blake3\": \"{}\",\n\"id\": \"{}\"\n}}\n",
        hex::encode(&bytes),
        blake3::hash(&bytes).to_hex(),
        proof.id(),
    );
    assert_eq!(now, fixtures::golden("poet"), "if the format is to change, this is fixtures/golden/poet.json");
    assert_eq!(decode(&bytes), Ok(proof));
}

#[test]
fn a_proof_of_a_real_size() {
    let proof = proof(1 << 16);
    assert_eq!(proof.verify(), Ok(()));
    let bytes = encode(&proof).len();
    // 150 leaves, and of each a node a level but for the upper ones, which they share.
    assert!((35_000..60_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_change_of_any_field_is_refused() {
    let good = proof(1000);
    assert_eq!(good.verify(), Ok(()));
    let verdict = |change: &dyn Fn(&mut PoetProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        assert_ne!(proof.id(), good.id());
        proof.verify()
    };
    assert!(verdict(&|p| p.statement[0] ^= 1).is_err());
    assert!(verdict(&|p| p.root[31] ^= 1).is_err());
    for leaves in [0, MAX_LEAVES + 1, u64::MAX] {
        assert_eq!(verdict(&|p| p.leaves = leaves), Err(ProofError::Leaves { leaves }));
    }
    for leaves in [1, 149, 151, 999, 1001, 1024, 1025, MAX_LEAVES] {
        assert!(verdict(&|p| p.leaves = leaves).is_err(), "{leaves}");
    }
    for leaf in 0..PROVEN_LEAVES {
        assert_eq!(verdict(&|p| p.proven[leaf][5] ^= 8), Err(ProofError::Root), "{leaf}");
    }
    for node in 0..good.nodes.len() {
        let verdict = verdict(&|p| p.nodes[node][9] ^= 4);
        assert!(matches!(verdict, Err(ProofError::Root | ProofError::BeyondTheEnd { .. })), "{node}: {verdict:?}");
    }
    assert_eq!(verdict(&|p| p.proven.truncate(149)), Err(ProofError::Shown { shown: 149, wanted: 150 }));
    assert_eq!(verdict(&|p| p.proven.push([0; 32])), Err(ProofError::Shown { shown: 151, wanted: 150 }));
    assert!(verdict(&|p| p.proven.swap(0, 1)).is_err());
    assert_eq!(verdict(&|p| p.nodes.truncate(p.nodes.len() - 1)), Err(ProofError::TooFewNodes));
    assert_eq!(verdict(&|p| p.nodes.clear()), Err(ProofError::TooFewNodes));
    assert_eq!(verdict(&|p| p.nodes.push([0; 32])), Err(ProofError::TooManyNodes { extra: 1 }));
    assert!(verdict(&|p| p.nodes.swap(3, 4)).is_err());
}

/// Another round's tree under this round's statement.
#[test]
fn the_statement_is_in_every_hash() {
    let mut other = Prover::new([0x5b; 32]);
    other.work(300);
    let stolen = PoetProof { statement: [0x5a; 32], ..other.prove().unwrap() };
    assert_eq!(stolen.verify(), Err(ProofError::Root));
}

#[test]
fn lists_have_limits() {
    let long = |proof: PoetProof| match decode::<PoetProof>(&encode(&proof)) {
        Err(DecodeError { what: Fault::TooLong { max, .. }, .. }) => max,
        other => panic!("{other:?}"),
    };
    let mut proof = proof(2);
    proof.proven = vec![[0; 32]; 151];
    assert_eq!(long(proof.clone()), 150);
    proof.proven.clear();
    proof.nodes = vec![[0; 32]; 6001];
    assert_eq!(long(proof), 6000);
}

#[test]
fn a_cut_or_longer_encoding_is_refused() {
    let bytes = encode(&proof(7));
    for len in 0..bytes.len() {
        assert!(decode::<PoetProof>(&bytes[..len]).is_err(), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decode::<PoetProof>(&longer).unwrap_err().what, Fault::Trailing { extra: 1 });
}

proptest! {
    #[test]
    fn made_up_proofs_are_refused(
        statement: [u8; 32],
        leaves in prop_oneof![1_u64..400, 1..=MAX_LEAVES, any::<u64>()],
        root: [u8; 32],
        proven in prop::collection::vec(any::<[u8; 32]>(), 0..=150),
        nodes in prop::collection::vec(any::<[u8; 32]>(), 0..400),
    ) {
        let proof = PoetProof { statement, leaves, root, proven, nodes };
        prop_assert!(proof.verify().is_err());
        prop_assert_eq!(decode(&encode(&proof)), Ok(proof));
    }
}
