//! One bound on what the open transactions of all namespaces take in memory.

use super::queue::{CommitQueue, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use unison_engine::{Engine, Operation, TransactionError, Write, WriteError};

/// What they take unless told otherwise, bytes.
const BYTES_DEFAULT: usize = 128 << 20;

/// The bytes there are.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(BYTES_DEFAULT) }
    }
}

impl Budget {
    pub(crate) fn limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Refuses what would add to them while there are enough. What one write adds may come on top.
    fn admit(&self, write: &Write<'_>) -> Result<(), WriteError> {
        let adds = write.transaction.is_some()
            && !matches!(write.operation, Operation::Commit(_) | Operation::Abort);
        let limit = self.limit.load(Ordering::Relaxed);
        if adds && self.used.load(Ordering::Relaxed) >= limit {
            return Err(TransactionError::NodeFull { limit }.into());
        }
        Ok(())
    }
}

/// The part of one namespace; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    fn resize(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl State {
    /// Counts anew what the open transactions take.
    pub(super) fn count_transactions(&mut self) {
        let bytes = self.engine.as_ref().map_or(0, Engine::transactions_bytes);
        self.transactions.resize(bytes);
    }
}

impl CommitQueue {
    /// Refuses a write of a transaction for which there is no room on this node.
    pub(super) fn admit(&self, write: &Write<'_>) -> Result<(), WriteError> {
        self.shared.transactions.admit(write)
    }
}
