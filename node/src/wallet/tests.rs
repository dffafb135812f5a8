#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use super::amount::{AmountError, format, parse};
use super::*;
use proptest::prelude::*;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
const GENESIS: GenesisId = GenesisId([7; 20]);

#[test]
fn a_key_comes_back_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let made = Wallet::create(&path, b"secret", CHEAP).unwrap();
    let read = Wallet::read(&path).unwrap();
    assert_eq!(read.address(), made.address());
    let signer = read.open(b"secret", GENESIS).unwrap();
    assert_eq!(address_of(&signer.node_id()), made.address());
    assert!(matches!(read.open(b"Secret", GENESIS), Err(WalletError::Passphrase(_))));
    assert!(matches!(read.open(b"", GENESIS), Err(WalletError::Empty)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Nothing else was left behind.
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Wallet::create(&path, b"secret", CHEAP), Err(WalletError::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
}

#[test]
fn each_changed_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    Wallet::create(&path, b"secret", CHEAP).unwrap();
    let good = std::fs::read(&path).unwrap();
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 1;
        if bad[i].eq_ignore_ascii_case(&good[i]) || good[i].is_ascii_whitespace() {
            continue;
        }
        std::fs::write(&path, bad).unwrap();
        assert!(Wallet::read(&path).and_then(|wallet| wallet.open(b"secret", GENESIS)).is_err(), "byte {i}");
    }
    for huge in ["\"memory_kib\": 4000000000", "\"memory_kib\": 0"] {
        let text = String::from_utf8(good.clone()).unwrap().replace("\"memory_kib\": 64", huge);
        std::fs::write(&path, text).unwrap();
        assert!(Wallet::read(&path).and_then(|wallet| wallet.open(b"secret", GENESIS)).is_err());
    }
}

#[test]
fn amounts() {
    let good =
        [("1", SMH_), ("1.5", 1_500_000_000), ("0.000000001", 1), ("2 SMH", 2 * SMH_), ("7smidge", 7), ("8 smidge", 8)];
    for (text, smidge) in good {
        assert_eq!(parse(text), Ok(smidge), "{text}");
    }
    for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "smidge", "1.5smidge", " 1", "1.2.3", "SMH", "0x1"] {
        assert_eq!(parse(text), Err(AmountError::Malformed), "{text}");
    }
    assert_eq!(parse("0.0000000001"), Err(AmountError::TooFine));
    assert_eq!(parse("18446744073.709551616"), Err(AmountError::TooLarge));
    assert_eq!(parse("99999999999999999999smidge"), Err(AmountError::TooLarge));
    assert_eq!([0, 1, 1_500_000_000].map(format), ["0 SMH", "0.000000001 SMH", "1.5 SMH"]);
    assert_eq!(format(10 * SMH_), "10 SMH");
}

const SMH_: u64 = amount::SMH;

proptest! {
    #[test]
    fn what_is_shown_is_read(smidge: u64) {
        prop_assert_eq!(parse(&format(smidge)), Ok(smidge));
    }

    #[test]
    fn nothing_that_is_typed_is_a_panic(text in ".{0,30}") {
        let _ = parse(&text);
    }
}
