//! Bytes and ids are those that are checked in: whoever changes the format finds out here, not on the network.

use node::codec::{decode, encode};

use crate::samples::{all, crowd, verifier};

#[test]
fn bytes_and_ids_are_those_checked_in() {
    let mut changed = Vec::new();
    for (name, atx) in all() {
        let bytes = encode(&atx);
        let challenges: Vec<_> =
            atx.niposts.iter().flat_map(|n| &n.posts).map(|post| atx.poet_challenge(post).to_string()).collect();
        let now = format!(
            "{{\n\"bytes\": \"{}\",\n\"blake3\": \"{}\",\n\"id\": \"{}\",\n\"poet_challenges\": {challenges:?}\n}}\n",
            hex::encode(&bytes),
            blake3::hash(&bytes).to_hex(),
            atx.id(),
        );
        if now != fixtures::golden(name) {
            changed.push(format!("fixtures/golden/{name}.json:\n{now}"));
        }
        assert_eq!(decode(&bytes), Ok(atx));
    }
    assert!(changed.is_empty(), "not what they were; if the format is to change, these are\n{}", changed.concat());
}

#[test]
fn samples_are_good() {
    for (name, atx) in all().into_iter().chain([("crowd", crowd())]) {
        assert_eq!(atx.check(), Ok(()), "{name}");
        assert!(atx.signature_holds(&verifier()), "{name}");
    }
}

/// The sizes that storage and bandwidth were reckoned with.
#[test]
fn sizes_are_as_planned() {
    let [_, (_, following), ..] = all();
    let solo = encode(&following).len();
    assert!((980..1000).contains(&solo), "{solo}");
    let each = encode(&crowd()).len() / 256;
    assert!((180..190).contains(&each), "{each}");
}
