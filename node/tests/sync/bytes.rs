//! What catching up costs: the figures of the release.

use std::collections::BTreeSet;

use node::atx::Received;
use node::ids::Epoch;
use node::wire::Set;

use crate::atxs::{archive, atx};
use crate::walking::{honest, walk};

/// A frame of the connection for each message and each 16 KiB of it, with Noise's and yamux' headers, generously.
fn on_the_wire(payload: usize, messages: usize) -> usize {
    payload + payload / 250 + 200 * messages
}

#[test]
fn a_late_node_pays_for_what_it_gets() {
    let all: Vec<Received> = (0..20_000).map(|i| atx(1, i)).collect();
    let whole: usize = all.iter().map(|atx| atx.bytes.len()).sum();
    let server = archive(&all);
    let sets = [Set::Frauds, Set::Atxs(Epoch(0)), Set::Atxs(Epoch(1))];

    let mut client = archive([]);
    let (cost, end) = walk(&mut client, &server, &sets, &BTreeSet::new(), honest);
    assert_eq!((end, cost.items), (Ok(()), all.len()));
    assert!(client == server);
    let wire = on_the_wire(cost.sent + cost.received, 2 * cost.requests);
    eprintln!("none of {} ({whole} B): {cost:?}, {:.4} of the whole", all.len(), wire as f64 / whole as f64);
    assert!(wire * 100 <= whole * 115);

    // Each thousandth is missing.
    let mut client = archive(all.iter().enumerate().filter(|(i, _)| i % 1000 != 17).map(|(_, atx)| atx));
    let (cost, end) = walk(&mut client, &server, &sets, &BTreeSet::new(), honest);
    assert_eq!((end, cost.items), (Ok(()), 20));
    assert!(client == server);
    let wire = on_the_wire(cost.sent + cost.received, 2 * cost.requests);
    eprintln!("all but 20 of {}: {cost:?}, {:.4} of the whole", all.len(), wire as f64 / whole as f64);
    assert!(wire * 100 <= whole * 2);

    // Nothing is missing: one request.
    let (cost, end) = walk(&mut client, &server, &sets, &BTreeSet::new(), honest);
    eprintln!("nothing missing: {cost:?}");
    assert_eq!((end, cost.requests), (Ok(()), 1));
    assert!(cost.sent + cost.received < 100);
}
