//! Every vector of the independent implementation that concerns one function alone.
#![allow(missing_docs, clippy::unwrap_used)]

use post_core::backend::{Cpu, label_list};
use post_core::cipher::{Cipher, lazy_value};
use post_core::difficulty::{Difficulty, pow_target};
use post_core::identity::{AtxId, Challenge, Commitment, NodeId};
use post_core::index_packing::{TooWide, pack, required_bits, unpack};
use post_core::label::{reference, stored};
use post_core::params::ScryptParams;

#[test]
fn commitments() {
    let vectors = fixtures::commitments();
    assert_eq!(vectors.len(), 10);
    for v in vectors {
        let commitment = Commitment::new(&NodeId(v.node_id.array()), &AtxId(v.commitment_atx_id.array()));
        assert_eq!(commitment.0, v.commitment.array());
    }
}

#[test]
fn labels_of_the_reference_and_of_the_cpu_backend() {
    let vectors = fixtures::labels();
    assert_eq!(vectors.len(), 224);
    let mut cpu = Cpu::new(2).unwrap();
    for v in vectors {
        let scrypt = ScryptParams { n: v.n, r: 1, p: 1 };
        let commitment = Commitment(v.commitment.array());
        let full = reference::full_label(&commitment, v.index, scrypt).unwrap();
        assert_eq!(full, v.label.array(), "n {}, index {}", v.n, v.index);
        let labels = label_list(&mut cpu, scrypt, &[(commitment, v.index)]).unwrap();
        assert_eq!(labels, [stored(&full)]);
    }
}

#[test]
fn ciphers() {
    let vectors = fixtures::ciphers();
    assert_eq!((vectors.group.len(), vectors.lazy.len()), (24, 24));
    for v in vectors.group.into_iter().chain(vectors.lazy) {
        let challenge = Challenge(v.challenge.array());
        let cipher = match v.nonce {
            None => Cipher::group(&challenge, v.nonce_group, v.pow),
            Some(nonce) => Cipher::lazy(&challenge, v.nonce_group, v.pow, nonce),
        };
        assert_eq!(cipher.key(), &v.key.array());
        assert_eq!(cipher.encrypt(&v.plaintext.array()), v.ciphertext.array());
    }
}

#[test]
fn the_lazy_value_is_the_low_56_bits() {
    let encrypted: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
    assert_eq!(lazy_value(&encrypted), 0x0007_0605_0403_0201);
}

#[test]
fn packing() {
    let vectors = fixtures::packing();
    assert_eq!((vectors.compress.len(), vectors.required_bits.len()), (19, 33));
    for v in vectors.compress {
        assert_eq!(unpack(&v.bytes.0, v.bits).collect::<Vec<_>>(), v.decompressed);
        let packed = pack(&v.indices, v.bits);
        if v.note.is_none() {
            assert_eq!(packed.unwrap(), v.bytes.0);
        } else {
            let wide = v.indices.iter().copied().find(|i| required_bits(*i) > v.bits).unwrap();
            assert_eq!(packed, Err(TooWide { index: wide, bits: v.bits }));
        }
    }
    for v in vectors.required_bits {
        assert_eq!(required_bits(v.value), v.bits, "{}", v.value);
    }
}

#[test]
fn difficulties() {
    let vectors = fixtures::difficulties();
    assert_eq!((vectors.proving.len(), vectors.pow_scaling.len()), (40, 180));
    for v in vectors.proving {
        let difficulty = Difficulty::new(v.k1, v.num_labels);
        assert_eq!(difficulty.is_none(), v.error.is_some(), "{} of {}", v.k1, v.num_labels);
        assert_eq!(difficulty.map(|d| d.msb), v.msb);
        assert_eq!(difficulty.map(|d| d.lsb), v.lsb);
    }
    for v in vectors.pow_scaling {
        assert_eq!(pow_target(&v.difficulty.array(), v.num_units), v.scaled.array::<32>());
    }
}
