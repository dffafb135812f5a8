//! ATXs that decode, of the size they have on a devnet; nothing else is right with them.

use node::archive::{Memory, Write};
use node::atx::{Atx, Membership, NiPost, Received, SubPost};
use node::ids::{Address, AtxId, Challenge, Epoch, NodeId, Signature};
use node::time::Time;
use post_core::proof::Proof;

pub(crate) fn bytes<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn atx(epoch: u32, i: u32) -> Received {
    let name = format!("{epoch} {i}");
    let post = Proof { nonce: 3, indices: bytes::<30>(&name).to_vec(), pow: 77 };
    let sub_post = SubPost { marriage_index: 0, previous_index: 0, leaf_index: i.into(), post, num_units: 4 };
    let nodes = (0..3).map(|node| bytes(&format!("{name} {node}"))).collect();
    let challenge = Challenge(bytes(&format!("round {epoch}")));
    Received::from(Atx {
        publish_epoch: Epoch(epoch),
        positioning_atx: AtxId(bytes("positioning")),
        coinbase: Address(bytes(&name)),
        initial: None,
        previous_atxs: vec![AtxId(bytes(&format!("{name} previous")))],
        niposts: vec![NiPost { membership: Membership { nodes }, challenge, posts: vec![sub_post] }],
        vrf_nonce: 12_345,
        marriages: vec![],
        marriage_atx: None,
        smesher: NodeId(bytes(&format!("smesher {i}"))),
        signature: Signature(bytes(&format!("signature {name}"))),
    })
}

pub(crate) fn keep(archive: &mut Memory, atx: &Received) {
    let (id, epoch, bytes) = (atx.id, atx.atx.publish_epoch, atx.bytes.to_vec());
    archive.write(Write::Atx { id, epoch, received: Time(0), bytes });
}

pub(crate) fn archive<'a>(atxs: impl IntoIterator<Item = &'a Received>) -> Memory {
    let mut archive = Memory::default();
    for atx in atxs {
        keep(&mut archive, atx);
    }
    archive
}
