//! Conditions, and what was there before.

use super::transaction::head_of;
use super::{Condition, Model, Write, Written};
use crate::engine::Engine;
use crate::errors::{ReadError, WriteError};
use crate::expiry::At;
use crate::memtable::StorageKey;
use crate::models::kv;
use crate::read::{Found, Pin, Place, Row, ValueRef, View, record_of};
use alloc::sync::Arc;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::EntryType;

/// What the keys of a write were before it.
pub(super) struct Before<S: SegmentStore> {
    pub(super) previous: Option<ValueRef<S>>,
    pub(super) existed: Option<bool>,
    pub(super) existing_keys: u32,
}

impl<S: SegmentStore> Before<S> {
    /// With the record that the write became.
    pub(super) fn written(self, lsn: Lsn) -> Written<S> {
        let Self { previous, existed, existing_keys } = self;
        Written { previous, existed, existing_keys, ..Written::plain(lsn) }
    }
}

impl<S: SegmentStore> Engine<S> {
    /// Looks at the keys of a write when it asks for that, and checks its condition for each. What
    /// has expired by the caller's clock is not there any more. Of a write in a transaction the view is
    /// the transaction's own.
    pub(super) fn look_before(
        &mut self,
        write: &Write<'_>,
        view: impl FnOnce(&mut Self) -> Arc<View>,
        now_ms: u64,
    ) -> Result<Before<S>, WriteError> {
        let mut before = Before { previous: None, existed: None, existing_keys: 0 };
        if !write.has_condition() && !write.want_previous {
            return Ok(before);
        }
        let view = view(self);
        let (existed, existing) = match write.operation.kind().1 {
            EntryType::Row => {
                let rows = self.look_at_rows(write, &view, now_ms)?;
                (rows.existed, rows.existing)
            }
            EntryType::Chunked => {
                let objects = self.look_at_objects(write, &view, now_ms)?;
                (objects > 0, objects)
            }
            _ => {
                let keys = self.look_at_keys(write, &view, now_ms, &mut before)?;
                (keys > 0, keys)
            }
        };
        before.existed = Some(existed);
        before.existing_keys = existing;
        Ok(before)
    }

    fn look_at_keys(
        &mut self,
        write: &Write<'_>,
        view: &View,
        now_ms: u64,
        before: &mut Before<S>,
    ) -> Result<u32, WriteError> {
        let (mut newest, mut existing) = (None, 0);
        write.operation.try_each(|key, _| {
            let key = StorageKey::prefixed(kv::PREFIX, key);
            newest = view.find(key.as_bytes(), At::newest(now_ms))?;
            existing += u32::from(newest.is_some());
            allowed(write, newest.as_ref().map(|found| record_of(found.lsn)))
        })?;
        if write.want_previous && !write.operation.is_batch() {
            before.previous = newest.map(|found| self.previous(found)).transpose()?;
        }
        Ok(existing)
    }

    fn look_at_objects(
        &self,
        write: &Write<'_>,
        view: &Arc<View>,
        now_ms: u64,
    ) -> Result<u32, WriteError> {
        let mut existing = 0;
        write.operation.try_each_object(|object, _| {
            let head = head_of(Model::Object, object);
            let version = self.version_in(view, head.as_bytes(), now_ms)?;
            existing += u32::from(version.is_some());
            allowed(write, version)
        })?;
        Ok(existing)
    }

    /// Version of a key, or of a row or object by its head, staged ones included.
    pub(super) fn version_in(
        &self,
        view: &Arc<View>,
        key: &[u8],
        now_ms: u64,
    ) -> Result<Option<Lsn>, ReadError> {
        let at = At::newest(now_ms);
        if kv::user_key(key).is_some() {
            return Ok(view.find::<S>(key, at)?.map(|found| record_of(found.lsn)));
        }
        let pin = Arc::new(Pin { view: Arc::clone(view), log: self.shared.log.clone() });
        Ok(Row::find_head(&pin, key, at)?.as_ref().map(Row::lsn))
    }

    /// Bytes of a staged record can be read only when they are in the log.
    fn previous(&mut self, found: Found<S>) -> Result<ValueRef<S>, WriteError> {
        if matches!(found.place, Place::Log(_)) && record_of(found.lsn) > self.log.appended() {
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
