//! Transactions: any mix of writes, visible at once or never.
//!
//! ```text
//! Begin ── Prepare ── Prepare ── ... ── Commit     each a record of its own, between those of others
//!             └────────────┴──────> what will change, in memory ──> memtable, as of the Commit
//! ```
//!
//! What was written waits in the table of open transactions, which every node makes from the records
//! alone. All versions have the LSN of the commit, so a snapshot sees all of them or none.

use super::{Check, Model, Operation, Write, Written};
use crate::apply::{Ending, Kinds, Open};
use crate::engine::Engine;
use crate::errors::{ReadError, TransactionError, WriteError};
use crate::expiry::{At, Expiry};
use crate::memtable::{Entry, RowChange, StorageKey, index_bytes};
use crate::models::row::{RowKeys, row_of};
use crate::models::{kv, object};
use crate::read::{Pin, Row};
use crate::records::{Head, IdBytes, InTransaction, TypeOfChange};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::limits::{
    BATCH_OPERATIONS_MAX, KEY_MAX, OBJECT_BYTES_MAX, TRANSACTION_INDEX_BYTES_MAX,
    TRANSACTIONS_INDEX_BYTES_MAX, TRANSACTIONS_MAX,
};
use unison_base::{Lsn, TxnId};
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType, TxnState};
use unison_walfs::LogRole;

/// Keys and heads in storage form, with the versions that they have.
type Versions = Vec<(StorageKey, Lsn)>;

/// Refuses a commit that asks for too much.
pub(super) fn check(operation: &Operation<'_>) -> Result<(), WriteError> {
    let Operation::Commit(checks) = *operation else { return Ok(()) };
    if checks.len() > BATCH_OPERATIONS_MAX {
        let (operations, limit) = (checks.len(), BATCH_OPERATIONS_MAX);
        return Err(WriteError::BatchOperations { operations, limit });
    }
    let length = |check: &Check<'_>| check.key.len();
    match checks.iter().map(length).find(|bytes| !(1..=KEY_MAX).contains(bytes)) {
        Some(bytes) => Err(WriteError::KeyLength { bytes, limit: KEY_MAX }),
        None => Ok(()),
    }
}

impl<S: SegmentStore> Engine<S> {
    /// Stages a record of a transaction.
    pub(super) fn stage_in_transaction(
        &mut self,
        id: TxnId,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Written<S>, WriteError> {
        let key = StorageKey::from_storage(&id.0);
        if let Operation::Begin = write.operation {
            return self.begin(&key, now_ms);
        }
        self.is_going_on(&key, now_ms)?;
        match write.operation {
            Operation::Abort => self.end(&key, Ending::Aborted, now_ms).map(Written::plain),
            Operation::Commit(checks) => self.commit(&key, checks, now_ms),
            Operation::Publish(messages) | Operation::PublishPattern(messages) => {
                let lsn = self.stage_messages(&write.operation, messages, Some(&key), now_ms)?;
                if let Some(open) = self.transactions.get_mut(&key) {
                    open.used(now_ms);
                }
                Ok(Written::plain(lsn))
            }
            _ if write.operation.kind().1 == EntryType::Event => {
                Err(TransactionError::Topics.into())
            }
            _ => self.prepare(&key, write, now_ms),
        }
    }

    fn begin(&mut self, key: &StorageKey, now_ms: u64) -> Result<Written<S>, WriteError> {
        self.tend_transactions(now_ms)?;
        if self.transactions.get(key).is_some() || self.transactions.ending(key).is_some() {
            return Err(TransactionError::Exists.into());
        }
        if self.transactions.len() >= TRANSACTIONS_MAX {
            return Err(TransactionError::TooMany { limit: TRANSACTIONS_MAX }.into());
        }
        let id = IdBytes::new(key.as_bytes());
        let part = InTransaction { id, state: TxnState::Begin, previous: None };
        let lsn = self.mark(part, now_ms)?;
        if let Some(open) = self.transactions.get_mut(key) {
            open.used(now_ms);
        }
        Ok(Written::plain(lsn))
    }

    /// Whether something can be added to a transaction. One that took too long ends here.
    pub(super) fn is_going_on(&mut self, key: &StorageKey, now_ms: u64) -> Result<(), WriteError> {
        self.transactions.tick(now_ms);
        let Some(open) = self.transactions.get(key) else {
            let ending = self.transactions.ending(key);
            return Err(ending.map_or(TransactionError::Unknown, TransactionError::from).into());
        };
        let ending = match open {
            open if open.is_broken => Ending::Failed,
            open if self.took_too_long(open, now_ms) => Ending::TimedOut,
            _ => return Ok(()),
        };
        self.end(key, ending, now_ms)?;
        Err(TransactionError::from(ending).into())
    }

    fn took_too_long(&self, open: &Open, now_ms: u64) -> bool {
        let (idle_ms, total_ms) = open.age_ms(now_ms);
        idle_ms > self.options.transaction_idle_ms || total_ms > self.options.transaction_total_ms
    }

    /// Adds a write.
    fn prepare(
        &mut self,
        key: &StorageKey,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Written<S>, WriteError> {
        self.has_room_for(key, &write.operation)?;
        let before = self.look_before(write, |engine| engine.view_within(key), now_ms)?;
        let checked = self.checked_within(key, write, now_ms)?;
        let expiries = self.expiries_within(key, write, now_ms)?;
        let kept = self.kept_within(key, write, &expiries);
        let part = self.part(key, TxnState::Prepare);
        let lsn = self.encode(write, &expiries, Some(part), now_ms);
        self.stage_encoded(now_ms)?;
        if let Some(open) = self.transactions.get_mut(key) {
            open.used(now_ms);
            for (key, version) in checked {
                open.checked.entry(key).or_insert(version);
            }
            for (head, expiry) in kept {
                open.kept.entry(head).or_insert(expiry);
            }
        }
        Ok(before.written(lsn))
    }

    fn has_room_for(&self, key: &StorageKey, operation: &Operation<'_>) -> Result<(), WriteError> {
        let open = self.transactions.get(key);
        let added = operation.index_bytes().saturating_add(first_chunk_bytes(open, operation));
        self.has_room_within(key, added)?;
        if let Operation::PutChunk { object, chunk } = operation {
            let before = open.and_then(|open| open.object_bytes(object::keys(object).head()));
            let before = before.unwrap_or_default();
            let bytes = before.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if bytes > OBJECT_BYTES_MAX {
                return Err(TransactionError::ObjectBytes { limit: OBJECT_BYTES_MAX }.into());
            }
        }
        Ok(())
    }

    /// Whether so many bytes more of the index can be taken.
    pub(super) fn has_room_within(&self, key: &StorageKey, added: usize) -> Result<(), WriteError> {
        let bytes = self.transactions.index_bytes_of(key).saturating_add(added);
        if bytes > TRANSACTION_INDEX_BYTES_MAX {
            let limit = TRANSACTION_INDEX_BYTES_MAX;
            return Err(TransactionError::TooLarge { bytes, limit }.into());
        }
        if self.transactions.index_bytes().saturating_add(added) > TRANSACTIONS_INDEX_BYTES_MAX {
            let limit = TRANSACTIONS_INDEX_BYTES_MAX;
            return Err(TransactionError::Full { limit }.into());
        }
        Ok(())
    }

    /// Keys and heads of a write with a condition that the transaction touches for the first time: what
    /// they are to everybody must still hold at the commit.
    fn checked_within(
        &self,
        id: &StorageKey,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Versions, WriteError> {
        let mut checked = Versions::new();
        if !write.has_condition() {
            return Ok(checked);
        }
        let (open, view) = (self.transactions.get(id), self.shared.view.load());
        write.operation.try_each_head(|key| {
            if open.is_some_and(|open| open.find(key).is_none()) {
                let version = self.version_in(&view, key, now_ms)?.unwrap_or_default();
                checked.push((StorageKey::from_storage(key), version));
            }
            Ok::<(), ReadError>(())
        })?;
        Ok(checked)
    }

    /// When each row of a write expires from now on. What the transaction said of a row before holds
    /// while the row is there.
    fn expiries_within(
        &mut self,
        id: &StorageKey,
        write: &Write<'_>,
        now_ms: u64,
    ) -> Result<Vec<Expiry>, WriteError> {
        let mut expiries = self.expiries(write, now_ms)?;
        let asked = write.expiry();
        if asked.is_set() || !write.operation.keeps_expiry() {
            return Ok(expiries);
        }
        expiries.resize(write.operation.len(), asked);
        for (index, (head, own)) in self.own_expiries(id, &write.operation) {
            let kept = if self.is_emptied(id, &head, own)? { Expiry::NEVER } else { own };
            if let Some(expiry) = expiries.get_mut(index) {
                *expiry = kept;
            }
        }
        Ok(expiries)
    }

    /// Of the rows that an operation names those that the transaction has changed before, by their heads,
    /// with their place in the operation and when they expire to it.
    fn own_expiries(
        &self,
        id: &StorageKey,
        operation: &Operation<'_>,
    ) -> Vec<(usize, (StorageKey, Expiry))> {
        let (open, mut own, mut index) = (self.transactions.get(id), Vec::new(), 0);
        operation.each_row(|row, _| {
            let head = head_of(Model::Row, row);
            let known = open.and_then(|open| open.find(head.as_bytes()));
            if let Some(Entry::Row { expiry, .. }) = known {
                own.push((index, (head, expiry)));
            }
            index += 1;
        });
        own
    }

    /// Whether a row, which expires then, has no column left to the transaction that deleted some: the
    /// next one begins it anew. One that is not there because its time is over stays so.
    fn is_emptied(
        &mut self,
        id: &StorageKey,
        head: &StorageKey,
        expiry: Expiry,
    ) -> Result<bool, ReadError> {
        if !expiry.is_set() || expiry.is_past(self.active.watermark()) {
            return Ok(false);
        }
        let view = self.view_within(id);
        Ok(self.version_in(&view, head.as_bytes(), 0)?.is_none())
    }

    /// Rows, by their heads, that the transaction touches for the first time and repeats the expiry of:
    /// if it changes meanwhile, the commit would change it back.
    fn kept_within(
        &self,
        id: &StorageKey,
        write: &Write<'_>,
        expiries: &[Expiry],
    ) -> Vec<(StorageKey, Expiry)> {
        let mut kept = Vec::new();
        if write.expiry().is_set() || !write.operation.keeps_expiry() {
            return kept;
        }
        let open = self.transactions.get(id);
        let mut expiries = expiries.iter();
        write.operation.each_row(|row, _| {
            let head = head_of(Model::Row, row);
            let expiry = expiries.next().copied().unwrap_or_default();
            if open.is_some_and(|open| open.find(head.as_bytes()).is_none()) {
                kept.push((head, expiry));
            }
        });
        kept
    }

    /// Version of a key, or of a row or object by its head, staged ones included.
    fn newest_version(&self, key: &[u8], now_ms: u64) -> Result<Option<Lsn>, ReadError> {
        self.version_in(&self.shared.view.load(), key, now_ms)
    }

    fn commit(
        &mut self,
        key: &StorageKey,
        checks: &[Check<'_>],
        now_ms: u64,
    ) -> Result<Written<S>, WriteError> {
        if let Some(current) = self.conflict(key, checks, now_ms)? {
            self.end(key, Ending::Conflict, now_ms)?;
            return Err(WriteError::Conflict { current });
        }
        let open = self.transactions.get(key);
        let checksum = open.map(Open::checksum);
        let (kind, blank) = open.map_or((MARKER, None), last_words);
        let part = self.part(key, TxnState::Commit);
        let lsn = self.begin_record(kind, Some(part), usize::from(blank.is_some()), now_ms);
        if let Some(key) = blank {
            self.encoder.blank(&key);
        }
        self.encoder.finish();
        self.stage_encoded(now_ms)?;
        self.transactions.remember(key.clone(), Ending::Committed);
        Ok(Written { checksum, ..Written::plain(lsn) })
    }

    /// The version of a key that has changed since it was looked at, if there is one.
    fn conflict(
        &self,
        id: &StorageKey,
        checks: &[Check<'_>],
        now_ms: u64,
    ) -> Result<Option<Option<Lsn>>, ReadError> {
        let open = self.transactions.get(id);
        for (key, version) in open.into_iter().flat_map(|open| &open.checked) {
            let current = self.newest_version(key.as_bytes(), now_ms)?;
            if current.unwrap_or_default() != *version {
                return Ok(Some(current));
            }
        }
        for (head, expiry) in open.into_iter().flat_map(|open| &open.kept) {
            let repeats = matches!(
                open.and_then(|open| open.find(head.as_bytes())),
                Some(Entry::Row { change, expiry: own, .. })
                    if change != RowChange::Deleted && own == *expiry
            );
            if repeats && self.expiry_of_row(head.as_bytes(), now_ms)? != *expiry {
                return Ok(Some(self.newest_version(head.as_bytes(), now_ms)?));
            }
        }
        for check in checks {
            let current =
                self.newest_version(head_of(check.model, check.key).as_bytes(), now_ms)?;
            if current.unwrap_or_default() != check.version {
                return Ok(Some(current));
            }
        }
        Ok(None)
    }

    /// When a row expires, staged changes included. Without a look while nothing expires at all.
    fn expiry_of_row(&self, head: &[u8], now_ms: u64) -> Result<Expiry, ReadError> {
        let (view, log) = (self.shared.view.load(), self.shared.log.clone());
        if view.earliest_expiry() == u64::MAX {
            return Ok(Expiry::NEVER);
        }
        let row = Row::find_head(&Arc::new(Pin { view, log }), head, At::newest(now_ms))?;
        Ok(Expiry(row.map_or(0, |row| row.expires_at())))
    }

    /// Ends a transaction of which nothing happens.
    fn end(&mut self, key: &StorageKey, ending: Ending, now_ms: u64) -> Result<Lsn, WriteError> {
        let part = self.part(key, TxnState::None);
        let lsn = self.mark(part, now_ms)?;
        self.transactions.remember(key.clone(), ending);
        Ok(lsn)
    }

    /// Ends what nobody will: transactions that took too long, that lost a record, or that were open
    /// when the engine was closed. Returns how many. The records are staged. On a follower the leader
    /// does it.
    ///
    /// # Errors
    /// As [`stage`](Self::stage); what is left is ended by the next call.
    pub fn tend_transactions(&mut self, now_ms: u64) -> Result<usize, WriteError> {
        if self.options.role == LogRole::Follower {
            return Ok(0);
        }
        self.transactions.tick(now_ms);
        let due = self.transactions.due(|open| self.took_too_long(open, now_ms));
        for key in &due {
            let broken = self.transactions.get(key).is_some_and(|open| open.is_broken);
            let ending = if broken { Ending::Failed } else { Ending::TimedOut };
            self.end(key, ending, now_ms)?;
        }
        Ok(due.len())
    }

    /// Open transactions.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.transactions.len()
    }

    /// What open transactions take in memory, with what is kept for reads in them, bytes.
    #[must_use]
    pub fn transactions_bytes(&self) -> usize {
        self.transactions.bytes()
    }

    /// A record without entries.
    fn mark(&mut self, part: InTransaction, now_ms: u64) -> Result<Lsn, WriteError> {
        let lsn = self.begin_record(MARKER, Some(part), 0, now_ms);
        self.encoder.finish();
        self.stage_encoded(now_ms)?;
        Ok(lsn)
    }

    pub(super) fn part(&self, key: &StorageKey, state: TxnState) -> InTransaction {
        let open = self.transactions.get(key).filter(|open| !open.is_broken);
        let id = IdBytes::new(key.as_bytes());
        InTransaction { id, state, previous: open.map(|open| open.last.position) }
    }

    /// Begins a record in the encoder's buffer.
    pub(super) fn begin_record(
        &mut self,
        kind: TypeOfChange,
        transaction: Option<InTransaction>,
        entries: usize,
        now_ms: u64,
    ) -> Lsn {
        let head = Head {
            lsn: self.log.next_lsn(),
            hlc: self.clock.tick(now_ms),
            durable: self.log.durable(),
            operation: kind.0,
            entry: kind.1,
            transaction,
        };
        self.encoder.begin(&head, entries);
        head.lsn
    }
}

/// What the first chunk of an object takes in the index beside its own key, bytes: the object's head.
fn first_chunk_bytes(open: Option<&Open>, operation: &Operation<'_>) -> usize {
    let Operation::PutChunk { object, .. } = operation else { return 0 };
    let keys = object::keys(object);
    match open.and_then(|open| open.object_bytes(keys.head())) {
        None => index_bytes(keys.head().len()),
        Some(_) => 0,
    }
}

const MARKER: TypeOfChange = (OperationType::TxnMarker, EntryType::KV);

/// What the record of a commit says: of a transaction of one kind, that kind, and one entry with
/// nothing but the key of the large object, if it was one.
fn last_words(open: &Open) -> (TypeOfChange, Option<Vec<u8>>) {
    match (open.kinds, open.object()) {
        (Kinds::One(kind @ (OperationType::Insert, EntryType::Chunked)), Some(head)) => {
            (kind, Some(object::to_log(&row_of(head))))
        }
        (Kinds::One((_, EntryType::Chunked | EntryType::Event)), _) => (MARKER, None),
        (Kinds::None | Kinds::Mixed, _) => (MARKER, None),
        (Kinds::One(kind), _) => (kind, Some(Vec::new())),
    }
}

/// The key, or the head, in storage form.
pub(super) fn head_of(model: Model, key: &[u8]) -> StorageKey {
    match model {
        Model::KeyValue => StorageKey::prefixed(kv::PREFIX, key),
        Model::Row => StorageKey::from_storage(RowKeys::new(key).head()),
        Model::Object => StorageKey::from_storage(object::keys(key).head()),
    }
}

impl From<Ending> for TransactionError {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Committed => Self::Committed,
            Ending::Aborted => Self::Aborted,
            Ending::TimedOut => Self::TimedOut,
            Ending::Conflict => Self::Conflict,
            Ending::Failed => Self::Failed,
        }
    }
}

impl<S: SegmentStore> Written<S> {
    /// Of a write that looked at no key.
    pub(super) fn plain(lsn: Lsn) -> Self {
        Self { lsn, previous: None, existed: None, existing_keys: 0, checksum: None }
    }
}
