//! Keys in order across memtables and tree.

use super::merge::{MemtableMerge, ordered};
use super::value::{Found, Pin, Place, ValueRef};
use super::view::found;
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::memtable::{Direction, Entry};
use crate::models::kv;
use crate::tree::{TreeBytes, TreeEntry, TreeRange};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Which keys, and in which order. Prefix and bounds all hold; with `reverse` the scan starts at
/// `end`.
#[derive(Clone, Copy, Debug)]
pub struct ScanRequest<'a> {
    /// Only keys that begin with this; empty means all.
    pub prefix: &'a [u8],
    /// Lowest key.
    pub start: Bound<&'a [u8]>,
    /// Highest key.
    pub end: Bound<&'a [u8]>,
    /// From the highest key down.
    pub reverse: bool,
}

impl Default for ScanRequest<'_> {
    fn default() -> Self {
        Self { prefix: &[], start: Bound::Unbounded, end: Bound::Unbounded, reverse: false }
    }
}

/// A key and its value.
#[derive(Debug)]
pub struct Item<S: SegmentStore> {
    /// The key as its user gave it.
    pub key: Vec<u8>,
    /// The value, read when asked for.
    pub value: ValueRef<S>,
    /// LSN of the record that wrote it.
    pub lsn: Lsn,
}

/// Iterator over keys and values of one snapshot. After an error it yields nothing more.
pub struct Scan<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    direction: Direction,
    memory: MemtableMerge,
    tree: Option<TreeRange>,
    tree_head: Option<(TreeBytes, TreeBytes)>,
    /// The far end, in storage form.
    far: Bound<Vec<u8>>,
    ended: bool,
}

/// What one key of either side comes to.
enum Step<S: SegmentStore> {
    Item(Item<S>),
    /// A removed key.
    Nothing,
    /// Behind the far end.
    Beyond,
}

impl<S: SegmentStore> Scan<S> {
    pub(crate) fn new(
        pin: Arc<Pin<S>>,
        lsn: Lsn,
        request: &ScanRequest<'_>,
    ) -> Result<Self, ReadError> {
        let (low, high) = bounds(request);
        let direction = if request.reverse { Direction::Backward } else { Direction::Forward };
        let (near, far) = match direction {
            Direction::Forward => (&low, &high),
            Direction::Backward => (&high, &low),
        };
        let near = near.as_ref().map(Vec::as_slice);
        let memory = MemtableMerge::new(&pin.view, lsn, near, direction);
        let empty = is_empty(&low, &high);
        let tree = if empty {
            None
        } else {
            let (low, high) = (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice));
            pin.view.tree.range(low, high)?
        };
        let far = far.clone();
        let mut scan = Self { pin, direction, memory, tree, tree_head: None, far, ended: empty };
        scan.advance_tree()?;
        Ok(scan)
    }

    fn advance_tree(&mut self) -> Result<(), TreeError> {
        let next = self.tree.as_mut().and_then(|range| match self.direction {
            Direction::Forward => range.next(),
            Direction::Backward => range.next_back(),
        });
        self.tree_head = next.transpose()?;
        Ok(())
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

    fn next_item(&mut self) -> Result<Option<Item<S>>, ReadError> {
        while let Some(side) = self.side() {
            let step = match side {
                Ordering::Less => self.step_memory(),
                Ordering::Equal => {
                    self.advance_tree()?;
                    self.step_memory()
                }
                Ordering::Greater => self.step_tree()?,
            };
            match step {
                Step::Item(item) => return Ok(Some(item)),
                Step::Nothing => {}
                Step::Beyond => break,
            }
        }
        self.ended = true;
        Ok(None)
    }

    fn step_memory(&mut self) -> Step<S> {
        let Some(version) = self.memory.next() else { return Step::Beyond };
        let found = match version.entry {
            Entry::Value(location) => Some(Place::Log(location)),
            Entry::Tombstone => None,
        };
        let found = found.map(|place| Found { lsn: version.lsn, place });
        self.step(version.key.as_bytes(), found)
    }

    fn step_tree(&mut self) -> Result<Step<S>, TreeError> {
        let corrupt = TreeError::Corrupt { table: TreeTable::Data };
        let (key, entry) = self.tree_head.take().ok_or(corrupt)?;
        let entry = TreeEntry::decode(entry.value()).ok_or(corrupt)?;
        let step = self.step(key.value(), Some(found(entry)));
        self.advance_tree()?;
        Ok(step)
    }

    fn step(&self, key: &[u8], found: Option<Found<S>>) -> Step<S> {
        if beyond(self.direction, key, &self.far) {
            return Step::Beyond;
        }
        match (kv::user_key(key), found) {
            (Some(user), Some(found)) => {
                let value = found.lazy(&self.pin);
                Step::Item(Item { key: user.into(), lsn: value.lsn(), value })
            }
            _ => Step::Nothing,
        }
    }
}

impl<S: SegmentStore> Iterator for Scan<S> {
    type Item = Result<Item<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_item();
        self.ended |= item.is_err();
        item.transpose()
    }
}

/// Lowest and highest key in storage form: the tighter of the bounds and the prefix.
fn bounds(request: &ScanRequest<'_>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let prefix = stored(request.prefix);
    let low = match request.start.map(stored) {
        Bound::Included(key) if key > prefix => Bound::Included(key),
        Bound::Excluded(key) if key >= prefix => Bound::Excluded(key),
        _ => Bound::Included(prefix.clone()),
    };
    let behind = successor(prefix);
    let high = match request.end.map(stored) {
        Bound::Included(key) if key < behind => Bound::Included(key),
        Bound::Excluded(key) if key < behind => Bound::Excluded(key),
        _ => Bound::Excluded(behind),
    };
    (low, high)
}

fn stored(user: &[u8]) -> Vec<u8> {
    core::iter::once(kv::PREFIX).chain(user.iter().copied()).collect()
}

/// The first key behind all that begin with `prefix`, which begins with the model's byte.
fn successor(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(above) = last.checked_add(1) {
            prefix.push(above);
            return prefix;
        }
    }
    Vec::from([kv::PREFIX_END])
}

fn is_empty(low: &Bound<Vec<u8>>, high: &Bound<Vec<u8>>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        _ => false,
    }
}

fn beyond(direction: Direction, key: &[u8], far: &Bound<Vec<u8>>) -> bool {
    match far {
        Bound::Included(far) => ordered(direction, key, far).is_gt(),
        Bound::Excluded(far) => ordered(direction, key, far).is_ge(),
        Bound::Unbounded => false,
    }
}

impl<S: SegmentStore> fmt::Debug for Scan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("direction", &self.direction).finish_non_exhaustive()
    }
}
