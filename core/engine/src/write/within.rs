//! Reads in a transaction that goes on.

use crate::engine::Engine;
use crate::errors::WriteError;
use crate::memtable::StorageKey;
use crate::read::{Reader, View, own};
use alloc::sync::Arc;
use unison_base::TxnId;
use unison_ports::SegmentStore;

impl<S: SegmentStore> Engine<S> {
    /// A reader of everything that is staged, whether it is published or not: what the next write's
    /// condition is compared with. Good until then. Appends what is staged, for that is where values are
    /// read from.
    ///
    /// # Errors
    /// What is staged could not be appended, and is gone.
    pub fn staged_reader(&mut self, now_ms: u64) -> Result<Reader<S>, WriteError> {
        let appended = self.append_staged()?;
        let shared = self.shared.fixed(self.shared.view.load(), appended);
        Ok(Reader { shared, now_ms })
    }

    /// The same for an open transaction, which sees what it has done itself. A version of its own is the
    /// record of the transaction that wrote it, until it is committed. Messages that it publishes have
    /// no place before that: it does not see them, but knows the topics that it names.
    ///
    /// # Errors
    /// As [`staged_reader`](Self::staged_reader), or the transaction does not go on.
    pub fn reader_within(&mut self, id: TxnId, now_ms: u64) -> Result<Reader<S>, WriteError> {
        let id = StorageKey::from_storage(&id.0);
        self.is_going_on(&id, now_ms)?;
        let appended = self.append_staged()?;
        let view = self.view_within(&id);
        let shared = self.shared.fixed(view, own(appended));
        Ok(Reader { shared, now_ms })
    }

    /// What a transaction sees.
    pub(super) fn view_within(&mut self, id: &StorageKey) -> Arc<View> {
        let view = self.shared.view.load();
        match self.transactions.own(id) {
            Some(own) => Arc::new(View::within(own, &view)),
            None => view,
        }
    }
}
