//! Keys in storage form, in order, across memtables and tree: what every scan is made of.

use super::merge::{MemtableMerge, ordered};
use super::value::{Pin, Place};
use super::view::{found, held};
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::{At, Expiry};
use crate::memtable::{Direction, Entry, StorageKey};
use crate::models::successor;
use crate::tree::{TreeBytes, TreeEntry, TreeRange};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::Slice;

/// Lowest and highest key.
pub(super) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The newest version of a key.
pub(super) struct Version<S: SegmentStore> {
    key: Key,
    pub(super) lsn: Lsn,
    pub(super) expiry: Expiry,
    pub(super) content: Content<S>,
}

enum Key {
    Memory(StorageKey),
    Tree(TreeBytes),
}

/// What a version is.
pub(super) enum Content<S: SegmentStore> {
    /// A value; in the tree, a row's head too.
    Value(Place<S>),
    /// Removed or expired.
    Removed,
    /// A row's head in memory.
    Row,
}

impl<S: SegmentStore> Version<S> {
    pub(super) fn key(&self) -> &[u8] {
        match &self.key {
            Key::Memory(key) => key.as_bytes(),
            Key::Tree(key) => key.value(),
        }
    }
}

/// Keys between two bounds at one LSN.
pub(super) struct Entries<S: SegmentStore> {
    pub(super) pin: Arc<Pin<S>>,
    at: At,
    pub(super) direction: Direction,
    memory: MemtableMerge,
    /// `None` behind the last entry.
    tree: Option<TreeRange>,
    /// The tree's next entry, once it was looked at.
    tree_head: Option<(TreeBytes, TreeBytes)>,
    bounds: Bounds,
}

impl<S: SegmentStore> Entries<S> {
    pub(super) fn new(
        pin: Arc<Pin<S>>,
        at: At,
        bounds: Bounds,
        direction: Direction,
    ) -> Result<Self, ReadError> {
        let bounds = if is_empty(&bounds) { nothing() } else { bounds };
        let near = match direction {
            Direction::Forward => &bounds.0,
            Direction::Backward => &bounds.1,
        };
        let near = near.as_ref().map(Vec::as_slice);
        let memory = MemtableMerge::new(&pin.view, at.lsn, near, direction);
        let mut entries = Self { pin, at, direction, memory, tree: None, tree_head: None, bounds };
        entries.open_tree()?;
        Ok(entries)
    }

    fn open_tree(&mut self) -> Result<(), TreeError> {
        let (low, high) = &self.bounds;
        let (low, high) = (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice));
        self.tree_head = None;
        self.tree = match is_empty(&self.bounds) {
            true => None,
            false => self.pin.view.tree.range(low, high)?,
        };
        Ok(())
    }

    /// Looks at the tree's next entry.
    fn look_at_tree(&mut self) -> Result<(), TreeError> {
        if let (Some(range), None) = (&mut self.tree, &self.tree_head) {
            let next = match self.direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            match next {
                Some(next) => self.tree_head = Some(next?),
                None => self.tree = None,
            }
        }
        Ok(())
    }

    /// Passes over everything in the tree that begins with `prefix`, at which the scan is.
    pub(super) fn pass_tree(&mut self, prefix: &[u8]) -> Result<(), TreeError> {
        self.look_at_tree()?;
        let inside = |(key, _): &(TreeBytes, TreeBytes)| key.value().starts_with(prefix);
        if !self.tree_head.as_ref().is_some_and(inside) {
            return Ok(());
        }
        match self.direction {
            Direction::Forward => self.bounds.0 = Bound::Included(successor(prefix)),
            Direction::Backward => self.bounds.1 = Bound::Excluded(prefix.to_vec()),
        }
        self.open_tree()
    }

    /// Which side the next key is on.
    fn side(&self) -> Option<Ordering> {
        match (self.memory.peek(), &self.tree_head) {
            (None, None) => None,
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
            (Some(version), Some((key, _))) => {
                Some(ordered(self.direction, version.key.as_bytes(), key.value()))
            }
        }
    }

    /// The next key, removed ones included; `None` at the far end.
    pub(super) fn step(&mut self) -> Result<Option<Version<S>>, ReadError> {
        self.look_at_tree()?;
        match self.side() {
            None => Ok(None),
            Some(Ordering::Less) => self.take_memory(),
            Some(Ordering::Equal) => {
                self.tree_head = None;
                self.take_memory()
            }
            Some(Ordering::Greater) => Ok(Some(self.take_tree()?)),
        }
    }

    fn take_memory(&mut self) -> Result<Option<Version<S>>, ReadError> {
        let Some(version) = self.memory.next() else { return Ok(None) };
        if self.is_beyond(version.key.as_bytes()) {
            return Ok(None);
        }
        let expiry = version.entry.expiry();
        let content = match version.entry {
            Entry::Row { .. } => Content::Row,
            Entry::Value(..) if self.pin.view.is_past(expiry, self.at) => Content::Removed,
            Entry::Numbers(numbers) => Content::Value(held(numbers)),
            Entry::Value(location, _) => Content::Value(Place::Log(location)),
            // Its value is elsewhere, or it has none.
            Entry::Expire { .. } => match self.pin.view.find(version.key.as_bytes(), self.at)? {
                Some(found) => Content::Value(found.place),
                None => Content::Removed,
            },
            Entry::Tombstone | Entry::Watermark(_) => Content::Removed,
            Entry::Object(summary) => {
                Content::Value(Place::Inline(Slice::from(summary.encode().as_slice())))
            }
        };
        Ok(Some(Version { key: Key::Memory(version.key), lsn: version.lsn, expiry, content }))
    }

    fn take_tree(&mut self) -> Result<Version<S>, TreeError> {
        let corrupt = TreeError::Corrupt { table: TreeTable::Data };
        let (key, entry) = self.tree_head.take().ok_or(corrupt)?;
        let found = found(TreeEntry::decode(entry.value()).ok_or(corrupt)?);
        let (lsn, expiry) = (found.lsn, found.expiry);
        let content = match self.pin.view.is_past(expiry, self.at) {
            true => Content::Removed,
            false => Content::Value(found.place),
        };
        Ok(Version { key: Key::Tree(key), lsn, expiry, content })
    }

    fn is_beyond(&self, key: &[u8]) -> bool {
        let far = match self.direction {
            Direction::Forward => &self.bounds.1,
            Direction::Backward => &self.bounds.0,
        };
        match far {
            Bound::Included(far) => ordered(self.direction, key, far).is_gt(),
            Bound::Excluded(far) => ordered(self.direction, key, far).is_ge(),
            Bound::Unbounded => false,
        }
    }
}

/// The next one, and nothing more behind the last one or an error.
pub(super) fn until_end<W, T>(
    walk: &mut W,
    ended: impl Fn(&mut W) -> &mut bool,
    step: impl FnOnce(&mut W) -> Result<Option<T>, ReadError>,
) -> Option<Result<T, ReadError>> {
    if *ended(walk) {
        return None;
    }
    let next = step(walk).transpose();
    *ended(walk) = !matches!(next, Some(Ok(_)));
    next
}

/// The higher of two low ends.
pub(super) fn higher(one: Bound<Vec<u8>>, other: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    tighter(one, other, Ordering::Greater)
}

/// The lower of two high ends.
pub(super) fn lower(one: Bound<Vec<u8>>, other: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    tighter(one, other, Ordering::Less)
}

fn tighter(one: Bound<Vec<u8>>, other: Bound<Vec<u8>>, wanted: Ordering) -> Bound<Vec<u8>> {
    match (&one, &other) {
        (Bound::Unbounded, _) => other,
        (_, Bound::Unbounded) => one,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            match a.cmp(b) {
                Ordering::Equal if matches!(one, Bound::Excluded(_)) => one,
                Ordering::Equal => other,
                order if order == wanted => one,
                _ => other,
            }
        }
    }
}

/// Bounds with nothing between them.
fn nothing() -> Bounds {
    (Bound::Excluded(Vec::new()), Bound::Excluded(Vec::new()))
}

fn is_empty((low, high): &Bounds) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        _ => false,
    }
}
