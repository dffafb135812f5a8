//! Bytes of fraud proofs are those that are checked in.

use node::codec::{decode, encode};
use node::fraud::{Fraud, FraudProof};

use crate::bad::{BASE, miss};
use crate::desk::Desk;
use crate::world::Made;

/// One proof of each kind, as the machine makes them.
pub(crate) fn proofs() -> [(&'static str, FraudProof); 4] {
    let (base, world) = (&*BASE, &BASE.world);
    let proof = |made: &Made| {
        let mut desk: Desk = base.desk();
        desk.comes(made);
        let proofs = desk.fraud_proofs();
        assert_eq!(proofs.len(), 1);
        decode::<FraudProof>(&proofs[0]).unwrap()
    };
    let solo_and_merged = proof(&world.next(&base.alice, 4, base.a3.id()));
    let two_of_one = proof(&world.next(&base.alice, 5, base.a2.id()));
    let double = proof(&world.next_but(&base.eve, 5, Some(base.e1.id()), |plan| {
        let own = base.eve.marries(&base.eve, node::ids::NO_ATX);
        plan.marriages = vec![own, base.carol.marries(&base.eve, base.c1.id())];
    }));
    let mut merged =
        base.merged(5, |plan| plan.shares.iter_mut().for_each(|share| share.previous = Some(base.m4.id())));
    merged = merged.but(&base.bob, |atx| miss(world, &base.bob, atx, 5));
    [
        ("fraud_same_epoch", solo_and_merged),
        ("fraud_same_previous", two_of_one),
        ("fraud_double_marriage", double),
        ("fraud_invalid_post", proof(&merged)),
    ]
}

#[test]
fn bytes_are_those_checked_in() {
    let mut changed = Vec::new();
    for (name, proof) in proofs() {
        let bytes = encode(&proof);
        let now = format!(
            "{{\n\"bytes\": \"{}\",\n\"blake3\": \"{}\",\n\"culprit\": \"{}\"\n}}\n",
            hex::encode(&bytes),
            blake3::hash(&bytes).to_hex(),
            proof.culprit,
        );
        if now != fixtures::golden(name) {
            changed.push(format!("fixtures/golden/{name}.json:\n{now}"));
        }
        assert_eq!(decode(&bytes), Ok(proof));
    }
    assert!(changed.is_empty(), "not what they were; if the format is to change, these are\n{}", changed.concat());
}

#[test]
fn they_are_of_their_kinds() {
    let [same_epoch, same_previous, double, post] = proofs().map(|(_, proof)| proof);
    assert!(matches!(same_epoch.fraud, Fraud::SameEpoch(_)) && same_epoch.culprit == BASE.alice.id());
    assert!(matches!(same_previous.fraud, Fraud::SamePrevious(_)) && same_previous.culprit == BASE.alice.id());
    assert!(matches!(double.fraud, Fraud::DoubleMarriage(_)) && double.culprit == BASE.carol.id());
    assert!(matches!(post.fraud, Fraud::InvalidPost(_)) && post.culprit == BASE.bob.id());
}
