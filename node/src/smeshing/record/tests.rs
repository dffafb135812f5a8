use super::super::activation::{Parts, build};
use super::*;
use crate::ids::{Address, GenesisId};
use crate::signature::Signer;

fn proof(seed: u8) -> SpaceProof {
    SpaceProof {
        commitment_atx: AtxId([seed; 32]),
        units: 4,
        vrf_nonce: 1 << 40,
        post: Proof { nonce: 17, indices: vec![seed; 99], pow: 1 << 50 },
    }
}

fn atx(plan: &Plan, ticket: &Ticket) -> Received {
    let parts = Parts { plan, ticket, proof: &proof(4), initial: None, coinbase: Address([3; 24]) };
    build(&parts, &Signer::new(GenesisId([1; 20]), &[2; 32])).unwrap()
}

/// One of each stage, with and without the rest.
fn records() -> Vec<Record> {
    let plan = Plan { round: Epoch(8), previous: AtxId([1; 32]), positioning: AtxId([2; 32]) };
    let membership = Membership { nodes: vec![[7; 32]; 18] };
    let ticket = Ticket { poet: Challenge([3; 32]), leaf_index: 70_000, membership };
    let last = OwnAtx {
        id: AtxId([9; 32]),
        publish_epoch: Epoch(8),
        units: 5,
        vrf_nonce: u64::MAX,
        commitment_atx: AtxId([8; 32]),
    };
    let stages = [
        Stage::Idle,
        Stage::Planned { plan: plan.clone(), registered: false },
        Stage::Planned { plan: plan.clone(), registered: true },
        Stage::Ticket { plan: plan.clone(), ticket: ticket.clone() },
        Stage::Proved { plan: plan.clone(), ticket: ticket.clone(), proof: proof(4) },
        Stage::Signed { atx: Box::new(atx(&plan, &ticket)), poet: Challenge([6; 32]) },
    ];
    let mut records = vec![Record::NEW];
    for stage in stages {
        records.push(Record { initial: Some(proof(1)), last: None, signed: None, stage: stage.clone() });
        records.push(Record { initial: None, last: Some(last.clone()), signed: Some(Epoch(8)), stage });
    }
    records
}

#[test]
fn records_come_back() {
    for record in records() {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

/// A record of today must be readable tomorrow: whoever changes the encoding changes the version.
#[test]
fn the_encoding_is_fixed() {
    let mut hasher = blake3::Hasher::new();
    records().iter().for_each(|record| {
        hasher.update(&record.encode());
    });
    assert_eq!(VERSION, 1);
    assert_eq!(hasher.finalize().to_hex()[..16], *"b64bd004cc378342");
}

#[test]
fn damaged_records_are_refused() {
    for record in records() {
        let bytes = record.encode();
        for len in 0..bytes.len() {
            assert!(matches!(Record::decode(&bytes[..len]), Err(RecordError::Damaged(_))), "{len} of {record:?}");
        }
        assert!(Record::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert_eq!(Record::decode(&[&[2], &bytes[1..]].concat()), Err(RecordError::Version { found: 2 }));
    }
    assert!(Record::decode(&[VERSION, 0, 0, 0, 5]).is_err());
}
