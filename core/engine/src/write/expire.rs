//! What the writer does about expiry: it raises the watermark, and says of every row that it changes
//! when the row expires.

use super::Write;
use crate::engine::Engine;
use crate::errors::{ReadError, WriteError};
use crate::expiry::{At, Expiry, WATERMARK_KEY};
use crate::memtable::Entry;
use crate::read::{Pin, Row};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};

impl<S: SegmentStore> Engine<S> {
    /// When the next key or row expires that is behind the watermark, not too late, perhaps too early;
    /// `None` when none does.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn next_expiry(&self) -> Result<Option<u64>, ReadError> {
        let watermark = self.active.watermark();
        let flushed = self.shared.view.with(|view| match view.tree.earliest_expiry {
            u64::MAX => Ok(None),
            _ => view.tree.next_expiry(watermark),
        })?;
        Ok(flushed.into_iter().chain(self.due.next(watermark)).min())
    }

    /// Raises the watermark of expiry to `now_ms` when something has expired since: stages a record
    /// that says so, which every replica applies. A clock that went back raises nothing.
    ///
    /// # Errors
    /// Nothing is staged then; as [`stage`](Self::stage).
    pub fn expire(&mut self, now_ms: u64) -> Result<Option<Lsn>, WriteError> {
        if self.next_expiry()?.is_none_or(|next| next > now_ms) {
            return Ok(None);
        }
        self.accepting()?;
        self.raise(now_ms).map(Some)
    }

    /// Makes a flush due when something has been there for
    /// [`removal_delay_ms`](crate::EngineOptions::removal_delay_ms) after it expired, so that its space
    /// comes back although nobody writes. True when one is due for that now. While the tree has more to
    /// remove, that goes on without one: what others write meanwhile waits for its own. Whoever owns the
    /// engine calls this now and then.
    pub fn free_expired(&mut self, now_ms: u64) -> bool {
        let (watermark, delay_ms) = (self.active.watermark(), self.options.removal_delay_ms);
        let earliest = self.shared.view.with(|view| view.earliest_expiry());
        let gone_for_long = now_ms.max(watermark) >= earliest.saturating_add(delay_ms);
        // One that waits makes a flush due already, and where that has no room the next ones would
        // take what room for writes there is.
        let may_freeze =
            self.frozen_memtables == 0 && self.log.staged_bytes() == 0 && !self.active.is_empty();
        let due =
            earliest <= watermark && gone_for_long && may_freeze && !self.has_more_to_remove();
        if due {
            self.freeze();
        }
        due
    }

    fn raise(&mut self, now_ms: u64) -> Result<Lsn, WriteError> {
        let lsn = self.begin_record((OperationType::ExpireTo, EntryType::KV), None, 1, now_ms);
        self.encoder.watermark(now_ms);
        self.encoder.finish();
        self.stage_record(now_ms)?;
        self.active.insert(&WATERMARK_KEY, lsn, Entry::Watermark(now_ms));
        self.count_frame();
        Ok(lsn)
    }

    /// When each row of a write expires from now on: as the write says, or when it did before. Empty
    /// when none does.
    ///
    /// A row that has expired by the caller's clock and not by the watermark begins anew with this
    /// write. So that it does everywhere, the watermark is raised first.
    pub(super) fn expiries(
        &mut self,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Vec<Expiry>, WriteError> {
        let earliest = self.shared.view.with(|view| view.earliest_expiry());
        if !write.operation.keeps_expiry() || earliest == u64::MAX {
            return Ok(Vec::new());
        }
        let (view, log) = (self.shared.view.load(), self.shared.log.clone());
        let pin = Arc::new(Pin { view, log });
        let asked = write.expiry();
        let (mut expiries, mut late) = (Vec::with_capacity(write.operation.len()), false);
        write.operation.try_each_row(|row, _| {
            let before = Row::find(&pin, row, At::newest(0))?;
            let before = Expiry(before.map_or(0, |row| row.expires_at()));
            late |= before.is_past(now_ms);
            let kept = if before.is_past(now_ms) { Expiry::NEVER } else { before };
            expiries.push(if asked.is_set() { asked } else { kept });
            Ok::<(), ReadError>(())
        })?;
        if late {
            self.raise(now_ms)?;
        }
        Ok(expiries)
    }
}
