//! What archives are filled with.

use std::sync::LazyLock;

use node::archive::{Memory, Write};
use node::atx::Received;
use node::ids::NodeId;
use node::poet::PoetProof;
use node::time::Time;

use crate::atxs::{atx, bytes};

/// Epoch 1, the first few of them again and again.
pub(crate) fn pool() -> &'static [Received] {
    static POOL: LazyLock<Vec<Received>> = LazyLock::new(|| (0..3000).map(|i| atx(1, i)).collect());
    &POOL
}

/// A fraud proof is any bytes here.
pub(crate) fn accuse(archive: &mut Memory, i: u32) {
    let node_id = NodeId(bytes(&format!("smesher {i}")));
    archive.write(Write::Fraud { node_id, received: Time(0), bytes: node_id.0.to_vec() });
}

/// A PoET proof that decodes; nothing else is right with it.
pub(crate) fn poet(i: u8) -> PoetProof {
    PoetProof { statement: [i; 32], leaves: 7, root: [1; 32], proven: vec![[2; 32]; 3], nodes: vec![[3; 32]; 5] }
}
