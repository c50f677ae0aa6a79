//! Large objects: their summary, and their chunks from any offset on.

use super::entries::{Bounds, Content, Entries};
use super::row::{Row, cell_of};
use super::value::{Found, Pin, Place, ValueRef};
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::{At, Expiry};
use crate::memtable::{Direction, ObjectSummary};
use crate::models::{object, successor};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_base::limits::KEY_MAX;
use unison_ports::SegmentStore;

/// A large object of a snapshot. Holding it keeps its bytes readable.
pub struct Object<S: SegmentStore> {
    row: Row<S>,
    summary: ObjectSummary,
}

impl<S: SegmentStore> Object<S> {
    pub(crate) fn find(pin: &Arc<Pin<S>>, key: &[u8], at: At) -> Result<Option<Self>, ReadError> {
        if key.is_empty() || key.len() > KEY_MAX {
            return Err(ReadError::KeyLength { bytes: key.len(), limit: KEY_MAX });
        }
        Self::find_head(pin, object::keys(key).head(), at)
    }

    pub(super) fn find_head(
        pin: &Arc<Pin<S>>,
        head: &[u8],
        at: At,
    ) -> Result<Option<Self>, ReadError> {
        let Some(row) = Row::find_head(pin, head, at)? else { return Ok(None) };
        let corrupt = TreeError::Corrupt { table: TreeTable::Data };
        let found = cell_of(&row, object::summary_cell())?.ok_or(corrupt)?;
        let Place::Inline(bytes) = found.place else { return Err(corrupt.into()) };
        let summary = ObjectSummary::decode(&bytes).ok_or(corrupt)?;
        Ok(Some(Self { row, summary }))
    }

    /// LSN of the record that committed it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.row.lsn()
    }

    /// Its length, bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.summary.bytes
    }

    /// True for an object of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// CRC-32 (IEEE) of all its bytes, which the readers of the whole object can compare.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.summary.checksum
    }

    /// How many chunks it has.
    #[must_use]
    pub fn chunks_len(&self) -> u32 {
        self.summary.chunks
    }

    /// Its chunks, from the one in which the byte at `offset` lies. Each is read when asked for, and
    /// checked against its own checksum.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn chunks(&self, offset: u64) -> Result<Chunks<S>, ReadError> {
        let head = self.row.head();
        let key = |offset: u64| [head, &object::chunk_cell(offset)].concat();
        let (first, end) = (Bound::Included(key(0)), Bound::Excluded(successor(head)));
        let upto = (first.clone(), Bound::Included(key(offset)));
        let first = match self.chunks_in(upto, Direction::Backward)?.next().transpose()? {
            Some(chunk) => Bound::Included(key(chunk.offset)),
            None => first,
        };
        self.chunks_in((first, end), Direction::Forward)
    }

    fn chunks_in(&self, bounds: Bounds, direction: Direction) -> Result<Chunks<S>, ReadError> {
        let entries = self.row.cells(bounds, direction)?;
        Ok(Chunks { entries, head: self.row.head().len(), cleared: self.row.cleared() })
    }
}

/// One chunk of a large object.
#[derive(Debug)]
pub struct Chunk<S: SegmentStore> {
    /// Where its first byte lies in the object.
    pub offset: u64,
    /// Its bytes, read when asked for.
    pub bytes: ValueRef<S>,
}

/// Iterator over chunks. After an error it yields nothing more.
pub struct Chunks<S: SegmentStore> {
    entries: Entries<S>,
    /// Bytes of the object's head.
    head: usize,
    /// Chunks up to this record belong to an object that is gone.
    cleared: Lsn,
}

impl<S: SegmentStore> Chunks<S> {
    fn next_chunk(&mut self) -> Result<Option<Chunk<S>>, ReadError> {
        while let Some(version) = self.entries.step()? {
            let cell = version.key().get(self.head..).unwrap_or_default();
            let offset = object::chunk_offset(cell);
            let offset = offset.ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
            if let Content::Value(place) = version.content
                && version.lsn > self.cleared
            {
                let bytes = Found { lsn: version.lsn, expiry: Expiry::NEVER, place }
                    .lazy(&self.entries.pin);
                return Ok(Some(Chunk { offset, bytes }));
            }
        }
        Ok(None)
    }
}

impl<S: SegmentStore> Iterator for Chunks<S> {
    type Item = Result<Chunk<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

/// Which large objects, in the order of their keys' bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectScanRequest<'a> {
    /// Keys begin with this.
    pub prefix: &'a [u8],
    /// Keys above this one: the last of the page before.
    pub after: Option<&'a [u8]>,
}

/// A large object in a list.
#[derive(Debug)]
pub struct ListedObject<S: SegmentStore> {
    /// Its key.
    pub key: Vec<u8>,
    /// The object.
    pub object: Object<S>,
}

/// Iterator over large objects. After an error it yields nothing more.
pub struct ObjectScan<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
    /// The rest of the range; `None` at its end.
    rest: Option<(Bound<Vec<u8>>, Vec<u8>)>,
}

impl<S: SegmentStore> ObjectScan<S> {
    pub(crate) fn new(pin: Arc<Pin<S>>, at: At, request: &ObjectScanRequest<'_>) -> Self {
        let prefix = object::start(request.prefix);
        let end = successor(&prefix);
        let after = request.after.map(|key| successor(object::keys(key).head()));
        let low = match after {
            Some(after) if after > prefix => after,
            _ => prefix,
        };
        Self { pin, at, rest: Some((Bound::Included(low), end)) }
    }

    fn next_object(&mut self) -> Result<Option<ListedObject<S>>, ReadError> {
        while let Some((low, end)) = self.rest.take() {
            let bounds = (low, object_end(end.clone()));
            let mut entries =
                Entries::new(Arc::clone(&self.pin), self.at, bounds, Direction::Forward)?;
            let Some(version) = entries.step()? else { return Ok(None) };
            let (head, _) = super::row::head_of(version.key())?;
            self.rest = Some((Bound::Included(successor(head)), end));
            if let Some(object) = Object::find_head(&self.pin, head, self.at)? {
                let key = crate::models::row::row_of(head);
                return Ok(Some(ListedObject { key, object }));
            }
        }
        Ok(None)
    }
}

/// Large objects are the last model: behind them there may be no key to name.
fn object_end(end: Vec<u8>) -> Bound<Vec<u8>> {
    if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) }
}

impl<S: SegmentStore> Iterator for ObjectScan<S> {
    type Item = Result<ListedObject<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let object = self.next_object().transpose();
        if matches!(object, Some(Err(_))) {
            self.rest = None;
        }
        object
    }
}

impl<S: SegmentStore> fmt::Debug for Object<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("lsn", &self.lsn()).field("len", &self.len()).finish()
    }
}

impl<S: SegmentStore> fmt::Debug for Chunks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for ObjectScan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectScan").field("at", &self.at.lsn).finish_non_exhaustive()
    }
}
