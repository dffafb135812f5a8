//! A walk against a server that answers at once, over encoded requests and answers.

use std::collections::BTreeSet;

use node::archive::{Memory, Write};
use node::atx::Received;
use node::codec::{decode, encode};
use node::ids::NodeId;
use node::reconcile::{Ask, Lie, Walk, WalkError, answer};
use node::time::Time;
use node::wire::{Key, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Request, Response, Set};

use crate::atxs::keep;

/// What a walk cost.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(crate) requests: usize,
    pub(crate) sent: usize,
    pub(crate) received: usize,
    pub(crate) items: usize,
}

/// Walks through `sets`; what the server answers may be changed on its way by `falsify`.
pub(crate) fn walk(
    client: &mut Memory,
    server: &Memory,
    sets: &[Set],
    settled: &BTreeSet<Key>,
    mut falsify: impl FnMut(&Request, Response) -> Response,
) -> (Cost, Result<(), Lie>) {
    let mut walk = Walk::new(sets);
    let mut cost = Cost::default();
    loop {
        let request = match walk.next(2048) {
            Ok(Ask::Request(request)) => request,
            Ok(Ask::Done) => return (cost, Ok(())),
            Ok(Ask::NoRoom) => unreachable!("there was room"),
            Err(lie) => return (cost, Err(lie)),
        };
        let asked = encode(&request);
        assert!(asked.len() <= MAX_REQUEST_BYTES);
        let request: Request = decode(&asked).unwrap();
        let response = falsify(&request, answer(server, &request).unwrap());
        let answered = encode(&response);
        assert!(answered.len() <= MAX_RESPONSE_BYTES);
        cost.requests += 1;
        cost.sent += asked.len();
        cost.received += answered.len();
        match walk.answer(client, settled, decode(&answered).unwrap()) {
            Ok(found) => {
                for found in found {
                    cost.items += 1;
                    match found.set {
                        Set::Frauds => {
                            let node_id = NodeId(found.item.0[..].try_into().unwrap());
                            client.write(Write::Fraud { node_id, received: Time(0), bytes: found.item.0 });
                        }
                        Set::Atxs(_) => keep(client, &Received::decode(&found.item.0).unwrap()),
                    }
                }
            }
            Err(WalkError::Lie(lie)) => return (cost, Err(lie)),
            Err(WalkError::Archive(error)) => unreachable!("{error}"),
        }
    }
}

pub(crate) fn honest(_: &Request, response: Response) -> Response {
    response
}
