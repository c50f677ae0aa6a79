//! The end of an engine.

use super::Engine;
use unison_ports::SegmentStore;
use unison_walfs::SyncError;

impl<S: SegmentStore> Engine<S> {
    /// Syncs the log and closes it. What was staged and not appended is forgotten; what memory holds
    /// and the tree does not is replayed at the next start.
    ///
    /// # Errors
    /// The sync failed: records above [`durable`](Self::durable) may be lost.
    pub fn close(self) -> Result<(), SyncError> {
        self.log.close()
    }
}
