//! Requests and answers.

use node::env::net::{NetEvent, RequestError};
use node::ids::{AtxId, Challenge};
use node::reconcile::Lie;
use node::wire::{Item, Request, Response};

use crate::nodes::{Node, eventually};

fn request(event: NetEvent) -> Option<(Request, node::env::net::Responder)> {
    match event {
        NetEvent::Request { request, responder, .. } => Some((request, responder)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered() {
    let mut server = Node::start(|_| {}).await;
    let client = Node::start(|config| config.bootstrap = vec![server.at()]).await;
    client.peers(1).await;
    let asked = Request::Atxs(vec![AtxId([1; 32])]);
    let answer = client.net.request(server.net.own(), asked.clone());
    let (request_in, responder) = server.until(request).await;
    assert_eq!(request_in, asked);
    let long = Response::Items { items: vec![Item(vec![5; 1 << 20])], last: Some([1; 32]) };
    responder.respond(long.clone());
    assert_eq!(answer.await, Ok(long));
    // No answer.
    let answer = client.net.request(server.net.own(), Request::Poet(Challenge([1; 32])));
    drop(server.until(request).await);
    assert!(matches!(answer.await, Err(RequestError::Refused(_))));
    // Nobody there.
    let answer = client.net.request(client.net.own(), Request::Poet(Challenge([1; 32])));
    assert_eq!(answer.await, Err(RequestError::Gone));
    assert!(client.net.counters().response_bytes_in.get() > 1 << 20);
    assert!(server.net.counters().socket_bytes_out.get() > 1 << 20);
    // Its node goes, then its task: who is asked must not hang.
    let peer = server.net.own();
    let answer = client.net.request(peer, Request::Poet(Challenge([1; 32])));
    server.stop().await;
    assert!(answer.await.is_err());
    client.peers(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_slow_is_not_waited_for() {
    let mut server = Node::start(|_| {}).await;
    let client = Node::start(|config| {
        config.bootstrap = vec![server.at()];
        config.limits.request_timeout = std::time::Duration::from_secs(1);
    })
    .await;
    client.peers(1).await;
    let answer = client.net.request(server.net.own(), Request::Poet(Challenge([1; 32])));
    let kept = server.until(request).await;
    assert_eq!(answer.await, Err(RequestError::Timeout));
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_banned() {
    let server = Node::start(|_| {}).await;
    let client = Node::start(|config| config.bootstrap = vec![server.at()]).await;
    client.peers(1).await;
    client.net.punish(server.net.own(), Lie::Kind.to_string());
    client.net.punish(server.net.own(), Lie::Kind.to_string());
    client.peers(0).await;
    assert_eq!(client.net.counters().bans.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_with_their_handles() {
    let server = Node::start(|_| {}).await;
    let client = Node::start(|config| config.bootstrap = vec![server.at()]).await;
    server.peers(1).await;
    drop(client);
    server.peers(0).await;
    // Nobody takes events: the same.
    let client = Node::start(|config| config.bootstrap = vec![server.at()]).await;
    server.peers(1).await;
    let Node { net, events, .. } = client;
    drop(events);
    server.peers(0).await;
    eventually(|| net.peers().len() <= 1).await;
}
