//! What a record does to memtable and transactions, step by step.

use super::Transactions;
use super::topics::Defined;
use crate::expiry::Due;
use crate::memtable::{Entry, Memtable, StorageKey};
use crate::records::TypeOfChange;
use alloc::vec::Vec;
use unison_base::{Lsn, Position};

/// A record's place in the log and in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) lsn: Lsn,
    pub(crate) position: Position,
    /// Milliseconds since 1970.
    pub(crate) ms: u64,
}

/// One step. Versions belong to the transaction of the `Prepare` before them, or to none.
pub(super) enum Step {
    /// Versions that follow belong to no transaction.
    Alone,
    Version(Version),
    Begin(StorageKey, At),
    /// What kind of change follows; `None` when this version does not understand it.
    Prepare(StorageKey, At, Option<TypeOfChange>),
    Commit(StorageKey, At),
    Abort(StorageKey, At),
}

/// A version of a key.
pub(super) struct Version {
    /// Of a cell the column alone: its row's head is the last one before it. Of a chunk the object's
    /// head.
    pub(super) key: StorageKey,
    pub(super) content: Content,
    pub(super) lsn: Lsn,
    pub(super) entry: Entry,
    /// CRC-32 (IEEE) of the value, in a transaction.
    pub(super) checksum: u32,
}

/// What the key of a version is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Key,
    Cell,
    Chunk,
    /// A name or an id of a topic or a pattern.
    Definition,
    /// The head of a message's stream: its own key is known when the transaction is committed.
    Message {
        retained: bool,
        payload_bytes: u32,
    },
}

/// Where versions go.
pub(super) struct Sink<'a> {
    pub(super) memtable: &'a Memtable,
    pub(super) due: &'a mut Due,
    /// Patterns that are known from now on.
    pub(super) patterns: &'a mut Vec<Defined>,
}

impl Sink<'_> {
    pub(super) fn insert(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        if entry.expiry().is_set() {
            self.due.add(entry.expiry().0);
        }
        self.memtable.insert(key, lsn, entry);
    }
}

/// Runs steps in order.
pub(super) fn run(
    steps: impl Iterator<Item = Step>,
    sink: &mut Sink<'_>,
    transactions: &mut Transactions,
) {
    let (mut key, mut head, mut target) = (Vec::new(), 0, None);
    for step in steps {
        match step {
            Step::Alone => target = None,
            Step::Begin(id, at) => transactions.begin(id, at),
            Step::Prepare(id, at, change) => {
                transactions.prepare(&id, at, change);
                target = Some(id);
            }
            Step::Commit(id, at) => transactions.commit(&id, at, sink),
            Step::Abort(id, at) => transactions.abort(&id, at),
            Step::Version(version) => {
                key.truncate(if version.content == Content::Cell { head } else { 0 });
                key.extend_from_slice(version.key.as_bytes());
                if version.content != Content::Cell {
                    head = key.len();
                }
                match &target {
                    None => sink.insert(&key, version.lsn, version.entry),
                    Some(id) => transactions.put(id, &key, &version),
                }
            }
        }
    }
}
