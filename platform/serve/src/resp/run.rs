//! A run of pipelined writes: staged together, acknowledged together, answered in order.

use std::ops::Range;

use unison_base::Lsn;
use unison_engine::{Condition, Operation, Write, WriteError};
use unison_linux::store::Namespace;
use unison_resp::output::Output;
use unison_resp::reads::give_value;

use crate::commit::{Outcome, commit};

/// What a queued write changes, borrowed from the connection's buffer.
#[derive(Clone, Debug)]
enum Change<'b> {
    Put {
        key: &'b [u8],
        value: &'b [u8],
    },
    Delete {
        key: &'b [u8],
    },
    /// Pairs of the run that are set at once.
    PutBatch(Range<usize>),
    /// Keys of the run that are removed at once.
    DeleteBatch(Range<usize>),
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
    /// How many of the keys were there.
    Existing,
}

/// Writes that wait to be staged.
#[derive(Debug, Default)]
pub(super) struct Run<'b> {
    changes: Vec<(Change<'b>, Condition, Answer)>,
    pairs: Vec<(&'b [u8], &'b [u8])>,
    keys: Vec<&'b [u8]>,
}

impl<'b> Run<'b> {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn put(&mut self, key: &'b [u8], value: &'b [u8], on: Condition, answer: Answer) {
        self.changes.push((Change::Put { key, value }, on, answer));
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

    /// Removes several keys; one named twice counts once.
    pub(super) fn delete_all(&mut self, keys: impl Iterator<Item = &'b [u8]>) {
        let start = self.keys.len();
        let mut distinct: Vec<_> = keys.collect();
        distinct.sort_unstable();
        distinct.dedup();
        self.keys.append(&mut distinct);
        let range = start..self.keys.len();
        self.changes.push((Change::DeleteBatch(range), Condition::Always, Answer::Existing));
    }

    /// Writes everything queued, appends the answers to `output` and forgets it. Returns the newest
    /// LSN written.
    pub(super) async fn finish(
        &mut self,
        namespace: &Namespace,
        output: &mut Output,
    ) -> Option<Lsn> {
        let outcomes = commit(namespace, &self.writes()).await;
        let mut newest = None;
        for (outcome, (_, _, answer)) in outcomes.into_iter().zip(&self.changes) {
            if let Ok(written) = &outcome {
                newest = newest.max(Some(written.lsn));
            }
            answer.give(outcome, output);
        }
        self.changes.clear();
        self.pairs.clear();
        self.keys.clear();
        newest
    }

    fn writes(&self) -> Vec<Write<'_>> {
        let of = |(change, condition, answer): &(Change<'b>, Condition, Answer)| Write {
            operation: self.operation(change),
            condition: *condition,
            want_previous: matches!(answer, Answer::Previous | Answer::Existing),
        };
        self.changes.iter().map(of).collect()
    }

    fn operation(&self, change: &Change<'b>) -> Operation<'_> {
        match change {
            Change::Put { key, value } => Operation::Put { key, value },
            Change::Delete { key } => Operation::Delete { key },
            Change::PutBatch(range) => {
                Operation::PutBatch(self.pairs.get(range.clone()).unwrap_or_default())
            }
            Change::DeleteBatch(range) => {
                Operation::DeleteBatch(self.keys.get(range.clone()).unwrap_or_default())
            }
        }
    }
}

impl Answer {
    fn give(self, outcome: Outcome, output: &mut Output) {
        let written = match outcome {
            Ok(written) => written,
            Err(WriteError::Conflict { .. }) => return self.give_unchanged(output),
            Err(error) => return refuse(&error, output),
        };
        match self {
            Self::Ok => output.ok(),
            Self::Done => output.integer(1),
            Self::Existing => output.integer(i64::from(written.existing_keys)),
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
            Self::Done | Self::Existing => output.integer(0),
        }
    }
}

/// The reply to a write that was refused or failed.
pub(super) fn refuse(error: &WriteError, output: &mut Output) {
    match error {
        WriteError::Busy(_) => output.error(&format!("BUSY {error}; try again")),
        WriteError::ReadOnly => output.error(&format!("READONLY {error}")),
        WriteError::NoSpace => output.error(&format!("MISCONF {error}")),
        _ => output.err(error),
    }
}
