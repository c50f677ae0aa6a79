//! Conditions, and what was there before.

use super::{Condition, Write};
use crate::engine::Engine;
use crate::errors::WriteError;
use crate::memtable::StorageKey;
use crate::models::kv;
use crate::read::{Found, Place, ValueRef};
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::EntryType;

/// What the keys of a write were before it.
pub(super) struct Before<S: SegmentStore> {
    pub(super) previous: Option<ValueRef<S>>,
    pub(super) existed: Option<bool>,
    pub(super) existing_keys: u32,
}

impl<S: SegmentStore> Engine<S> {
    /// Looks at the keys of a write when it asks for that, and checks its condition for each.
    pub(super) fn look_before(&mut self, write: &Write<'_>) -> Result<Before<S>, WriteError> {
        let mut before = Before { previous: None, existed: None, existing_keys: 0 };
        if write.condition == Condition::Always && !write.want_previous {
            return Ok(before);
        }
        if write.operation.kind().1 == EntryType::Row {
            let rows = self.look_at_rows(write)?;
            before.existed = Some(rows.existed);
            before.existing_keys = rows.existing;
            return Ok(before);
        }
        let mut newest = None;
        write.operation.try_each(|key, _| {
            newest = self.newest(&StorageKey::prefixed(kv::PREFIX, key))?;
            before.existing_keys += u32::from(newest.is_some());
            allowed(write.condition, newest.as_ref().map(|found| found.lsn))
        })?;
        before.existed = Some(before.existing_keys > 0);
        if write.want_previous && !write.operation.is_batch() {
            before.previous = newest.map(|found| self.previous(found)).transpose()?;
        }
        Ok(before)
    }

    /// The newest version of a key, staged ones included.
    fn newest(&self, key: &StorageKey) -> Result<Option<Found<S>>, WriteError> {
        Ok(self.shared.view.with(|view| view.find(key.as_bytes(), Lsn::MAX))?)
    }

    /// Bytes of a staged record can be read only when they are in the log.
    fn previous(&mut self, found: Found<S>) -> Result<ValueRef<S>, WriteError> {
        if matches!(found.place, Place::Log(_)) && found.lsn > self.log.appended() {
            self.append_staged()?;
        }
        Ok(found.load(&self.shared.log)?)
    }
}

pub(super) fn allowed(condition: Condition, current: Option<Lsn>) -> Result<(), WriteError> {
    let holds = match condition {
        Condition::Always => true,
        Condition::Absent => current.is_none(),
        Condition::Present => current.is_some(),
        Condition::UnchangedSince(lsn) => current.unwrap_or(Lsn::ZERO) == lsn,
    };
    if holds { Ok(()) } else { Err(WriteError::Conflict { current }) }
}
