//! Writes to large objects: their parts and their limits.

use super::Model;
use super::Operation;
use super::transaction::head_of;
use crate::apply::MESSAGE_INDEX_BYTES;
use crate::engine::Engine;
use crate::errors::{TransactionError, WriteError};
use crate::memtable::{StorageKey, index_bytes};
use crate::models::object;
use crate::models::row::{head_bytes, index_bytes_of};
use unison_base::TxnId;
use unison_base::limits::{BATCH_BYTES_MAX, CHUNK_BYTES_MAX, INDEX_BYTES_MAX, KEY_MAX};
use unison_ports::SegmentStore;

impl<'a> Operation<'a> {
    /// Calls `visit` with every object, and its chunk unless it is deleted, until it fails.
    pub(super) fn try_each_object<E>(
        &self,
        mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        match *self {
            Self::PutChunk { object, chunk } => visit(object, Some(chunk)),
            Self::DeleteObjects(objects) => objects.iter().try_for_each(|id| visit(id, None)),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with every object, and its chunk unless it is deleted.
    pub(super) fn each_object(&self, mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        let visited: Result<(), core::convert::Infallible> =
            self.try_each_object(|object, chunk| {
                visit(object, chunk);
                Ok(())
            });
        let Ok(()) = visited;
    }

    /// Calls `visit` with every key, and the head of every row and object, in storage form, until it
    /// fails.
    pub(super) fn try_each_head<E>(
        &self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.try_each(|key, _| visit(head_of(Model::KeyValue, key).as_bytes()))?;
        self.try_each_row(|row, _| visit(head_of(Model::Row, row).as_bytes()))?;
        self.try_each_object(|object, _| visit(head_of(Model::Object, object).as_bytes()))
    }

    /// What it takes in the index, bytes.
    pub(super) fn index_bytes(&self) -> usize {
        let mut sum = 0_usize;
        let mut add = |bytes: usize| sum = sum.saturating_add(bytes);
        self.each(|key, _| add(index_bytes(key.len() + 1)));
        self.each_row(|row, part| {
            let names = part.iter().map(|(name, _)| name);
            add(index_bytes_of(head_bytes(row), names, INDEX_BYTES_MAX));
        });
        self.each_object(|object, _| add(object::index_bytes_of(&object::to_log(object))));
        if let Self::Publish(messages) | Self::PublishPattern(messages) = self {
            add(messages.len().saturating_mul(MESSAGE_INDEX_BYTES));
        }
        sum
    }
}

/// Refuses an operation on objects that breaks a limit.
pub(super) fn check(operation: &Operation<'_>, in_transaction: bool) -> Result<(), WriteError> {
    if operation.is_for_transactions() && !in_transaction {
        return Err(TransactionError::Missing.into());
    }
    let mut sum = Sum::default();
    operation.try_each_object(|object, chunk| {
        check_one(object, chunk)?;
        sum.add(object, chunk);
        sum.check(operation)
    })
}

fn check_one(object: &[u8], chunk: Option<&[u8]>) -> Result<(), WriteError> {
    if object.is_empty() || object.len() > KEY_MAX {
        return Err(WriteError::KeyLength { bytes: object.len(), limit: KEY_MAX });
    }
    match chunk.map_or(0, <[u8]>::len) {
        0..=CHUNK_BYTES_MAX => Ok(()),
        bytes => Err(WriteError::ChunkLength { bytes, limit: CHUNK_BYTES_MAX }),
    }
}

/// Bytes of the objects so far.
#[derive(Default)]
struct Sum {
    bytes: usize,
    index_bytes: usize,
}

impl Sum {
    fn add(&mut self, object: &[u8], chunk: Option<&[u8]>) {
        let bytes = object.len().saturating_add(chunk.map_or(0, <[u8]>::len));
        self.bytes = self.bytes.saturating_add(bytes);
        let index_bytes = object::index_bytes_of(&object::to_log(object));
        self.index_bytes = self.index_bytes.saturating_add(index_bytes);
    }

    fn check(&self, operation: &Operation<'_>) -> Result<(), WriteError> {
        if self.index_bytes > INDEX_BYTES_MAX {
            let (bytes, limit) = (self.index_bytes, INDEX_BYTES_MAX);
            return Err(WriteError::IndexBytes { bytes, limit });
        }
        if operation.len() > 1 && self.bytes > BATCH_BYTES_MAX {
            return Err(WriteError::BatchBytes { bytes: self.bytes, limit: BATCH_BYTES_MAX });
        }
        Ok(())
    }
}

impl<S: SegmentStore> Engine<S> {
    /// Bytes that an open transaction has put to a large object so far: where an upload goes on.
    ///
    /// # Errors
    /// Why the transaction does not go on.
    pub fn uploaded_bytes(&self, id: TxnId, object: &[u8]) -> Result<u64, TransactionError> {
        let key = StorageKey::from_storage(&id.0);
        match self.transactions.get(&key) {
            // It ends with the next write to it, or when transactions are tended.
            Some(open) if open.is_broken => Err(TransactionError::Failed),
            Some(open) => Ok(open.object_bytes(object::keys(object).head()).unwrap_or_default()),
            None => {
                let ending = self.transactions.ending(&key);
                Err(ending.map_or(TransactionError::Unknown, TransactionError::from))
            }
        }
    }
}
