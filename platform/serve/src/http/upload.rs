//! Bytes of a body on their way into a large object: chunk by chunk, each a record of its own, so
//! that an object of any size costs the memory of one chunk.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::HeaderMap;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use unison_base::TxnId;
use unison_base::limits::{CHUNK_BYTES_MAX, OBJECT_BYTES_MAX};
use unison_engine::{Condition, Operation, TransactionError, Write, WriteError};
use unison_linux::SystemEntropy;
use unison_linux::store::Namespace;
use unison_ports::Entropy as _;

use super::body::{announced, patience};
use super::error::ApiError;
use super::turns::Turn;
use crate::commit::commit_one;
use crate::node::Node;

/// Identity of a new transaction.
pub(super) fn new_transaction() -> TxnId {
    let mut id = [0; 16];
    SystemEntropy.fill(&mut id);
    TxnId(id)
}

/// Where the chunks go.
pub(super) struct Upload<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) transaction: TxnId,
    pub(super) object: &'a [u8],
    /// What must hold for the first chunk, and again at the commit.
    pub(super) condition: Condition,
    /// Bytes put so far.
    pub(super) bytes: u64,
    /// Where others could add to the object too.
    pub(super) turn: Option<Turn>,
}

/// Refuses a body that is announced as larger than an object may be.
pub(super) fn check_announced(headers: &HeaderMap) -> Result<(), ApiError> {
    let limit = OBJECT_BYTES_MAX;
    let above = announced(headers).is_some_and(|bytes| bytes > limit);
    let error = || WriteError::Transaction(TransactionError::ObjectBytes { limit });
    if above { Err(error().into()) } else { Ok(()) }
}

impl Upload<'_> {
    /// Puts the whole body. What came before an error stays in the transaction.
    pub(super) async fn receive(&mut self, node: &Node, mut body: Body) -> Result<(), ApiError> {
        let began = Instant::now();
        let mut share = node.input.share();
        if !share.resize(CHUNK_BYTES_MAX) {
            return Err(ApiError::TooMuchInput);
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
        let mut received = 0;
        loop {
            let left = patience(began.elapsed(), received);
            let frame = tokio::time::timeout(left, body.frame()).await;
            let Some(frame) = frame.map_err(|_| ApiError::TooSlow)? else { break };
            let broken = |_| ApiError::Malformed("the body is broken off".to_owned());
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            received += data.len();
            self.take(&mut chunk, &data).await?;
        }
        if !chunk.is_empty() || self.bytes == 0 {
            self.put(&chunk).await?;
        }
        Ok(())
    }

    /// Adds bytes to a chunk; it is put whenever it is full.
    async fn take(&mut self, chunk: &mut Vec<u8>, mut data: &[u8]) -> Result<(), ApiError> {
        while !data.is_empty() {
            let room = CHUNK_BYTES_MAX.saturating_sub(chunk.len());
            let (now, later) = data.split_at_checked(room).unwrap_or((data, &[]));
            chunk.extend_from_slice(now);
            data = later;
            if chunk.len() >= CHUNK_BYTES_MAX {
                self.put(chunk).await?;
                chunk.clear();
            }
        }
        Ok(())
    }

    /// Puts a chunk, or parts of it where segments are smaller than a chunk.
    async fn put(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let turn = self.turn.take();
        let held = match &turn {
            Some(turn) => Some(turn.hold().await.ok_or(ApiError::UploadTaken)?),
            None => None,
        };
        let put = self.put_parts(chunk).await;
        drop(held);
        self.turn = turn;
        put
    }

    async fn put_parts(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let mut parts = vec![chunk];
        while let Some(part) = parts.pop() {
            match self.put_record(part).await {
                Ok(()) => self.bytes += part.len() as u64,
                Err(WriteError::RecordTooLarge { .. }) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn put_record(&mut self, chunk: &[u8]) -> Result<(), WriteError> {
        let operation = Operation::PutChunk { object: self.object, chunk };
        let condition = std::mem::take(&mut self.condition);
        let write = Write { condition, ..Write::new(operation).within(self.transaction) };
        let outcome = commit_one(self.namespace, write).await;
        if outcome.is_err() {
            self.condition = condition;
        }
        outcome.map(|_| ())
    }
}

/// Aborts a transaction that nobody else can end, unless it is disarmed: the client may go away at
/// any point.
pub(super) struct AbortOnDrop(Option<(Arc<Namespace>, TxnId)>);

impl AbortOnDrop {
    pub(super) fn new(namespace: &Arc<Namespace>, transaction: TxnId) -> Self {
        Self(Some((Arc::clone(namespace), transaction)))
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

/// If it fails, or the node stops before, the transaction times out, and nothing of it was ever visible.
fn abort(namespace: &Namespace, transaction: TxnId) {
    let abort = Write::new(Operation::Abort).within(transaction);
    namespace.submit(&[abort], Box::new(|_| {}));
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let Some((namespace, transaction)) = self.0.take() else { return };
        match Handle::try_current() {
            // A thread that serves others too must not wait for whoever holds the writer.
            Ok(runtime) => drop(runtime.spawn(async move {
                let _turn = namespace.turn().await;
                abort(&namespace, transaction);
            })),
            Err(_) => abort(&namespace, transaction),
        }
    }
}

#[cfg(test)]
mod tests;
