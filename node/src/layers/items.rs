//! What came of a request for things by name.

use std::collections::VecDeque;

use super::Lie;
use crate::wire::{Item, Response, Thing};

/// An answer to a request for things.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// In the order asked.
    pub(super) things: Vec<(Thing, Vec<u8>)>,
    /// Looked up, and not there.
    pub(super) missing: Vec<Thing>,
    /// Not looked up: the answer was full.
    pub(super) unread: Vec<Thing>,
}

/// Sorts an answer: what is in it must have been asked for, and be in that order.
pub(super) fn sort(asked: &[Thing], response: Response) -> Result<Given, Lie> {
    let Response::Items { items, last } = response else { return Err(Lie::Kind) };
    // Who says that there is more has given something.
    let read = match last {
        None => asked.len(),
        Some(_) if items.is_empty() => return Err(Lie::Kind),
        Some(last) => asked.iter().position(|thing| thing.key() == last).ok_or(Lie::Outside)? + 1,
    };
    let (mut things, mut missing) = (Vec::new(), Vec::new());
    let mut rest: VecDeque<Thing> = asked.iter().copied().collect();
    for Item(bytes) in items {
        let names = names(&rest, &bytes)?;
        loop {
            match rest.pop_front().ok_or(Lie::Outside)? {
                thing if names.contains(&thing) => break things.push((thing, bytes)),
                thing => missing.push(thing),
            }
        }
    }
    // A name that stands for two things may be found too early; what was given was looked up all the same.
    let unread = rest.split_off(read.saturating_sub(asked.len() - rest.len()).min(rest.len()));
    missing.extend(rest);
    Ok(Given { things, missing, unread: unread.into() })
}

/// The names that bytes have, as something of each kind that may still come. Each kind is tried once.
fn names(rest: &VecDeque<Thing>, bytes: &[u8]) -> Result<Vec<Thing>, Lie> {
    let mut kinds: Vec<Thing> = Vec::new();
    for thing in rest {
        if kinds.iter().all(|kind| std::mem::discriminant(kind) != std::mem::discriminant(thing)) {
            kinds.push(*thing);
        }
    }
    let mut fault = None;
    let mut names = Vec::new();
    for kind in kinds {
        match kind.like(bytes) {
            Ok(name) => names.extend(name),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    match fault {
        Some(fault) if names.is_empty() => Err(fault.into()),
        _ => Ok(names),
    }
}
