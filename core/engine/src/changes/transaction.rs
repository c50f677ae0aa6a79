//! Events of a transaction: told at its commit, in the order of its records, without keeping any.
//!
//! The commit leads back to the beginning, from record to record; from there they are read forward.
//! What is broken off goes on at the record at hand.

use super::ChangeKind;
use super::record::{Objects, Stop, Telling};
use crate::apply::is_passed_over;
use crate::memtable::StorageKey;
use crate::records::{Kind, Part, Record, decode};
use core::ops::ControlFlow;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};
use unison_walfs::{Bound, LogReader, ReadError};

/// How far the telling of a transaction went.
pub(super) struct Inside {
    /// Its commit.
    commit: Lsn,
    /// The record to go on with, which event its first one is, and what was told of before it.
    at: Lsn,
    index: u32,
    objects: Objects,
}

/// Tells of the events of the transaction that `commit` ends, through `left` bytes of log.
pub(super) fn each<S: SegmentStore>(
    log: &LogReader<S>,
    commit: &Record<'_>,
    id: &StorageKey,
    inside: &mut Option<Inside>,
    (telling, left): (&mut Telling<'_>, &mut usize),
) -> ControlFlow<Stop> {
    if commit.type_of_change() == (OperationType::Insert, EntryType::Chunked) {
        // It names the one large object that all its records are parts of.
        return telling.objects(commit, ChangeKind::Put);
    }
    let lsn = telling.lsn;
    let begun = match inside.take().filter(|inside| inside.commit == lsn) {
        Some(inside) => inside,
        None => match beginning(log, commit, id) {
            Ok(Some(at)) => Inside { commit: lsn, at, index: 0, objects: Objects::default() },
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => return ControlFlow::Break(Stop::Log(error)),
        },
    };
    match forward(log, id, inside.insert(begun), (telling, left)) {
        Ok(ControlFlow::Continue(())) => {
            *inside = None;
            ControlFlow::Continue(())
        }
        Ok(stop) => stop,
        Err(error) => ControlFlow::Break(Stop::Log(error)),
    }
}

/// Where a transaction begins; `None` when it is not whole, or not understood, so that nothing of it
/// happened.
fn beginning<S: SegmentStore>(
    log: &LogReader<S>,
    commit: &Record<'_>,
    id: &StorageKey,
) -> Result<Option<Lsn>, ReadError> {
    let (mut previous, mut below) = (commit.previous(), commit.lsn());
    while let Some(at) = previous {
        let found = log.record_at(at)?;
        let Ok(record) = decode(&found.payload) else { return Ok(None) };
        if record.lsn() >= below {
            return Ok(None);
        }
        below = record.lsn();
        match record.part() {
            Some(Part::Begin(of)) if of.as_bytes() == id.as_bytes() => return Ok(Some(below)),
            Some(Part::Prepare(of)) if of.as_bytes() == id.as_bytes() => {
                if record.kind == Kind::Foreign || is_passed_over(&record, found.payload.len()) {
                    return Ok(None);
                }
            }
            _ => return Ok(None),
        }
        previous = record.previous();
    }
    Ok(None)
}

fn forward<S: SegmentStore>(
    log: &LogReader<S>,
    id: &StorageKey,
    inside: &mut Inside,
    (telling, left): (&mut Telling<'_>, &mut usize),
) -> Result<ControlFlow<Stop>, ReadError> {
    let mut cursor = log.cursor(inside.at, Bound::Appended)?;
    while inside.at < inside.commit
        && let Some(found) = cursor.next()?
    {
        if let Ok(record) = decode(&found.payload)
            && let Some(Part::Prepare(of)) = record.part()
            && of.as_bytes() == id.as_bytes()
        {
            telling.index = inside.index;
            telling.objects = inside.objects.clone();
            if let stop @ ControlFlow::Break(_) = telling.record(&record) {
                return Ok(stop);
            }
            inside.index = telling.index;
            inside.objects = core::mem::take(&mut telling.objects);
        }
        inside.at = found.lsn.next();
        *left = left.saturating_sub(found.payload.len());
        if *left == 0 && inside.at < inside.commit {
            return Ok(ControlFlow::Break(Stop::BrokenOff));
        }
    }
    Ok(ControlFlow::Continue(()))
}
