//! The client's half: what to ask next, and what to believe of an answer.

use std::collections::BTreeSet;

use super::held::{MAX_SCAN, has, held};
use super::{LEAF, MAX_LISTED};
use crate::archive::{Archive, ArchiveError};
use crate::atx::{Junk, Received};
use crate::codec::DecodeError;
use crate::ids::{AtxId, NodeId};
use crate::wire::{Held, Item, Key, MAX_NAMES, MAX_RANGES, Range, Request, Response, Set};

/// No set is larger: an epoch's ATXs, all frauds.
const MAX_SET: u64 = 1 << 24;
/// A set can grow by so much between two answers.
const GROWTH: u64 = 1024;
/// So often at most a range is cut because the other side would not count it.
const MAX_UNCOUNTED: u32 = 1024;
/// So many lists of ids are asked for at once.
const LISTS: usize = 64;
/// Items asked for at once.
const BULK: usize = 1024;

/// How an answer contradicts the question, earlier answers or itself. Whoever gave it is a liar or broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Another kind of answer than asked for.
    #[error("it answered another question")]
    Kind,
    /// Not as many ranges as asked for.
    #[error("it answered about {got} ranges when asked about {asked}")]
    Ranges {
        /// Asked.
        asked: usize,
        /// Answered.
        got: usize,
    },
    /// More ids than there can be.
    #[error("it claims {count} ids in a range that can't have so many")]
    Count {
        /// What it claims.
        count: u64,
    },
    /// An id that lies outside of what was asked for, or isn't larger than the one before.
    #[error("it gave {} outside of the range or out of order", hex::encode(key))]
    Outside {
        /// The id.
        key: Key,
    },
    /// Not what it was asked for under this set.
    #[error("it gave an ATX of another epoch")]
    Epoch,
    /// Bytes that can't be an ATX.
    #[error("it gave {0}")]
    Junk(#[from] Junk),
    /// Bytes that can't be a PoET proof.
    #[error("it gave no PoET proof: {0}")]
    Poet(#[from] DecodeError),
    /// It listed what it does not hand out.
    #[error("it lists {missing} ids that it does not hand out")]
    Withheld {
        /// How many.
        missing: usize,
    },
    /// Its set has no end, or no bottom.
    #[error("its answers lead nowhere")]
    Endless,
}

/// Why a walk can't go on.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The peer's fault.
    #[error(transparent)]
    Lie(#[from] Lie),
    /// This node's.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Ask this.
    Request(Request),
    /// Nothing until there is room for items.
    NoRoom,
    /// All is equal, or was asked for.
    Done,
}

/// Something the other side has and this one doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it belongs.
    pub set: Set,
    /// Its id; not known for fraud proofs.
    pub key: Option<Key>,
    /// Its encoding; of an ATX no more is known than that it decodes, its id and its epoch.
    pub item: Item,
}

/// What is still to be asked; the top of the stack comes first.
#[derive(Clone, Debug)]
enum Todo {
    /// Compare fingerprints. A `root` is the first range of its ids whose count is learnt.
    Compare { range: Range, root: bool },
    /// Have the ids listed.
    List(Range),
    /// Fetch by name.
    Names { set: Set, names: Vec<Key> },
    /// Fetch all that is after `after`, `left` items at most.
    Bulk { range: Range, after: Option<Key>, left: u64 },
}

/// The request that is out.
#[derive(Clone, Debug)]
enum Asked {
    Nothing,
    Compare(Vec<(Range, bool)>),
    List(Vec<Range>),
    Names { set: Set, names: Vec<Key> },
    Bulk { range: Range, after: Option<Key>, left: u64, limit: usize },
}

/// A walk through all differences with one peer.
#[derive(Clone, Debug)]
pub struct Walk {
    todo: Vec<Todo>,
    asked: Asked,
    /// So many ranges may still be compared.
    allowance: u64,
    uncounted: u32,
    /// What the peer says it has, all sets together.
    total: u64,
    /// What this node had of those sets when they were compared.
    ours: u64,
    /// Whether the peer says to have ATXs, and whether this node had any.
    atxs: (bool, bool),
}

impl Walk {
    /// Through `sets`, in their order.
    #[must_use]
    pub fn new(sets: &[Set]) -> Self {
        let root = |set: &Set| Todo::Compare { range: Range::all(*set), root: true };
        let todo: Vec<_> = sets.iter().rev().map(root).collect();
        Self {
            allowance: todo.len() as u64,
            todo,
            asked: Asked::Nothing,
            uncounted: 0,
            total: 0,
            ours: 0,
            atxs: (false, false),
        }
    }

    /// What the peer has said to have so far, all sets together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What this node had in the same sets when it compared them.
    #[must_use]
    pub fn ours(&self) -> u64 {
        self.ours
    }

    /// Whether the peer says to have any ATXs, and whether this node had any when they were compared.
    #[must_use]
    pub fn atxs(&self) -> (bool, bool) {
        self.atxs
    }

    /// What to ask next, when there is room for so many items.
    ///
    /// # Errors
    /// A [`Lie`] when the answers so far lead nowhere.
    pub fn next(&mut self, room: usize) -> Result<Ask, Lie> {
        let Some(top) = self.todo.pop() else { return Ok(Ask::Done) };
        let (asked, request) = match top {
            Todo::Compare { range, root } => {
                let mut ranges = vec![(range, root)];
                while ranges.len() < MAX_RANGES
                    && let Some(Todo::Compare { range, root }) =
                        self.todo.pop_if(|next| matches!(next, Todo::Compare { .. }))
                {
                    ranges.push((range, root));
                }
                self.allowance = self.allowance.checked_sub(ranges.len() as u64).ok_or(Lie::Endless)?;
                let request = Request::Ranges(ranges.iter().map(|(range, _)| *range).collect());
                (Asked::Compare(ranges), request)
            }
            Todo::List(range) => {
                let mut ranges = vec![range];
                let same = |next: &mut Todo| matches!(next, Todo::List(other) if other.set() == range.set());
                while ranges.len() < LISTS
                    && let Some(Todo::List(range)) = self.todo.pop_if(same)
                {
                    ranges.push(range);
                }
                (Asked::List(ranges.clone()), Request::Ids(ranges))
            }
            top @ (Todo::Names { .. } | Todo::Bulk { .. }) if room == 0 => {
                self.todo.push(top);
                return Ok(Ask::NoRoom);
            }
            Todo::Names { set, mut names } => {
                let later = names.split_off(names.len().min(MAX_NAMES).min(room));
                if !later.is_empty() {
                    self.todo.push(Todo::Names { set, names: later });
                }
                let request = match set {
                    Set::Frauds => Request::Frauds(names.iter().map(|name| NodeId(*name)).collect()),
                    Set::Atxs(_) => Request::Atxs(names.iter().map(|name| AtxId(*name)).collect()),
                };
                (Asked::Names { set, names }, request)
            }
            Todo::Bulk { range, after, left } => {
                let limit = room.min(BULK);
                // It fits: no more than BULK.
                let request = Request::Items { range, after, limit: limit as u32 };
                (Asked::Bulk { range, after, left, limit }, request)
            }
        };
        self.asked = asked;
        Ok(Ask::Request(request))
    }

    /// Takes the answer to the last request. Nothing in `settled` is fetched by name.
    ///
    /// # Errors
    /// [`WalkError`]; the walk is over then.
    pub fn answer(
        &mut self,
        archive: &dyn Archive,
        settled: &BTreeSet<Key>,
        response: Response,
    ) -> Result<Vec<Found>, WalkError> {
        match (std::mem::replace(&mut self.asked, Asked::Nothing), response) {
            (Asked::Compare(ranges), Response::Ranges(theirs)) => {
                self.compare(archive, settled, &ranges, &theirs)?;
                Ok(Vec::new())
            }
            (Asked::List(ranges), Response::Ids(ids)) => {
                self.list(archive, settled, &ranges, &ids)?;
                Ok(Vec::new())
            }
            (Asked::Names { set, names }, Response::Items { items, last }) => self.names(set, names, items, last),
            (Asked::Bulk { range, after, left, limit }, Response::Items { items, last }) => {
                if items.len() > limit {
                    return Err(Lie::Endless.into());
                }
                self.bulk(archive, range, after, left, (items, last))
            }
            _ => Err(Lie::Kind.into()),
        }
    }

    fn compare(
        &mut self,
        archive: &dyn Archive,
        settled: &BTreeSet<Key>,
        asked: &[(Range, bool)],
        theirs: &[Held],
    ) -> Result<(), WalkError> {
        if asked.len() != theirs.len() {
            return Err(Lie::Ranges { asked: asked.len(), got: theirs.len() }.into());
        }
        let mut scan = MAX_SCAN;
        let mut todo = Vec::new();
        for (i, ((range, root), theirs)) in asked.iter().zip(theirs).enumerate() {
            let Held::Some { count, .. } = *theirs else {
                self.uncounted(*range, i == 0, *root, &mut todo)?;
                continue;
            };
            // A hash can't make room in a range for more ids than it leaves open.
            if count > MAX_SET || (range.depth() > 56 && count > LEAF) {
                return Err(Lie::Count { count }.into());
            }
            let ours = held(archive, range, &mut scan)?;
            if *root {
                self.total = self.total.saturating_add(count);
                if let Held::Some { count, .. } = ours {
                    self.ours = self.ours.saturating_add(count);
                }
                if let Set::Atxs(_) = range.set() {
                    self.atxs.0 |= count > 0;
                    self.atxs.1 |= !matches!(ours, Held::Some { count: 0, .. });
                }
            }
            if count == 0 || ours == *theirs {
                continue;
            }
            if *root {
                self.allowance += 16 * u64::from(crate::wire::MAX_DEPTH) + 4 * count;
            }
            let nothing = matches!(ours, Held::Some { count: 0, .. });
            if nothing && settled.range(range.first()..=range.last()).next().is_none() {
                todo.push(Todo::Bulk { range: *range, after: None, left: count + GROWTH });
            } else if count <= LEAF {
                todo.push(Todo::List(*range));
            } else {
                todo.extend(range.parts().into_iter().map(|range| Todo::Compare { range, root: false }));
            }
        }
        self.todo.extend(todo.into_iter().rev());
        Ok(())
    }

    /// The peer did not count a range: alone it is cut, together with others it is asked about again.
    fn uncounted(&mut self, range: Range, alone: bool, root: bool, todo: &mut Vec<Todo>) -> Result<(), Lie> {
        if alone {
            self.uncounted += 1;
            if self.uncounted > MAX_UNCOUNTED {
                return Err(Lie::Endless);
            }
            self.allowance += 16;
            todo.extend(range.parts().into_iter().map(|range| Todo::Compare { range, root }));
        } else {
            // The first of the next request is answered, or cut: this ends.
            self.allowance += 1;
            todo.push(Todo::Compare { range, root });
        }
        Ok(())
    }

    fn list(
        &mut self,
        archive: &dyn Archive,
        settled: &BTreeSet<Key>,
        ranges: &[Range],
        ids: &[Key],
    ) -> Result<(), WalkError> {
        let Some(set) = ranges.first().map(Range::set) else { return Ok(()) };
        let (mut ranges, mut before, mut listed) = (ranges.iter(), None, 0);
        let mut range = ranges.next();
        let mut names = Vec::new();
        for id in ids {
            while range.is_some_and(|range| !range.contains(id)) {
                (range, listed) = (ranges.next(), 0);
            }
            listed += 1;
            if range.is_none() || before >= Some(*id) || listed > MAX_LISTED {
                return Err(Lie::Outside { key: *id }.into());
            }
            before = Some(*id);
            if !settled.contains(id) && !has(archive, set, *id)? {
                names.push(*id);
            }
        }
        if !names.is_empty() {
            self.todo.push(Todo::Names { set, names });
        }
        Ok(())
    }

    fn names(
        &mut self,
        set: Set,
        mut names: Vec<Key>,
        items: Vec<Item>,
        last: Option<Key>,
    ) -> Result<Vec<Found>, WalkError> {
        if let Some(last) = last {
            // The answer was full. What comes after is asked for again.
            let looked_up = names.iter().position(|name| *name == last).ok_or(Lie::Outside { key: last })? + 1;
            let later = names.split_off(looked_up);
            if !later.is_empty() {
                self.todo.push(Todo::Names { set, names: later });
            }
        }
        if items.len() != names.len() {
            return Err(Lie::Withheld { missing: names.len().abs_diff(items.len()) }.into());
        }
        let mut found = Vec::new();
        for (name, item) in names.into_iter().zip(items) {
            let key = key_of(set, &item)?;
            if let Some(key) = key.filter(|key| *key != name) {
                return Err(Lie::Outside { key }.into());
            }
            found.push(Found { set, key, item });
        }
        Ok(found)
    }

    fn bulk(
        &mut self,
        archive: &dyn Archive,
        range: Range,
        after: Option<Key>,
        left: u64,
        (items, last): (Vec<Item>, Option<Key>),
    ) -> Result<Vec<Found>, WalkError> {
        let set = range.set();
        let left = left.checked_sub(items.len() as u64).ok_or(Lie::Endless)?;
        let (mut found, mut before) = (Vec::new(), after);
        for item in items {
            let key = key_of(set, &item)?;
            if let Some(key) = key {
                if !range.contains(&key) || before >= Some(key) {
                    return Err(Lie::Outside { key }.into());
                }
                before = Some(key);
                if has(archive, set, key)? {
                    continue;
                }
            }
            found.push(Found { set, key, item });
        }
        if let Some(last) = last {
            let known = before != after;
            if !range.contains(&last) || after >= Some(last) || (known && before != Some(last)) {
                return Err(Lie::Outside { key: last }.into());
            }
            self.todo.push(Todo::Bulk { range, after: Some(last), left: left.checked_sub(1).ok_or(Lie::Endless)? });
        }
        Ok(found)
    }
}

/// The id of an item of a set, where it can be told without more ado.
fn key_of(set: Set, item: &Item) -> Result<Option<Key>, Lie> {
    let Set::Atxs(epoch) = set else { return Ok(None) };
    let received = Received::decode(&item.0)?;
    if received.atx.publish_epoch != epoch {
        return Err(Lie::Epoch);
    }
    Ok(Some(received.id.0))
}
