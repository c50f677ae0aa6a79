//! The place of one watcher.

use super::record::{Objects, Stop, Telling, Visit};
use super::transaction::{self, Inside};
use super::{Change, ChangeFilter, ChangeId, ChangeModel};
use crate::apply::is_passed_over;
use crate::errors::{ChangesError, ReadError};
use crate::expiry::At;
use crate::models::topic::key::{self, KeyKind};
use crate::read::{Reader, Shared, View, epoch_key};
use crate::records::{Part, decode};
use crate::seal::Opener;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::ops::ControlFlow;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::{Bound, LogCursor, Record};

/// How far a reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// To the newest visible record.
    End,
    /// There is more: the caller broke off, or as much was read as it allowed.
    More,
}

/// How far a reading got: what another one with the same filter, at the same event of the same log,
/// can go on from without reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first event that was not told.
    next: ChangeId,
    /// The newest record that was looked at, and its checksum: what shows that the log has it still.
    seen: (Lsn, Option<u32>),
    cuts: u64,
}

/// Events of a namespace in the order of its log, each once.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::Arc;
/// use unison_engine::{ChangeFilter, ChangeId, Engine, EngineOptions, Reached, Write};
/// use unison_sim::disk::CrashDisk;
///
/// let now_ms = 1_700_000_000_000;
/// let disk = CrashDisk::new();
/// let tree = redb::Database::builder().create_with_backend(disk.tree("default"))?;
/// let store = Arc::new(disk.store("default"));
/// let (mut engine, _report) = Engine::open(store, tree, EngineOptions::default(), now_ms)?;
/// let mut changes = engine.reader().changes(ChangeFilter::default(), ChangeId::default());
///
/// engine.stage(&Write::put(b"door", b"open"), now_ms)?;
/// engine.append(now_ms)?;
/// let mut seen = Vec::new();
/// let mut read = |changes: &mut unison_engine::Changes<_>| {
///     changes.read(1 << 20, &mut |change| {
///         seen.push((change.id.to_string(), change.kind.name(), change.key.to_vec()));
///         ControlFlow::Continue(())
///     })
/// };
/// assert_eq!(read(&mut changes)?, Reached::End);
/// engine.publish(engine.appended());
/// assert_eq!(read(&mut changes)?, Reached::End);
/// assert_eq!(seen, [("1-0".to_owned(), "put", b"door".to_vec())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Changes<S: SegmentStore> {
    shared: Arc<Shared<S>>,
    filter: ChangeFilter,
    place: Place,
    cursor: Option<LogCursor<S>>,
    /// The record of `next`, some of which was told.
    open: Option<Record<S>>,
    /// How far the transaction was told that `open` commits.
    inside: Option<Inside>,
}

impl<S: SegmentStore> Reader<S> {
    /// The events behind one that is known: [`ChangeId::whole`] of [`applied`](Self::applied) for
    /// those that are to come, `ChangeId::default()` for all since the namespace was made.
    ///
    /// An event that is ahead of this node is waited for.
    #[must_use]
    pub fn changes(&self, filter: ChangeFilter, behind: ChangeId) -> Changes<S> {
        let behind = if behind.lsn == Lsn::ZERO { ChangeId::whole(Lsn::ZERO) } else { behind };
        let next = behind.next();
        let shared = Arc::clone(&self.shared);
        let cuts = shared.log.cuts();
        let last = behind.lsn;
        let crc = shared.log.locate(last).ok().map(|located| located.crc);
        let place = Place { next, seen: (last, crc), cuts };
        Changes { shared, filter, place, cursor: None, open: None, inside: None }
    }
}

impl<S: SegmentStore> Changes<S> {
    /// Tells `visit` of the events that are visible and wanted, until it breaks off behind one, or
    /// about `bytes` bytes of log were read.
    ///
    /// # Errors
    /// See [`ChangesError`]. Events before it were told.
    pub fn read(&mut self, bytes: usize, visit: Visit<'_>) -> Result<Reached, ChangesError> {
        let mut left = bytes.max(1);
        while left > 0 {
            let Some(record) = self.next_record()? else { return Ok(Reached::End) };
            left = left.saturating_sub(record.payload.len());
            match self.tell(&record, &mut left, visit) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(Stop::BrokenOff) => {
                    self.open = Some(record);
                    return Ok(Reached::More);
                }
                ControlFlow::Break(Stop::Name(error)) => {
                    self.open = Some(record);
                    return Err(ChangesError::Topic(error));
                }
                ControlFlow::Break(Stop::Log(error)) => {
                    self.open = Some(record);
                    return Err(error.into());
                }
            }
            self.place.next = ChangeId { lsn: record.lsn.next(), index: 0 };
        }
        Ok(Reached::More)
    }

    /// Finds the next event's record, if it is visible, and tells nothing: what a watcher is refused
    /// for it learns at once.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn check(&mut self) -> Result<(), ChangesError> {
        self.open = self.next_record()?;
        Ok(())
    }

    /// All events up to here were told or not wanted: what to come back with.
    #[must_use]
    pub const fn position(&self) -> ChangeId {
        let ChangeId { lsn, index } = self.place.next;
        match index {
            0 => ChangeId::whole(lsn.prev()),
            index => ChangeId { lsn, index: index - 1 },
        }
    }

    /// How many visible records are not read to their end.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.shared.applied().next().since(self.place.next.lsn)
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Goes on from where a reading got that was at this very [`place`](Self::place) before, with the
    /// same filter of the same namespace: the events between have been told.
    pub fn go_on_from(&mut self, place: &Place) {
        self.place.clone_from(place);
        (self.open, self.cursor, self.inside) = (None, None, None);
    }

    /// Lets go of the log's files, so that a watcher which does not come back for long holds up
    /// nothing. The next reading goes on at the same event, unless retention was faster.
    pub fn rest(&mut self) {
        if self.open.take().is_some() {
            self.cursor = None;
        }
        if let Some(cursor) = &mut self.cursor {
            cursor.rest();
        }
    }

    /// The record of the next event, once it is visible.
    fn next_record(&mut self) -> Result<Option<Record<S>>, ChangesError> {
        loop {
            self.check_history()?;
            if let Some(open) = self.open.take() {
                return Ok(Some(open));
            }
            if self.place.next.lsn > self.shared.applied() {
                return Ok(None);
            }
            let Some(record) = self.fetch()? else { return Ok(None) };
            if self.shared.log.cuts() != self.place.cuts {
                // Read from one history or the other: it is read again.
                self.cursor = None;
                continue;
            }
            if self.place.seen.0 == record.lsn
                && self.place.seen.1.is_some_and(|crc| crc != record.crc)
            {
                return Err(ChangesError::Rewritten { from: record.lsn });
            }
            self.place.seen = (record.lsn, Some(record.crc));
            return Ok(Some(record));
        }
    }

    fn fetch(&mut self) -> Result<Option<Record<S>>, ChangesError> {
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            none => none.insert(self.shared.log.cursor(self.place.next.lsn, Bound::Appended)?),
        };
        Ok(cursor.next()?)
    }

    /// After records at the end of the log were set aside: what was told must be in it still.
    fn check_history(&mut self) -> Result<(), ChangesError> {
        let cuts = self.shared.log.cuts();
        if cuts == self.place.cuts {
            return Ok(());
        }
        let (lsn, crc) = self.place.seen;
        let kept = match crc {
            Some(crc) => self.shared.log.locate(lsn).is_ok_and(|located| located.crc == crc),
            None => lsn <= self.shared.log.appended(),
        };
        if !kept {
            return Err(ChangesError::Rewritten { from: lsn });
        }
        (self.open, self.cursor, self.inside) = (None, None, None);
        self.place.cuts = cuts;
        Ok(())
    }

    /// Tells of the events of a record from `next` on. What is no record says nothing to a reader
    /// either.
    fn tell(
        &mut self,
        record: &Record<S>,
        left: &mut usize,
        visit: Visit<'_>,
    ) -> ControlFlow<Stop> {
        let Self { shared, filter, place, inside, .. } = self;
        let Ok(decoded) = decode(&record.payload) else { return ControlFlow::Continue(()) };
        let wants_topics = filter.models.contains(ChangeModel::Topic);
        let names = |kind, id| if wants_topics { name(shared, kind, id) } else { Ok(None) };
        let keys = |epoch| shared.view.with(|view| epoch_key(view, &shared.log, epoch));
        let mut telling = Telling {
            lsn: record.lsn,
            time_ms: decoded.hlc().millis(),
            index: 0,
            from: place.next,
            objects: Objects::default(),
            names: &names,
            keys: &keys,
            opener: Opener::new(shared.keys.load()),
            visit: &mut |change: &Change<'_>| {
                if !filter.wants(change) {
                    return ControlFlow::Continue(());
                }
                place.next = change.id.next();
                visit(change)
            },
        };
        match decoded.part() {
            Some(Part::Alone) if is_passed_over(&decoded, record.payload.len()) => {
                ControlFlow::Continue(())
            }
            Some(Part::Alone) => telling.record(&decoded),
            Some(Part::Commit(id)) => {
                transaction::each(&shared.log, &decoded, &id, inside, (&mut telling, left))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The name of a topic, or the text of a pattern: a record before the one that uses its id has it.
fn name<S: SegmentStore>(
    shared: &Shared<S>,
    kind: KeyKind,
    id: u64,
) -> Result<Option<String>, ReadError> {
    let key = key::by_id(kind, id);
    let find = |view: &View| -> Result<_, ReadError> {
        Ok(view.find::<S>(&key, At::newest(0))?.map(|found| found.load(&shared.log)))
    };
    let Some(value) = shared.view.with(find)?.transpose()? else { return Ok(None) };
    Ok(str::from_utf8(&value.bytes()?).ok().map(ToOwned::to_owned))
}

impl<S: SegmentStore> fmt::Debug for Changes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("position", &self.position())
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
