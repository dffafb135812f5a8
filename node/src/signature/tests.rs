use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use sha2::{Digest, Sha512};

use super::*;
use crate::crypto::ed25519::Factors;

const GENESIS: GenesisId = GenesisId([7; 20]);
const MESSAGE: &[u8] = b"a message";

fn verifier() -> Verifier {
    Verifier::new(GENESIS)
}

fn signed(signer: [u8; 32], signature: [u8; 64]) -> Signed<'static> {
    Signed { domain: Domain::Atx, signer: NodeId(signer), message: MESSAGE, signature: Signature(signature) }
}

/// The k of the equation, computed by hand.
fn hash(r: &[u8; 32], key: &[u8; 32]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(GENESIS.0);
    let hash = hash.chain_update([Domain::Atx as u8]).chain_update(MESSAGE);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// A signature whose R and s are given.
fn assemble(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// All encodings of points of small order: the canonical ones, then those that aren't.
fn small_order() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    // y = p and y = p + 1, that is 0 and 1, and x = 0 with a sign.
    let y = |first: u8, last: u8| {
        let mut bytes = [if first == 1 { 0 } else { 0xff }; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    all.extend([y(0xed, 0x7f), y(0xed, 0xff), y(0xee, 0x7f), y(0xee, 0xff), y(0x01, 0x80), y(0xec, 0xff)]);
    all
}

/// Key and R of mixed order: every small-order part added to both. Good by ZIP 215, all of them.
fn mixed_order() -> Vec<Signed<'static>> {
    let (x, r) = (Scalar::from(12345_u64), Scalar::from(67890_u64));
    let with = |scalar: Scalar, small: &EdwardsPoint| (scalar * BASE + small).compress().to_bytes();
    let pairs = EIGHT_TORSION.iter().flat_map(|key| EIGHT_TORSION.iter().map(move |r| (key, r)));
    pairs
        .map(|(small_key, small_r)| {
            let (key, point) = (with(x, small_key), with(r, small_r));
            signed(key, assemble(&point, (r + hash(&point, &key) * x).as_bytes()))
        })
        .collect()
}

/// Key and R both of small order, in every encoding, and s = 0.
fn no_order() -> Vec<Signed<'static>> {
    let all = small_order();
    let pairs = all.iter().flat_map(|key| all.iter().map(move |r| (key, r)));
    pairs.map(|(key, r)| signed(*key, assemble(r, &[0; 32]))).collect()
}

#[test]
fn network_and_domain_come_before_the_message() {
    let signer = Signer::new(GENESIS, &[1; 32]);
    let other = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    assert_eq!(signer.node_id().0, other.verifying_key().to_bytes());
    for (domain, byte) in
        [(Domain::Atx, 0), (Domain::Marriage, 5), (Domain::BeaconFirst, 10), (Domain::BeaconFollowup, 11)]
    {
        let bytes = [&GENESIS.0[..], &[byte], MESSAGE].concat();
        assert_eq!(signer.sign(domain, MESSAGE).0, other.sign(&bytes).to_bytes(), "{domain:?}");
    }
}

#[test]
fn a_signature_is_for_one_purpose_on_one_network() {
    let signer = Signer::new(GENESIS, &[1; 32]);
    let good = signed(signer.node_id().0, signer.sign(Domain::Atx, MESSAGE).0);
    assert!(verifier().holds(&good));
    assert!(!verifier().holds(&Signed { domain: Domain::Ballot, ..good }));
    assert!(!verifier().holds(&Signed { message: b"another", ..good }));
    assert!(!verifier().holds(&Signed { signer: Signer::new(GENESIS, &[2; 32]).node_id(), ..good }));
    assert!(!Verifier::new(GenesisId([8; 20])).holds(&good));
}

/// What other rules refuse, ZIP 215 takes, so that batches can't differ.
#[test]
fn small_order_parts_change_nothing() {
    let (mixed, none) = (mixed_order(), no_order());
    assert_eq!((mixed.len(), none.len()), (64, 14 * 14));
    for signed in mixed.iter().chain(&none) {
        assert!(verifier().holds(signed), "{signed:?}");
        assert!(verifier().all_hold(std::slice::from_ref(signed)), "{signed:?}");
    }
    let point = |bytes: &[u8]| CompressedEdwardsY::from_slice(bytes).unwrap().decompress().unwrap();
    let without_cofactor = mixed.iter().filter(|signed| {
        let (r, s) = signed.signature.0.split_at(32);
        let k = hash(r.try_into().unwrap(), &signed.signer.0);
        let s = Scalar::from_canonical_bytes(s.try_into().unwrap()).unwrap();
        s * BASE == point(r) + k * point(&signed.signer.0)
    });
    let without_cofactor = without_cofactor.count();
    assert!((1..64).contains(&without_cofactor), "{without_cofactor}: the cases are those where rules differ");
}

/// The order of the group, as bytes: −1, plus 1.
fn order() -> [u8; 32] {
    let mut bytes = (-Scalar::ONE).to_bytes();
    bytes[0] += 1;
    bytes
}

fn plus(a: &[u8], b: &[u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|i| {
        let sum = u16::from(a[i]) + u16::from(b[i]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

/// A signature nobody takes: one list with the reason each is there.
fn bad() -> Vec<Signed<'static>> {
    let signer = Signer::new(GENESIS, &[1; 32]);
    let good = signer.sign(Domain::Atx, MESSAGE).0;
    let (r, s) = (good[..32].try_into().unwrap(), &good[32..]);
    // y = 2 is on no point of the curve.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert!(CompressedEdwardsY(no_point).decompress().is_none());
    vec![
        // s once more around the group.
        signed(signer.node_id().0, assemble(r, &plus(s, &order()))),
        signed(small_order()[0], assemble(&small_order()[0], &order())),
        signed(signer.node_id().0, assemble(&no_point, s.try_into().unwrap())),
        signed(no_point, good),
        // s off by one.
        signed(signer.node_id().0, assemble(r, &plus(s, &Scalar::ONE.to_bytes()))),
        Signed { message: b"another", ..signed(signer.node_id().0, good) },
    ]
}

#[test]
fn a_batch_gives_the_verdicts_of_its_signatures() {
    let bad = bad();
    for signed in &bad {
        assert!(!verifier().holds(signed), "{signed:?}");
        assert!(!verifier().all_hold(std::slice::from_ref(signed)), "{signed:?}");
    }
    let mut all: Vec<_> = mixed_order().into_iter().chain(no_order()).collect();
    assert!(verifier().wrong_among(&all).is_empty());
    assert!(verifier().wrong_among(&[]).is_empty());
    for (i, bad) in bad.iter().enumerate() {
        all.insert(40 * i, *bad);
    }
    assert_eq!(verifier().wrong_among(&all), [0, 40, 80, 120, 160, 200]);
}

/// Two wrong signatures whose errors are each other's negative: an unweighted sum would pass them.
#[test]
fn errors_do_not_cancel_out() {
    let signer = Signer::new(GENESIS, &[1; 32]);
    let shifted = |message, by: Scalar| {
        let good = signer.sign(Domain::Atx, message).0;
        let s = Scalar::from_canonical_bytes(good[32..].try_into().unwrap()).unwrap() + by;
        let signature = Signature(assemble(good[..32].try_into().unwrap(), s.as_bytes()));
        Signed { message, signature, ..signed(signer.node_id().0, good) }
    };
    let pair = [shifted(b"one", Scalar::ONE), shifted(b"two", -Scalar::ONE)];
    assert!(!verifier().all_hold(&pair));
    assert_eq!(verifier().wrong_among(&pair), [0, 1]);
}

/// A liar who knew the factors beforehand would choose errors that they cancel out.
#[test]
fn every_factor_depends_on_all_that_is_checked() {
    let good = signed([1; 32], [2; 64]);
    let factors = |last| {
        let mut factors = [0; 32];
        Factors(hash_of(&[good, good, last]).finalize_xof()).0.fill(&mut factors);
        factors
    };
    let changed = [
        Signed { signer: NodeId([3; 32]), ..good },
        Signed { signature: Signature([3; 64]), ..good },
        Signed { message: b"another", ..good },
        Signed { domain: Domain::Hare, ..good },
    ];
    for changed in changed {
        let (before, after) = (factors(good), factors(changed));
        assert_ne!(before[..16], after[..16], "{changed:?}");
        assert_ne!(before[16..], after[16..], "{changed:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_bit_is_seen_alike(seed: [u8; 32], bit in 0_usize..768, among in 0_usize..8) {
        let signer = Signer::new(GENESIS, &seed);
        let good = signed(signer.node_id().0, signer.sign(Domain::Atx, MESSAGE).0);
        let mut changed = good;
        match bit / 8 {
            byte @ 0..64 => changed.signature.0[byte] ^= 1 << (bit % 8),
            byte => changed.signer.0[byte - 64] ^= 1 << (bit % 8),
        }
        prop_assert!(!verifier().holds(&changed));
        let mut all = vec![good; 8];
        all[among] = changed;
        prop_assert_eq!(verifier().wrong_among(&all), [among]);
    }
}
