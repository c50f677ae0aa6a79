//! What the writer does about expiry: it raises the watermark, and it buries rows before it fills them
//! anew.

use super::{Operation, Write};
use crate::engine::Engine;
use crate::errors::{ReadError, WriteError};
use crate::expiry::{At, WATERMARK_KEY};
use crate::memtable::Entry;
use crate::models::row::RowKeys;
use crate::records::Head;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::{EXPIRE_TO, EntryType};

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
        let head = Head {
            lsn: self.log.next_lsn(),
            hlc: self.clock.tick(now_ms),
            durable: self.log.durable(),
            operation: EXPIRE_TO,
            entry: EntryType::KV,
        };
        self.encoder.begin(&head, 1);
        self.encoder.watermark(now_ms);
        self.encoder.finish();
        self.stage_record(now_ms)?;
        self.active.insert(&WATERMARK_KEY, head.lsn, Entry::Watermark(now_ms));
        self.due.pass(now_ms);
        self.count_frame();
        Ok(Some(head.lsn))
    }

    /// Deletes, by a record of its own, what is left of the rows that a write fills and that have
    /// expired: a replica that has removed such a row already, and one that has not, then hold the same.
    pub(super) fn bury(
        &mut self,
        operation: &Operation<'_>,
        now_ms: u64,
    ) -> Result<(), WriteError> {
        let Operation::PutColumns(rows) = operation else { return Ok(()) };
        let expired = self.expired_rows(rows.iter().map(|columns| columns.row), now_ms)?;
        if !expired.is_empty() {
            self.stage_write(&Write::new(Operation::DeleteRows(&expired)), now_ms)?;
        }
        Ok(())
    }

    /// Those of the rows that have expired and may still be there.
    pub(crate) fn expired_rows<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
        now_ms: u64,
    ) -> Result<Vec<&'a [u8]>, ReadError> {
        let now_ms = now_ms.max(self.active.watermark());
        self.shared.view.with(|view| {
            let mut expired = Vec::new();
            if view.earliest_expiry() > now_ms {
                return Ok(expired);
            }
            for row in rows {
                if view.cleared(RowKeys::new(row).head(), At::newest(now_ms))?.is_none() {
                    expired.push(row);
                }
            }
            Ok(expired)
        })
    }
}
