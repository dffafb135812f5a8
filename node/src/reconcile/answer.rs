//! The server's half: a request, the archive, an answer.

use super::MAX_LISTED;
use super::held::{MAX_SCAN, held, keys};
use crate::archive::{Archive, ArchiveError};
use crate::ids::{AtxId, NodeId};
use crate::wire::{Item, Key, MAX_IDS, MAX_ITEM_BYTES, MAX_ITEMS, PAGE_BYTES, Range, Request, Response, Set};

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
