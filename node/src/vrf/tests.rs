use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::scalar::clamp_integer;
use proptest::prelude::*;
use sha2::{Digest, Sha512};

use super::*;

struct Vector {
    seed: &'static str,
    key: &'static str,
    message: &'static [u8],
    proof: &'static str,
    output: &'static str,
}

/// RFC 9381, appendix B.4, examples 19 to 21.
const VECTORS: [Vector; 3] = [
    Vector {
        seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message: b"",
        proof: "7d9c633ffeee27349264cf5c667579fc583b4bda63ab71d001f89c10003ab46f14adf9a3cd8b8412d9038531e865c341\
                cafa73589b023d14311c331a9ad15ff2fb37831e00f0acaa6d73bc9997b06501",
        output: "9d574bf9b8302ec0fc1e21c3ec5368269527b87b462ce36dab2d14ccf80c53cc\
                 cf6758f058c5b1c856b116388152bbe509ee3b9ecfe63d93c3b4346c1fbc6c54",
    },
    Vector {
        seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message: b"\x72",
        proof: "47b327393ff2dd81336f8a2ef10339112401253b3c714eeda879f12c509072ef055b48372bb82efbdce8e10c8cb9a2f9\
                d60e93908f93df1623ad78a86a028d6bc064dbfc75a6a57379ef855dc6733801",
        output: "38561d6b77b71d30eb97a062168ae12b667ce5c28caccdf76bc88e093e463598\
                 7cd96814ce55b4689b3dd2947f80e59aac7b7675f8083865b46c89b2ce9cc735",
    },
    Vector {
        seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        key: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message: b"\xaf\x82",
        proof: "926e895d308f5e328e7aa159c06eddbe56d06846abf5d98c2512235eaa57fdce35b46edfc655bc828d44ad09d1150f31\
                374e7ef73027e14760d42e77341fe05467bb286cc2c9d7fde29120a0b2320d04",
        output: "121b7f9b9aaaa29099fc04a94ba52784d44eac976dd1a3cca458733be5cd090a\
                 7b5fbd148444f17f8daf1fb55cb04b1ae85a626e30a54b4b0f8abf4a43314a58",
    },
];

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn node_id(seed: &[u8; 32]) -> NodeId {
    NodeId(ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes())
}

#[test]
fn vectors_of_the_rfc() {
    for v in VECTORS {
        let (seed, key) = (array(v.seed), NodeId(array(v.key)));
        assert_eq!(node_id(&seed), key, "the key is the Ed25519 key");
        let proof = VrfKey::new(&seed).unwrap().prove(v.message).unwrap();
        assert_eq!(hex::encode(proof.0), v.proof);
        assert_eq!(verify(&key, v.message, &proof), Ok(array(v.output)));
    }
}

#[test]
fn another_key_or_message_does_not_hold() {
    let [one, two, _] = VECTORS;
    let proof = VrfProof(array(one.proof));
    assert_eq!(verify(&NodeId(array(one.key)), b"x", &proof), Err(VrfError::Proof));
    assert_eq!(verify(&NodeId(array(two.key)), one.message, &proof), Err(VrfError::Proof));
}

/// The library takes s + order for s, and so would give one draw two proofs.
#[test]
fn s_has_one_form() {
    let [v, ..] = VECTORS;
    let mut proof: [u8; 80] = array(v.proof);
    // The order is −1 + 1; its lowest byte is far from 255.
    let mut order = (-Scalar::ONE).to_bytes();
    order[0] += 1;
    let mut carry = 0;
    for (byte, order) in proof[48..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let key = EdVrfEdwards25519Ell2PublicKey::from_slice(&array::<32>(v.key)).unwrap();
    assert!(key.verify(v.message, EdVrfProof::decode_pi(&proof).unwrap()).is_ok(), "the library alone takes it");
    assert_eq!(verify(&NodeId(array(v.key)), v.message, &VrfProof(proof)), Err(VrfError::Scalar));
}

/// A liar's proof whose point is Γ + `small`: k is tried until the challenge is a multiple of 8 and hides the difference.
fn proof_beside(seed: &[u8; 32], message: &[u8], small: &EdwardsPoint) -> VrfProof {
    let hashed = Sha512::digest(seed);
    let x = Scalar::from_bytes_mod_order(clamp_integer(hashed[..32].try_into().unwrap()));
    let y = x * BASE;
    let h = EdwardsPoint::encode_to_curve::<Sha512>(
        &[y.compress().as_bytes(), message],
        &[b"ECVRF_edwards25519_XMD:SHA-512_ELL2_NU_\x04"],
    );
    let gamma = x * h + small;
    for k in 1_u64.. {
        let k = Scalar::from(k);
        let mut challenge = Sha512::new().chain_update([4, 2]);
        for point in [y, h, gamma, k * BASE, k * h] {
            challenge.update(point.compress().as_bytes());
        }
        let c = &challenge.chain_update([0]).finalize()[..16];
        if c[0] % 8 == 0 {
            let s = k + Scalar::from(u128::from_le_bytes(c.try_into().unwrap())) * x;
            let proof = [&gamma.compress().as_bytes()[..], c, s.as_bytes()].concat();
            return VrfProof(proof.try_into().unwrap());
        }
    }
    unreachable!("one k in eight does")
}

/// Draws are made from a proof's first bytes: without this rule a liar would draw eight times.
#[test]
fn a_key_has_one_gamma_for_a_message() {
    let seed = [5; 32];
    let (id, honest) = (node_id(&seed), VrfKey::new(&seed).unwrap().prove(b"draw").unwrap());
    let key = EdVrfEdwards25519Ell2PublicKey::from_slice(&id.0).unwrap();
    let output = verify(&id, b"draw", &honest).unwrap();
    for (i, small) in EIGHT_TORSION.iter().enumerate() {
        let proof = proof_beside(&seed, b"draw", small);
        let by_library = key.verify(b"draw", EdVrfProof::decode_pi(&proof.0).unwrap());
        assert_eq!(by_library.unwrap()[..], output[..], "the library alone takes number {i}");
        if i == 0 {
            assert_ne!(proof, honest, "with another k");
            assert_eq!(proof.0[..32], honest.0[..32]);
            assert_eq!(verify(&id, b"draw", &proof), Ok(output));
        } else {
            assert_eq!(verify(&id, b"draw", &proof), Err(VrfError::Gamma));
        }
    }
}

#[test]
fn points_have_one_form_and_a_key_an_order() {
    let [v, ..] = VECTORS;
    let (key, good) = (NodeId(array(v.key)), VrfProof(array(v.proof)));
    // y = p + 3, the encoding of a point of full order that y = 3 encodes as well; y = 2 is on no point.
    let mut twice = [0xff; 32];
    (twice[0], twice[31]) = (0xf0, 0x7f);
    let mut none = [0; 32];
    none[0] = 2;
    let point = CompressedEdwardsY(twice).decompress().unwrap();
    assert!(!point.is_small_order() && CompressedEdwardsY(none).decompress().is_none());
    for bytes in [twice, none] {
        let mut proof = good;
        proof.0[..32].copy_from_slice(&bytes);
        assert_eq!(verify(&key, v.message, &proof), Err(VrfError::Gamma));
        assert_eq!(verify(&NodeId(bytes), v.message, &good), Err(VrfError::Key));
    }
    for small in EIGHT_TORSION {
        assert_eq!(verify(&NodeId(small.compress().to_bytes()), v.message, &good), Err(VrfError::Key));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn proofs_hold_until_a_bit_changes(seed: [u8; 32], message: Vec<u8>, bit in 0_usize..640) {
        let mut proof = VrfKey::new(&seed).unwrap().prove(&message).unwrap();
        prop_assert!(verify(&node_id(&seed), &message, &proof).is_ok());
        proof.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(&node_id(&seed), &message, &proof).is_err());
    }
}
