//! What catching up costs at the socket.

use std::collections::BTreeSet;

use node::archive::Memory;
use node::atx::Received;
use node::env::net::NetEvent;
use node::ids::Epoch;
use node::reconcile::{Ask, Walk, answer};
use node::wire::Set;

use crate::atxs::{archive, atx, keep};
use crate::nodes::Node;

/// Bytes of both directions, from the first request to the last answer.
async fn sync(client: &Node, archive: &mut Memory) -> (u64, usize) {
    let bytes = || client.net.counters().socket_bytes_in.get() + client.net.counters().socket_bytes_out.get();
    let before = bytes();
    let server = client.net.peers().into_iter().next().unwrap();
    let mut walk = Walk::new(&[Set::Frauds, Set::Atxs(Epoch(0)), Set::Atxs(Epoch(1))]);
    let mut items = 0;
    while let Ask::Request(request) = walk.next(2048).unwrap() {
        let response = client.net.request(server, request).await.unwrap();
        for found in walk.answer(archive, &BTreeSet::new(), response).unwrap() {
            keep(archive, &Received::decode(&found.item.0).unwrap());
            items += 1;
        }
    }
    (bytes() - before, items)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_atxs_at_the_socket() {
    let all: Vec<Received> = (0..20_000).map(|i| atx(1, i)).collect();
    let whole: usize = all.iter().map(|atx| atx.bytes.len()).sum();
    let kept = archive(&all);
    let mut server = Node::start(|_| {}).await;
    let client = Node::start(|config| config.bootstrap = vec![server.at()]).await;
    client.peers(1).await;

    let serve = async {
        loop {
            if let Some(NetEvent::Request { request, responder, .. }) = server.events.recv().await {
                responder.respond(answer(&kept, &request).unwrap());
            }
        }
    };
    let work = async {
        let mut none = archive([]);
        let all_of_it = sync(&client, &mut none).await;
        let mut some = archive(all.iter().enumerate().filter(|(i, _)| i % 1000 != 17).map(|(_, atx)| atx));
        let part = sync(&client, &mut some).await;
        assert!(none == kept && some == kept);
        (all_of_it, part)
    };
    let ((all_bytes, all_items), (part_bytes, part_items)) = tokio::select! {
        done = work => done,
        () = serve => unreachable!(),
    };
    eprintln!(
        "of {whole} B: none {all_bytes} ({:.4}), all but {part_items} {part_bytes} ({:.4})",
        all_bytes as f64 / whole as f64,
        part_bytes as f64 / whole as f64
    );
    assert_eq!((all_items, part_items), (20_000, 20));
    assert!(all_bytes * 100 <= whole as u64 * 115);
    assert!(part_bytes * 100 <= whole as u64 * 2);
}
