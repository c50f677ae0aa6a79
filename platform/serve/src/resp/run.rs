//! A run of pipelined writes: staged together, acknowledged together, answered in order.

use std::ops::Range;

use unison_base::Lsn;
use unison_engine::{
    ColumnNames, ColumnValues, Condition, NewMessage, Operation, Write, WriteError,
};
use unison_linux::store::Namespace;
use unison_resp::expiry::Lifetime;
use unison_resp::output::Output;
use unison_resp::reads::give_value;

use super::audience::Audience;
use crate::commit::{Outcome, commit};

/// What a queued write changes, borrowed from the connection's buffer.
#[derive(Clone, Debug)]
enum Change<'b> {
    Put {
        key: &'b [u8],
        value: &'b [u8],
        /// `None` when it lives for ever.
        lifetime: Option<Lifetime>,
    },
    Delete {
        key: &'b [u8],
    },
    /// Pairs of the run that are set at once.
    PutBatch(Range<usize>),
    /// Keys of the run that are removed at once.
    DeleteBatch(Range<usize>),
    /// Columns of the run that are set in a row.
    PutColumns {
        row: &'b [u8],
        columns: Range<usize>,
    },
    /// Columns of the run that are deleted from a row.
    DeleteColumns {
        row: &'b [u8],
        names: Range<usize>,
    },
    DeleteRow {
        row: &'b [u8],
    },
    Publish(NewMessage<'b>),
}

impl Change<'_> {
    /// When what it puts expires, milliseconds since 1970; 0 = never.
    fn expires_at(&self, now_ms: u64) -> u64 {
        match self {
            // A time that is over is one at which nobody sees the key.
            Self::Put { lifetime: Some(lifetime), .. } => lifetime.end(now_ms).unwrap_or(1),
            _ => 0,
        }
    }
}

/// What a write answers its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `+OK`, or null when the condition did not hold.
    Ok,
    /// The value before, or null.
    Previous,
    /// 1, or 0 when the condition did not hold.
    Done,
    /// How many of the keys or columns were there.
    Existing,
    /// Nothing by itself: how many were there is added to the next answer.
    AddedToNext,
    /// How many of so many columns were not there before.
    Added { fields: u32 },
    /// How many listen to the channel here.
    Heard,
}

type Queued<'b> = (Change<'b>, Condition, Answer);

/// Rows of a write, as the engine takes them.
pub(super) enum Rows<'r> {
    Values([ColumnValues<'r>; 1]),
    Names([ColumnNames<'r>; 1]),
    Keys(Vec<&'r [u8]>),
    Messages(&'r [NewMessage<'r>]),
}

/// Writes that wait to be staged.
#[derive(Debug, Default)]
pub(super) struct Run<'b> {
    changes: Vec<Queued<'b>>,
    pairs: Vec<(&'b [u8], &'b [u8])>,
    keys: Vec<&'b [u8]>,
    columns: Vec<(&'b str, &'b [u8])>,
    names: Vec<&'b str>,
}

impl<'b> Run<'b> {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn put(&mut self, key: &'b [u8], value: &'b [u8], on: Condition, answer: Answer) {
        self.put_for(None, (key, value), on, answer);
    }

    /// Sets a key that lives for a while.
    pub(super) fn put_for(
        &mut self,
        lifetime: Option<Lifetime>,
        (key, value): (&'b [u8], &'b [u8]),
        on: Condition,
        answer: Answer,
    ) {
        self.changes.push((Change::Put { key, value, lifetime }, on, answer));
    }

    pub(super) fn delete(&mut self, key: &'b [u8], answer: Answer) {
        self.changes.push((Change::Delete { key }, Condition::Present, answer));
    }

    pub(super) fn put_all(&mut self, pairs: impl Iterator<Item = (&'b [u8], &'b [u8])>) {
        let start = self.pairs.len();
        self.pairs.extend(pairs);
        let range = start..self.pairs.len();
        self.changes.push((Change::PutBatch(range), Condition::Always, Answer::Ok));
    }

    /// Removes keys and rows of these names; one named twice counts once, a key and a row of the
    /// same name as two.
    pub(super) fn delete_all(&mut self, names: impl Iterator<Item = &'b [u8]>) {
        let mut distinct: Vec<_> = names.collect();
        distinct.sort_unstable();
        distinct.dedup();
        if let [key] = distinct.as_slice() {
            self.delete(key, Answer::AddedToNext);
        } else {
            let start = self.keys.len();
            self.keys.extend_from_slice(&distinct);
            let change = Change::DeleteBatch(start..self.keys.len());
            self.changes.push((change, Condition::Always, Answer::AddedToNext));
        }
        for row in distinct {
            self.changes.push((Change::DeleteRow { row }, Condition::Present, Answer::AddedToNext));
        }
        if let Some((_, _, answer)) = self.changes.last_mut() {
            *answer = Answer::Existing;
        }
    }

    /// Sets columns of a row.
    pub(super) fn put_columns(
        &mut self,
        row: &'b [u8],
        mut columns: Vec<(&'b str, &'b [u8])>,
        answer: Answer,
    ) {
        let start = self.columns.len();
        self.columns.append(&mut columns);
        let change = Change::PutColumns { row, columns: start..self.columns.len() };
        self.changes.push((change, Condition::Always, answer));
    }

    /// Deletes columns of a row.
    pub(super) fn delete_columns(
        &mut self,
        row: &'b [u8],
        mut names: Vec<&'b str>,
        condition: Condition,
    ) {
        let start = self.names.len();
        self.names.append(&mut names);
        let change = Change::DeleteColumns { row, names: start..self.names.len() };
        self.changes.push((change, condition, Answer::Existing));
    }

    /// Publishes a message to the topic of a channel's name.
    pub(super) fn publish(&mut self, topic: &'b str, payload: &'b [u8]) {
        let message = NewMessage { topic, payload, headers: &[], ttl_ms: None, retain: false };
        self.changes.push((Change::Publish(message), Condition::Always, Answer::Heard));
    }

    /// Writes everything queued, appends the answers to `output` and forgets it. Returns the newest
    /// LSN written.
    pub(super) async fn finish(
        &mut self,
        namespace: &Namespace,
        audience: &Audience,
        output: &mut Output,
    ) -> Option<Lsn> {
        let now_ms = if self.has_lifetimes() { namespace.reader().now_ms() } else { 0 };
        let rows = self.rows();
        let outcomes = commit(namespace, &self.writes(&rows, now_ms)).await;
        let written = outcomes.iter().flatten().map(|written| written.lsn).max();
        self.answer(outcomes, audience, output);
        self.changes.clear();
        self.pairs.clear();
        self.keys.clear();
        self.columns.clear();
        self.names.clear();
        written
    }

    /// Whether it matters to its writes what time it is.
    pub(super) fn has_lifetimes(&self) -> bool {
        let lives = |change: &Change<'_>| matches!(change, Change::Put { lifetime: Some(_), .. });
        self.changes.iter().any(|(change, ..)| lives(change))
    }

    /// Appends the answers to all writes, given their outcomes in order.
    pub(super) fn answer(&self, outcomes: Vec<Outcome>, audience: &Audience, output: &mut Output) {
        let mut before = Ok(0);
        for (outcome, (change, _, answer)) in outcomes.into_iter().zip(&self.changes) {
            match (&outcome, change) {
                (Ok(_), Change::Publish(message)) => {
                    output.count(audience.listeners(message.topic.as_bytes()) as u64);
                }
                _ => before = answer.give(before, outcome, output),
            }
        }
    }

    /// What the writes borrow.
    pub(super) fn rows(&self) -> Vec<Rows<'_>> {
        self.changes.iter().map(|(change, ..)| self.rows_of(change)).collect()
    }

    /// All writes in order.
    pub(super) fn writes<'r>(&'r self, rows: &'r [Rows<'r>], now_ms: u64) -> Vec<Write<'r>> {
        let of = |((change, condition, answer), rows): (&'r Queued<'b>, &'r Rows<'r>)| Write {
            condition: *condition,
            want_previous: answer.wants_previous(change),
            expires_at: change.expires_at(now_ms),
            ..Write::new(self.operation(change, rows))
        };
        self.changes.iter().zip(rows).map(of).collect()
    }

    fn operation<'r>(&'r self, change: &'r Change<'b>, rows: &'r Rows<'r>) -> Operation<'r> {
        match (change, rows) {
            (Change::Put { key, value, .. }, _) => Operation::Put { key, value },
            (Change::Delete { key }, _) => Operation::Delete { key },
            (Change::PutBatch(range), _) => {
                Operation::PutBatch(self.pairs.get(range.clone()).unwrap_or_default())
            }
            (Change::DeleteBatch(range), _) => {
                Operation::DeleteBatch(self.keys.get(range.clone()).unwrap_or_default())
            }
            (_, Rows::Values(rows)) => Operation::PutColumns(rows),
            (_, Rows::Names(rows)) => Operation::DeleteColumns(rows),
            (_, Rows::Keys(rows)) => Operation::DeleteRows(rows),
            (_, Rows::Messages(messages)) => Operation::Publish(messages),
        }
    }

    /// The rows of a change, for as long as it is written.
    fn rows_of<'r>(&'r self, change: &'r Change<'b>) -> Rows<'r> {
        match change {
            Change::PutColumns { row, columns } => {
                let columns = self.columns.get(columns.clone()).unwrap_or_default();
                Rows::Values([ColumnValues { row, columns }])
            }
            Change::DeleteColumns { row, names } => {
                let columns = self.names.get(names.clone()).unwrap_or_default();
                Rows::Names([ColumnNames { row, columns }])
            }
            Change::DeleteRow { row } => Rows::Keys(vec![row]),
            Change::Publish(message) => Rows::Messages(std::slice::from_ref(message)),
            _ => Rows::Keys(Vec::new()),
        }
    }
}

/// What the answers before left to be added, or why it cannot be told.
type Before = Result<u32, WriteError>;

impl Answer {
    /// Whether the write has to look at what was there, beyond its condition.
    fn wants_previous(self, change: &Change<'_>) -> bool {
        match self {
            Self::Previous | Self::Existing | Self::Added { .. } => true,
            Self::AddedToNext => matches!(change, Change::DeleteBatch(_)),
            Self::Ok | Self::Done | Self::Heard => false,
        }
    }

    /// Answers, and returns what the next answer has to add.
    fn give(self, before: Before, outcome: Outcome, output: &mut Output) -> Before {
        let existing = match &outcome {
            Ok(written) => Ok(written.existing_keys),
            Err(WriteError::Conflict { .. }) => Ok(0),
            Err(error) => Err(*error),
        };
        let sum = before.and_then(|before| existing.map(|existing| before + existing));
        match self {
            Self::AddedToNext => return sum,
            Self::Existing => match sum {
                Ok(sum) => output.integer(i64::from(sum)),
                Err(error) => refuse(&error, output),
            },
            _ => self.give_one(outcome, output),
        }
        Ok(0)
    }

    fn give_one(self, outcome: Outcome, output: &mut Output) {
        let written = match outcome {
            Ok(written) => written,
            Err(WriteError::Conflict { .. }) => return self.give_unchanged(output),
            Err(error) => return refuse(&error, output),
        };
        match self {
            Self::Ok => output.ok(),
            Self::Done | Self::Heard => output.integer(1),
            Self::Existing | Self::AddedToNext => output.integer(written.existing_keys.into()),
            Self::Added { fields } => {
                output.integer(i64::from(fields) - i64::from(written.existing_keys));
            }
            Self::Previous => match written.previous {
                None => output.null(),
                Some(value) => give_value(&value, output),
            },
        }
    }

    /// The condition did not hold.
    fn give_unchanged(self, output: &mut Output) {
        match self {
            Self::Ok | Self::Previous => output.null(),
            _ => output.integer(0),
        }
    }
}

/// The reply to a write that was refused or failed.
pub(super) fn refuse(error: &WriteError, output: &mut Output) {
    match error {
        WriteError::Busy(_) => output.error(&format!("BUSY {error}; try again")),
        WriteError::ReadOnly => output.error(&format!("READONLY {error}")),
        WriteError::NoSpace | WriteError::Quota { .. } => output.error(&format!("MISCONF {error}")),
        _ => output.err(error),
    }
}
