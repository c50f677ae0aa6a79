//! Conditions, and what was there before.

use super::transaction::head_of;
use super::{Condition, Model, Operation, Write};
use crate::engine::Engine;
use crate::errors::WriteError;
use crate::expiry::At;
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
    /// Looks at the keys of a write when it asks for that, and checks its condition for each. What
    /// has expired by the caller's clock is not there any more.
    pub(super) fn look_before(
        &mut self,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Before<S>, WriteError> {
        let mut before = Before { previous: None, existed: None, existing_keys: 0 };
        if !write.has_condition() && !write.want_previous {
            return Ok(before);
        }
        if write.operation.kind().1 == EntryType::Row {
            let rows = self.look_at_rows(write, now_ms)?;
            before.existed = Some(rows.existed);
            before.existing_keys = rows.existing;
            return Ok(before);
        }
        if let Operation::DeleteObjects(objects) = write.operation {
            for object in objects {
                let version =
                    self.newest_version(head_of(Model::Object, object).as_bytes(), now_ms)?;
                before.existing_keys += u32::from(version.is_some());
                allowed(write, version)?;
            }
            before.existed = Some(before.existing_keys > 0);
            return Ok(before);
        }
        let mut newest = None;
        write.operation.try_each(|key, _| {
            newest = self.newest(&StorageKey::prefixed(kv::PREFIX, key), At::newest(now_ms))?;
            before.existing_keys += u32::from(newest.is_some());
            allowed(write, newest.as_ref().map(|found| found.lsn))
        })?;
        before.existed = Some(before.existing_keys > 0);
        if write.want_previous && !write.operation.is_batch() {
            before.previous = newest.map(|found| self.previous(found)).transpose()?;
        }
        Ok(before)
    }

    /// The newest version of a key, staged ones included.
    fn newest(&self, key: &StorageKey, at: At) -> Result<Option<Found<S>>, WriteError> {
        Ok(self.shared.view.with(|view| view.find(key.as_bytes(), at))?)
    }

    /// Bytes of a staged record can be read only when they are in the log.
    fn previous(&mut self, found: Found<S>) -> Result<ValueRef<S>, WriteError> {
        if matches!(found.place, Place::Log(_)) && found.lsn > self.log.appended() {
            self.append_staged()?;
        }
        Ok(found.load(&self.shared.log)?)
    }
}

/// Whether the condition of a write holds for a key or a row. What shall expire at another time has to
/// be there.
pub(super) fn allowed(write: &Write<'_>, current: Option<Lsn>) -> Result<(), WriteError> {
    let holds = match write.condition {
        _ if write.operation.expires_only() && current.is_none() => false,
        Condition::Always => true,
        Condition::Absent => current.is_none(),
        Condition::Present => current.is_some(),
        Condition::UnchangedSince(lsn) => current.unwrap_or(Lsn::ZERO) == lsn,
    };
    if holds { Ok(()) } else { Err(WriteError::Conflict { current }) }
}
