//! The server's half: a request, the archive, an answer.

use super::MAX_LISTED;
use super::held::{MAX_SCAN, held, keys};
use super::layer_fingerprint;
use crate::archive::{Archive, ArchiveError};
use crate::ids::{AtxId, Layer, NodeId};
use crate::wire::{
    Item, Key, MAX_IDS, MAX_ITEM_BYTES, MAX_ITEMS, MAX_LAYER_BALLOTS, MAX_LAYER_BLOCKS, MAX_LAYERS, PAGE_BYTES, Range,
    Request, Response, Set, Thing,
};

/// Answers from what is kept. [`Request::Peers`] is not for the archive, and gets nobody.
///
/// # Errors
/// [`ArchiveError`].
pub fn answer(archive: &dyn Archive, request: &Request) -> Result<Response, ArchiveError> {
    match request {
        Request::Peers { .. } => Ok(Response::Peers(Vec::new())),
        Request::Ranges(ranges) => {
            let mut scan = MAX_SCAN;
            let held = ranges.iter().map(|range| held(archive, range, &mut scan)).collect::<Result<_, _>>()?;
            Ok(Response::Ranges(held))
        }
        Request::Ids(ranges) => ids(archive, ranges),
        Request::Items { range, after, limit } => items(archive, range, *after, *limit),
        Request::Atxs(names) => named(names, |id: &AtxId| (id.0, archive.atx(*id).map(bytes_of))),
        Request::Frauds(names) => named(names, |id: &NodeId| (id.0, archive.fraud(*id).map(bytes_of))),
        Request::Poet(id) => named(&[*id], |id| (id.0, archive.poet(*id))),
        Request::Layers { first, count } => layers(archive, *first, *count),
        Request::Layer(layer) => {
            let (mut ballots, mut blocks) = (archive.ballots(*layer)?, archive.blocks(*layer)?);
            ballots.truncate(MAX_LAYER_BALLOTS);
            blocks.truncate(MAX_LAYER_BLOCKS);
            Ok(Response::Layer { ballots, blocks })
        }
        Request::Things(things) => named(things, |thing| (thing.key(), bytes_of_thing(archive, thing))),
    }
}

fn layers(archive: &dyn Archive, first: Layer, count: u32) -> Result<Response, ArchiveError> {
    // First this: what it says must show in the fingerprints, even if something is written in between.
    let last = archive.last_ballots()?;
    let asked = (0..count).take(MAX_LAYERS).map_while(|i| first.0.checked_add(i));
    let layers = asked.map(|layer| layer_fingerprint(archive, Layer(layer))).collect::<Result<_, _>>()?;
    Ok(Response::Layers { last, layers })
}

fn bytes_of_thing(archive: &dyn Archive, thing: &Thing) -> Result<Option<Vec<u8>>, ArchiveError> {
    match thing {
        Thing::Ballot(id) => archive.ballot(*id),
        // A proposal's encoding is that of its ballot, then that of its content.
        Thing::Proposal(id) => {
            let both = archive.ballot(*id)?.zip(archive.content(*id)?);
            Ok(both.map(|(ballot, content)| [ballot, content].concat()))
        }
        Thing::Block(id) => archive.block(*id),
        Thing::Transaction(id) => archive.transaction(*id),
    }
}

fn bytes_of(kept: Option<crate::archive::Kept>) -> Option<Vec<u8>> {
    kept.map(|kept| kept.bytes)
}

fn ids(archive: &dyn Archive, ranges: &[Range]) -> Result<Response, ArchiveError> {
    let mut ids = Vec::new();
    for range in ranges {
        let room = MAX_IDS - ids.len().min(MAX_IDS);
        ids.extend(keys(archive, range, None, MAX_LISTED.min(room))?);
    }
    Ok(Response::Ids(ids))
}

fn items(archive: &dyn Archive, range: &Range, after: Option<Key>, limit: u32) -> Result<Response, ArchiveError> {
    let limit = usize::try_from(limit).unwrap_or(MAX_ITEMS).clamp(1, MAX_ITEMS);
    let mut page = Page::default();
    // One more than wanted tells whether there is more.
    let names = keys(archive, range, after, limit + 1)?;
    for (i, name) in names.iter().enumerate() {
        if i == limit || page.is_full() {
            return Ok(page.more());
        }
        page.put(
            *name,
            match range.set() {
                Set::Frauds => bytes_of(archive.fraud(NodeId(*name))?),
                Set::Atxs(_) => bytes_of(archive.atx(AtxId(*name))?),
            },
        );
    }
    Ok(page.end())
}

fn named<N>(
    names: &[N],
    look_up: impl Fn(&N) -> (Key, Result<Option<Vec<u8>>, ArchiveError>),
) -> Result<Response, ArchiveError> {
    let mut page = Page::default();
    for name in names {
        if page.is_full() {
            return Ok(page.more());
        }
        let (key, bytes) = look_up(name);
        page.put(key, bytes?);
    }
    Ok(page.end())
}

/// Items for one answer.
#[derive(Default)]
struct Page {
    items: Vec<Item>,
    bytes: usize,
    last: Option<Key>,
}

impl Page {
    fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES || self.items.len() >= MAX_ITEMS
    }

    fn put(&mut self, name: Key, bytes: Option<Vec<u8>>) {
        self.last = Some(name);
        // What nobody would decode is not sent.
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() <= MAX_ITEM_BYTES) {
            self.bytes += bytes.len();
            self.items.push(Item(bytes));
        }
    }

    fn more(self) -> Response {
        Response::Items { items: self.items, last: self.last }
    }

    fn end(self) -> Response {
        Response::Items { items: self.items, last: None }
    }
}
