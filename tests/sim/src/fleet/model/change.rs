//! What a record may change.

use std::sync::Arc;
use unison_engine::{MessageId, Model as Kind};

pub(crate) type Key = Vec<u8>;
pub(crate) type Value = Arc<[u8]>;
/// Name of a column.
pub(crate) type Column = String;

/// What one record does to what everybody sees.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Nothing: it begins, goes on with or aborts a transaction.
    Silent,
    /// Topics or patterns are known from now on.
    Define(Address, Vec<&'static str>),
    /// What expires up to this time is gone, milliseconds since 1970.
    Raise(u64),
    /// A write, or all writes of a transaction, and the time of the record.
    Parts(Vec<Part>, u64),
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) what: What,
    /// When what it puts shall expire, milliseconds since 1970; 0 = not said.
    pub(crate) expires_at: u64,
    /// When each row that it changes expires from now on.
    pub(crate) said: Vec<u64>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Put(Vec<(Key, Value)>),
    Delete(Vec<Key>),
    Expire(Key),
    /// Columns of rows.
    PutColumns(Vec<(Key, Vec<(Column, Value)>)>),
    DeleteColumns(Vec<(Key, Vec<Column>)>),
    DeleteRows(Vec<Key>),
    ExpireRow(Key),
    /// The next bytes of a large object.
    Chunk(Key, Value),
    DeleteObjects(Vec<Key>),
    Publish(Address, Vec<Draft>),
    DeleteMessage(MessageId),
    /// Messages before a time go.
    Trim(Address, &'static str, u64),
}

/// What messages are published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Topics,
    Patterns,
}

/// A message on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) to: &'static str,
    pub(crate) payload: Value,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) retain: bool,
    /// Known once it is staged; 0 = never.
    pub(crate) expires_at: u64,
}

impl Part {
    pub(crate) const fn new(what: What) -> Self {
        Self { what, expires_at: 0, said: Vec::new() }
    }

    /// The keys, rows and objects that it is about.
    pub(crate) fn heads(&self) -> Vec<(Kind, &Key)> {
        let of = |kind: Kind| move |key| (kind, key);
        match &self.what {
            What::Put(pairs) => pairs.iter().map(|(key, _)| key).map(of(Kind::KeyValue)).collect(),
            What::Delete(keys) => keys.iter().map(of(Kind::KeyValue)).collect(),
            What::Expire(key) => vec![(Kind::KeyValue, key)],
            What::DeleteRows(rows) => rows.iter().map(of(Kind::Row)).collect(),
            What::PutColumns(_) | What::DeleteColumns(_) | What::ExpireRow(_) => {
                self.rows().into_iter().map(of(Kind::Row)).collect()
            }
            What::Chunk(object, _) => vec![(Kind::Object, object)],
            What::DeleteObjects(objects) => objects.iter().map(of(Kind::Object)).collect(),
            What::Publish(..) | What::DeleteMessage(_) | What::Trim(..) => Vec::new(),
        }
    }

    /// The rows that are there behind it, with a time of their own.
    pub(crate) fn rows(&self) -> Vec<&Key> {
        match &self.what {
            What::PutColumns(rows) => rows.iter().map(|(row, _)| row).collect(),
            What::DeleteColumns(rows) => rows.iter().map(|(row, _)| row).collect(),
            What::ExpireRow(row) => vec![row],
            _ => Vec::new(),
        }
    }

    /// True when its rows expire when they did before, unless it says otherwise.
    pub(crate) const fn keeps_expiry(&self) -> bool {
        matches!(self.what, What::PutColumns(_) | What::DeleteColumns(_))
    }

    /// True when it says nothing but when something expires, which has to be there.
    pub(crate) const fn expires_only(&self) -> bool {
        matches!(self.what, What::Expire(_) | What::ExpireRow(_))
    }

    /// When it says that its rows expire.
    pub(crate) const fn asked(&self) -> u64 {
        if matches!(self.what, What::DeleteColumns(_)) { 0 } else { self.expires_at }
    }

    /// True when it removes all that it is about.
    pub(crate) const fn removes(&self) -> bool {
        matches!(self.what, What::Delete(_) | What::DeleteRows(_) | What::DeleteObjects(_))
    }
}
