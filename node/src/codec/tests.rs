use parity_scale_codec::{Compact, Encode};
use proptest::prelude::*;

use super::*;

fn fault<T: Scale + std::fmt::Debug>(bytes: &[u8]) -> (usize, Fault) {
    let error = decode::<T>(bytes).unwrap_err();
    (error.at, error.what)
}

/// Each size of encoding from its first value to its last.
#[test]
fn integers_are_compact() {
    let cases: [(u64, &[u8]); 11] = [
        (0, &[0]),
        (1, &[4]),
        (63, &[0xfc]),
        (64, &[0x01, 0x01]),
        ((1 << 14) - 1, &[0xfd, 0xff]),
        (1 << 14, &[0x02, 0, 1, 0]),
        ((1 << 30) - 1, &[0xfe, 0xff, 0xff, 0xff]),
        (1 << 30, &[0x03, 0, 0, 0, 0x40]),
        (u32::MAX.into(), &[0x03, 0xff, 0xff, 0xff, 0xff]),
        (1 << 32, &[0x07, 0, 0, 0, 0, 1]),
        (u64::MAX, &[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (value, bytes) in cases {
        assert_eq!(encode(&value), bytes, "{value}");
        assert_eq!(decode(bytes), Ok(value));
    }
    assert_eq!(encode(&200_u8), [0x21, 0x03], "small integers too");
}

#[test]
fn integers_have_one_form_and_a_largest_value() {
    // 63, 2^14 − 1, 2^30 − 1 and 2^32 − 1, each in the next longer form.
    for bytes in
        [&[0xfd, 0][..], &[0xfe, 0xff, 0, 0], &[0x03, 0xff, 0xff, 0xff, 0x3f], &[0x07, 0xff, 0xff, 0xff, 0xff, 0]]
    {
        assert_eq!(fault::<u64>(bytes), (0, Fault::NotShortest), "{bytes:?}");
    }
    assert_eq!(fault::<u8>(&encode(&256_u64)), (0, Fault::TooLarge { max: 255 }));
    assert_eq!(fault::<u32>(&encode(&(1_u64 << 32))), (0, Fault::TooLarge { max: u32::MAX.into() }));
    // Nine bytes of integer.
    assert_eq!(fault::<u64>(&[0x17, 0, 0, 0, 0, 0, 0, 0, 0, 1]), (0, Fault::TooLarge { max: u64::MAX }));
    assert_eq!(fault::<u64>(&[]), (0, Fault::Truncated { missing: 1 }));
    assert_eq!(fault::<u64>(&[0x02, 0]), (1, Fault::Truncated { missing: 2 }));
    assert_eq!(fault::<u64>(&[0, 0]), (1, Fault::Trailing { extra: 1 }));
}

/// A list of at most three, in as many options as its type has.
#[derive(Debug, PartialEq)]
struct Three(Vec<u8>);

impl Scale for Three {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_list(out, &self.0);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.list(3).map(Self)
    }
}

#[derive(Debug, PartialEq)]
struct Maybe<T>(Option<T>);

impl<T: Scale> Scale for Maybe<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_option(out, self.0.as_ref());
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.option().map(Self)
    }
}

#[test]
fn lists_have_limits() {
    assert_eq!(decode(&[12, 4, 8, 12]), Ok(Three(vec![1, 2, 3])));
    assert_eq!(fault::<Three>(&[16, 0, 0, 0, 0]), (0, Fault::TooLong { len: 4, max: 3 }));
    assert_eq!(fault::<Three>(&[12, 0, 0]), (3, Fault::Truncated { missing: 1 }));
    // A length that promises gigabytes.
    assert_eq!(fault::<Three>(&encode(&u32::MAX)), (0, Fault::TooLong { len: u32::MAX.into(), max: 3 }));
    let bytes = |max, input: &[u8]| Reader::new(input).bytes(max);
    assert_eq!(bytes(2, &[8, 7, 9]), Ok(vec![7, 9]));
    assert_eq!(bytes(2, &[12, 7, 9, 1]).unwrap_err().what, Fault::TooLong { len: 3, max: 2 });
    assert_eq!(
        bytes(usize::MAX, &encode(&u32::MAX)).unwrap_err().what,
        Fault::Truncated { missing: u32::MAX as usize }
    );
}

#[test]
fn an_option_is_0_or_1() {
    assert_eq!(decode(&[0]), Ok(Maybe::<u8>(None)));
    assert_eq!(decode(&[1, 8]), Ok(Maybe(Some(2_u8))));
    assert_eq!(fault::<Maybe<u8>>(&[2, 8]), (0, Fault::Flag { flag: 2 }));
    assert_eq!(fault::<Maybe<u8>>(&[]), (0, Fault::Truncated { missing: 1 }));
}

#[test]
fn nesting_has_a_limit() {
    type Six = Maybe<Maybe<Maybe<Maybe<Maybe<Three>>>>>;
    assert!(decode::<Six>(&[1, 1, 1, 1, 1, 4, 0]).is_ok());
    assert_eq!(fault::<Maybe<Six>>(&[1, 1, 1, 1, 1, 1, 4, 0]), (7, Fault::TooDeep));
    // Depth counts what is open, not what was.
    #[derive(Debug)]
    struct Row;
    impl Scale for Row {
        fn encode_to(&self, _: &mut Vec<u8>) {}
        fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
            (0..9).try_for_each(|_| input.option::<u8>().map(drop)).map(|()| Self)
        }
    }
    decode::<Row>(&[1, 0].repeat(9)).unwrap();
}

proptest! {
    /// Another implementation gives the same bytes.
    #[test]
    fn integers_agree_with_another_implementation(value: u64, shift in 0_u32..64) {
        let value = value >> shift;
        prop_assert_eq!(encode(&value), Compact(value).encode());
        prop_assert_eq!(encode(&(value as u32)), Compact(value as u32).encode());
        prop_assert_eq!(encode(&(value as u16)), Compact(value as u16).encode());
        prop_assert_eq!(encode(&(value as u8)), Compact(value as u8).encode());
    }

    #[test]
    fn integers_come_back(value: u64, shift in 0_u32..64) {
        let value = value >> shift;
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(value) = decode::<u64>(&bytes) {
            prop_assert_eq!(encode(&value), bytes.clone());
        }
        if let Ok(value) = decode::<Maybe<Three>>(&bytes) {
            prop_assert_eq!(encode(&value), bytes);
        }
    }
}
