//! One event.

use super::{ChangeId, ChangeModel};
use crate::models::row;
use crate::records::{MessageEntryRef, RowEntry};
use crate::seal::Opened;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A key was set, or columns of a row, or a large object.
    Put,
    /// A key, a large object or a message was deleted.
    Delete,
    /// Columns of a row were deleted.
    DeleteColumns,
    /// A row was deleted.
    DeleteRow,
    /// A key or a row got another time to expire at, or none.
    Expire,
    /// A message was published.
    Publish,
    /// Messages of a topic up to some time were deleted.
    Trim,
    /// All keys, rows and messages that expire up to [`Change::expires_at`] are gone. The key is empty, and no
    /// filter of keys leaves it out.
    ExpiredTo,
}

impl ChangeKind {
    /// Its name in texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::DeleteColumns => "delete_columns",
            Self::DeleteRow => "delete_row",
            Self::Expire => "expire",
            Self::Publish => "publish",
            Self::Trim => "trim",
            Self::ExpiredTo => "expired_to",
        }
    }
}

/// One event. Borrows from the log.
pub struct Change<'a> {
    /// Its name.
    pub id: ChangeId,
    /// When its record was written, milliseconds since 1970. Of a transaction that is the record in it: the messages of one
    /// have the time of its commit, which is not before.
    pub time_ms: u64,
    /// Of which model.
    pub model: ChangeModel,
    /// What happened.
    pub kind: ChangeKind,
    /// The user's key; of a message its topic, or the pattern that it was published to.
    pub key: &'a [u8],
    /// Whether the key is a pattern.
    pub is_of_pattern: bool,
    /// When it expires, milliseconds since 1970; `None` when never.
    pub expires_at: Option<u64>,
    pub(super) body: Body<'a>,
}

/// What a record says beside the key.
pub(super) enum Body<'a> {
    Nothing,
    Value(&'a [u8]),
    Columns(RowEntry<'a>),
    Message(MessageEntryRef<'a>),
    /// A message that was compressed or sealed.
    Opened(&'a Opened),
    /// One that cannot be opened here.
    Closed,
}

impl<'a> Change<'a> {
    /// The value that was set, or the payload of a message.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        match self.body {
            Body::Value(value) => Some(value),
            Body::Message(ref message) => Some(message.payload()),
            Body::Opened(opened) => Some(opened.payload()),
            Body::Nothing | Body::Columns(_) | Body::Closed => None,
        }
    }

    /// Names of the columns that were set or deleted, in the order of the record, and the values
    /// that were set.
    pub fn columns(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let set = self.kind == ChangeKind::Put;
        let entry = match &self.body {
            Body::Columns(entry) => Some(entry.columns()),
            _ => None,
        };
        let head = row::head_bytes(self.key);
        let columns = entry.into_iter().flatten();
        columns
            .filter(move |(name, ..)| row::has_place(head, name))
            .map(move |(name, value, _)| (name, set.then_some(value)))
    }
}

impl<'a> Change<'a> {
    /// Names and values of a message's headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let (stored, opened) = match &self.body {
            Body::Message(message) => (Some(message.headers()), None),
            Body::Opened(opened) => (None, Some(opened.headers())),
            _ => (None, None),
        };
        stored.into_iter().flatten().chain(opened.into_iter().flatten())
    }

    /// True of a message that cannot be opened: this node has no key for it, or it is not what was
    /// sealed. A read of it says why.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.body, Body::Closed)
    }
}

impl core::fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Change")
            .field("id", &self.id)
            .field("model", &self.model)
            .field("kind", &self.kind)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
