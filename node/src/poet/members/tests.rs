use proptest::prelude::*;

use super::*;

fn challenge(number: u64) -> PoetChallenge {
    PoetChallenge(blake3::hash(&number.to_le_bytes()).into())
}

fn members(count: u64) -> Members {
    Members::new(&(0..count).map(challenge).collect::<Vec<_>>()).unwrap()
}

fn leaves(positions: &[u64]) -> BTreeMap<u64, PoetChallenge> {
    positions.iter().map(|&position| (position, challenge(position))).collect()
}

/// By the definition, one node at a time.
fn naive(count: u64, height: u32, index: u64) -> [u8; 32] {
    match (index << height >= count, height) {
        (true, _) => [0; 32],
        (false, 0) => challenge(index).0,
        (false, _) => {
            let children = [naive(count, height - 1, 2 * index), naive(count, height - 1, 2 * index + 1)];
            blake3::hash(&[&[1][..], &children[0], &children[1]].concat()).into()
        }
    }
}

#[test]
fn the_root_is_what_the_definition_says() {
    for (count, depth) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (9, 4), (16, 4), (37, 6)] {
        assert_eq!(members(count).root(), naive(count, depth, 0), "{count}");
    }
}

#[test]
fn a_proof_of_one_is_its_siblings_from_the_leaf_upwards() {
    let nodes = members(5).prove(&[2]).unwrap().nodes;
    assert_eq!(nodes, [naive(5, 0, 3), naive(5, 1, 0), naive(5, 2, 1)]);
    let nodes = members(5).prove(&[4]).unwrap().nodes;
    assert_eq!(nodes, [[0; 32], [0; 32], naive(5, 2, 0)]);
}

#[test]
fn a_proof_of_several_lists_nodes_as_parents_are_complete() {
    let nodes = members(10).prove(&[7, 0, 4]).unwrap().nodes;
    assert_eq!(nodes, [naive(10, 0, 1), naive(10, 1, 1), naive(10, 0, 5), naive(10, 0, 6), naive(10, 3, 1)]);
}

#[test]
fn a_lonely_member_is_the_root() {
    let round = members(1);
    assert_eq!(round.prove(&[0]).unwrap().nodes, [] as [[u8; 32]; 0]);
    assert_eq!(verify(&round.root(), &leaves(&[0]), &[]), Ok(()));
    // A position that the tree does not have, with the same nodes.
    let elsewhere = BTreeMap::from([(1, challenge(0))]);
    assert_eq!(verify(&round.root(), &elsewhere, &[]), Err(MembershipError::TooFewNodes));
}

#[test]
fn what_is_no_round_is_none() {
    assert_eq!(Members::new(&[]).unwrap_err(), MembershipError::Nobody);
    let zeros = [challenge(0), PoetChallenge([0; 32])];
    assert_eq!(Members::new(&zeros).unwrap_err(), MembershipError::Zeros { index: 1 });
    let crowd = vec![challenge(0); MAX_MEMBERS + 1];
    assert_eq!(Members::new(&crowd).unwrap_err(), MembershipError::Crowd { members: MAX_MEMBERS + 1 });
    assert_eq!(members(3).prove(&[]).unwrap_err(), MembershipError::Nobody);
    assert_eq!(members(3).prove(&[0, 3]).unwrap_err(), MembershipError::NoSuchMember { index: 3 });
}

#[test]
fn members_know_their_place() {
    let round = members(6);
    assert_eq!(round.position(&challenge(4)), Some(4));
    assert_eq!(round.position(&challenge(6)), None);
    assert_eq!(round.count(), 6);
}

#[test]
fn padding_is_no_member() {
    let round = members(5);
    let nodes = [challenge(4).0, [0; 32], naive(5, 2, 0)];
    let padding = BTreeMap::from([(5, PoetChallenge([0; 32]))]);
    assert_eq!(verify(&round.root(), &padding, &nodes), Err(MembershipError::Zeros { index: 5 }));
}

#[test]
fn a_node_is_no_member() {
    let round = members(8);
    let node = PoetChallenge(naive(8, 1, 2));
    let nodes = [naive(8, 1, 3), naive(8, 2, 0)];
    // The hashes fit; it is the challenge that can't be had: a node's preimage is 65 B, a registration is longer.
    assert_eq!(verify(&round.root(), &BTreeMap::from([(2, node)]), &nodes), Ok(()));
    let shortest = crate::codec::encode(&[0_u8; 65]).len() + 1;
    let registration = [&crate::codec::encode(&crate::ids::Epoch(0))[..], &[0; 64], &[0]].concat();
    assert_eq!(registration.len(), shortest, "epoch, two ids and no initial post");
    assert_ne!(registration.len(), 65);
}

#[test]
fn a_position_beyond_the_tree_is_refused() {
    let round = members(8);
    let nodes = round.prove(&[3]).unwrap().nodes;
    assert_eq!(verify(&round.root(), &leaves(&[3]), &nodes), Ok(()));
    // The same path one tree further right, where the neighbours stand on the same sides.
    for position in [11, 8 + 3 + 16, (1 << 20) - 5] {
        let elsewhere = BTreeMap::from([(position, challenge(3))]);
        assert!(verify(&round.root(), &elsewhere, &nodes).is_err(), "{position}");
    }
    for position in [1 << 20, 1 << 63, u64::MAX] {
        let nowhere = BTreeMap::from([(position, challenge(3))]);
        assert_eq!(verify(&round.root(), &nowhere, &nodes), Err(MembershipError::NoSuchMember { index: position }));
    }
    // A second leaf beyond the root of the first must not go unseen.
    let mut two = leaves(&[3]);
    two.insert(11, challenge(99));
    assert!(verify(&round.root(), &two, &nodes).is_err());
}

#[test]
fn members_far_apart_do_not_fit_an_atx() {
    let round = members(1024);
    let apart: Vec<u64> = (0..8).map(|i| i * 128).collect();
    assert_eq!(round.prove(&apart).unwrap_err(), MembershipError::TooManyNodes { nodes: 8 * 7 });
    let together: Vec<u64> = (256..512).collect();
    let nodes = round.prove(&together).unwrap().nodes;
    assert_eq!(nodes.len(), 2);
    assert_eq!(verify(&round.root(), &leaves(&together), &nodes), Ok(()));
    let many = vec![[0; 32]; 33];
    assert_eq!(verify(&round.root(), &leaves(&[0]), &many), Err(MembershipError::TooManyNodes { nodes: 33 }));
    assert_eq!(verify(&round.root(), &BTreeMap::new(), &[]), Err(MembershipError::Nobody));
}

proptest! {
    #[test]
    fn members_are_members_and_nobody_else(
        count in 1_u64..200,
        picks in prop::collection::btree_set(0_u64..200, 1..6),
        (which, byte, bit) in (0_usize..64, 0_usize..32, 0_u8..8),
    ) {
        let picks: Vec<u64> = picks.into_iter().map(|pick| pick % count).collect();
        let round = members(count);
        let Ok(membership) = round.prove(&picks) else { return Err(TestCaseError::reject("too far apart")) };
        let (root, shown, nodes) = (round.root(), leaves(&picks), membership.nodes);
        prop_assert_eq!(verify(&root, &shown, &nodes), Ok(()));

        // Another challenge, another place, another root, a node changed, one less, one more.
        let (&first, &member) = shown.first_key_value().unwrap();
        let mut other = shown.clone();
        other.insert(first, challenge(1000));
        prop_assert_eq!(verify(&root, &other, &nodes), Err(MembershipError::Root));
        let mut moved = shown.clone();
        moved.remove(&first);
        if moved.insert(first ^ 1, member).is_none() {
            prop_assert!(verify(&root, &moved, &nodes).is_err());
        }
        prop_assert_eq!(verify(&members(count + 1).root(), &shown, &nodes), Err(MembershipError::Root));
        if !nodes.is_empty() {
            let mut changed = nodes.clone();
            changed[which % nodes.len()][byte] ^= 1 << bit;
            prop_assert_eq!(verify(&root, &shown, &changed), Err(MembershipError::Root));
            prop_assert!(verify(&root, &shown, &nodes[1..]).is_err());
            prop_assert!(verify(&root, &shown, &nodes[..nodes.len() - 1]).is_err());
        }
        let more = [&nodes[..], &[[7; 32]]].concat();
        prop_assert!(verify(&root, &shown, &more).is_err());
        // What a larger tree would have to its right.
        let padded = [&nodes[..], &[[0; 32]]].concat();
        prop_assert!(verify(&root, &shown, &padded).is_err());
    }

    #[test]
    fn garbage_is_no_proof(
        root: [u8; 32],
        leaves in prop::collection::btree_map(any::<u64>(), any::<[u8; 32]>().prop_map(PoetChallenge), 0..4),
        nodes in prop::collection::vec(any::<[u8; 32]>(), 0..40),
    ) {
        prop_assert!(verify(&root, &leaves, &nodes).is_err());
    }
}
