//! What a layer costs; simulations apply millions.

use std::time::Instant;

use node::ledger::Ledger;

use crate::world::{HALF, params, rewards};

#[test]
fn a_layer_is_cheap() {
    let params = params(HALF);
    let mut ledger = Ledger::new(&params);
    let first = params.effective_genesis();
    let mut micros = Vec::new();
    for n in 1..=400 {
        let proposers: Vec<(u8, u64)> = (0..50).map(|i| (i + (n % 4) as u8 * 50, 7 + u64::from(i))).collect();
        let mut block = rewards(&proposers);
        block.layer = first.after(n);
        let start = Instant::now();
        ledger.apply(block.layer, Some((&block, &[])), &|_| None).unwrap();
        micros.push(start.elapsed().as_micros());
    }
    micros.sort_unstable();
    let median = micros[micros.len() / 2];
    println!("a layer with 50 proposers: {median} µs");
    // Ten times what it takes, for machines that do something else as well.
    assert!(median < 1000, "{median} µs");
}
