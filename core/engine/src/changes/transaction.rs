//! Events of a transaction: told at its commit, in the order of its records, without keeping any.
//!
//! The commit leads back to the beginning, from record to record; from there they are read forward.
//! What is broken off goes on at the record at hand, in either direction.

use super::ChangeKind;
use super::record::{Objects, Stop, Telling};
use crate::apply::is_passed_over;
use crate::memtable::StorageKey;
use crate::records::{Kind, Part, Record, decode};
use core::ops::ControlFlow;
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};
use unison_walfs::{Bound, LogReader, ReadError};

/// How far the telling of a transaction went.
pub(super) struct Inside {
    /// Its commit.
    commit: Lsn,
    step: Step,
    /// Which event the next record's first one is, and what was told of before it.
    index: u32,
    objects: Objects,
}

/// On the way back to the beginning, or forward from there.
#[derive(Clone, Copy)]
enum Step {
    /// The record to look at, which has to be below the other one.
    Back(Option<Position>, Lsn),
    /// The record to go on with.
    Forward(Lsn),
    /// It is not whole, or not understood: nothing of it happened.
    Nothing,
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
    let known = inside.take().filter(|inside| inside.commit == lsn);
    let mut here = known.unwrap_or_else(|| Inside {
        commit: lsn,
        step: Step::Back(commit.previous(), commit.lsn()),
        index: 0,
        objects: Objects::default(),
    });
    let told = go_on(log, id, &mut here, (telling, left))
        .unwrap_or_else(|error| ControlFlow::Break(Stop::Log(error)));
    if told.is_break() {
        *inside = Some(here);
    }
    told
}

fn go_on<S: SegmentStore>(
    log: &LogReader<S>,
    id: &StorageKey,
    inside: &mut Inside,
    (telling, left): (&mut Telling<'_>, &mut usize),
) -> Result<ControlFlow<Stop>, ReadError> {
    while let Step::Back(previous, below) = inside.step {
        inside.step = back(log, id, previous, below, left)?;
        if *left == 0 {
            return Ok(ControlFlow::Break(Stop::BrokenOff));
        }
    }
    forward(log, id, inside, (telling, left))
}

/// One step towards the beginning.
fn back<S: SegmentStore>(
    log: &LogReader<S>,
    id: &StorageKey,
    previous: Option<Position>,
    below: Lsn,
    left: &mut usize,
) -> Result<Step, ReadError> {
    let Some(at) = previous else { return Ok(Step::Nothing) };
    let found = log.record_at(at)?;
    *left = left.saturating_sub(found.payload.len());
    let Ok(record) = decode(&found.payload) else { return Ok(Step::Nothing) };
    let is_part = record.lsn() < below;
    let (lsn, previous) = (record.lsn(), record.previous());
    Ok(match record.part() {
        Some(Part::Begin(of)) if is_part && of.as_bytes() == id.as_bytes() => Step::Forward(lsn),
        Some(Part::Prepare(of)) if is_part && of.as_bytes() == id.as_bytes() => {
            let is_known =
                record.kind != Kind::Foreign && !is_passed_over(&record, found.payload.len());
            if is_known { Step::Back(previous, lsn) } else { Step::Nothing }
        }
        _ => Step::Nothing,
    })
}

fn forward<S: SegmentStore>(
    log: &LogReader<S>,
    id: &StorageKey,
    inside: &mut Inside,
    (telling, left): (&mut Telling<'_>, &mut usize),
) -> Result<ControlFlow<Stop>, ReadError> {
    let Step::Forward(mut at) = inside.step else { return Ok(ControlFlow::Continue(())) };
    let mut cursor = log.cursor(at, Bound::Appended)?;
    while at < inside.commit
        && let Some(found) = cursor.next()?
    {
        if let Ok(record) = decode(&found.payload)
            && let Some(Part::Prepare(of)) = record.part()
            && of.as_bytes() == id.as_bytes()
        {
            telling.index = inside.index;
            telling.objects = core::mem::take(&mut inside.objects);
            let told = telling.record(&record);
            inside.objects = core::mem::take(&mut telling.objects);
            if told.is_break() {
                return Ok(told);
            }
            inside.index = telling.index;
        }
        at = found.lsn.next();
        inside.step = Step::Forward(at);
        *left = left.saturating_sub(found.payload.len());
        if *left == 0 && at < inside.commit {
            return Ok(ControlFlow::Break(Stop::BrokenOff));
        }
    }
    Ok(ControlFlow::Continue(()))
}
