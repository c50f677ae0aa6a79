//! Commands that change a key by what it was before: what they write is planned from what they read,
//! and written if that still holds. In a transaction nothing comes in between.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use unison_base::Lsn;
use unison_base::limits::VALUE_MAX;
use unison_engine::{Condition, Operation, Write, WriteError};
use unison_linux::store::{Reader, ValueRef};
use unison_resp::output::Output;
use unison_resp::parse::{Command, number};
use unison_resp::reads::{NOT_A_NUMBER, give_value};

use super::Session;
use crate::commit::commit_one;
use crate::resp::run::refuse;

/// How long a change that depends on the value before is tried again before it is refused.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(10);
/// Until a write in the way is visible.
const CONFLICT_PAUSE: Duration = Duration::from_millis(1);

/// What a command does about what it finds, or why it is refused, without the code `ERR`.
pub(in crate::resp) type Plan =
    for<'c> fn(&Reader, &Command<'_, 'c>) -> Result<Planned<'c>, String>;

/// What a command does.
pub(in crate::resp) enum Planned<'c> {
    /// It changes nothing.
    Nothing(Answer),
    /// It changes a key or a row.
    Change(Change<'c>, Answer),
}

/// What it answers once that is done.
pub(in crate::resp) enum Answer {
    Ok,
    Null,
    Integer(i64),
    Value(ValueRef),
}

impl Answer {
    pub(in crate::resp) fn give(&self, output: &mut Output) {
        match self {
            Self::Ok => output.ok(),
            Self::Null => output.null(),
            Self::Integer(value) => output.integer(*value),
            Self::Value(value) => give_value(value, output),
        }
    }
}

/// A change of a key, or a row, that was read before.
pub(in crate::resp) struct Change<'c> {
    key: [&'c [u8]; 1],
    to: To<'c>,
    /// Milliseconds since 1970; 0 = never.
    expires_at: u64,
    /// The version that was read; zero when there was none.
    before: Lsn,
}

/// What becomes of it.
pub(super) enum To<'c> {
    Value(Cow<'c, [u8]>),
    Expiring,
    ExpiringRow,
    Deleted,
    DeletedRow,
}

impl<'c> Change<'c> {
    pub(super) fn new(key: &'c [u8], to: To<'c>, expires_at: u64, before: Lsn) -> Self {
        Self { key: [key], to, expires_at, before }
    }

    /// Bytes of a value that its command does not bring along.
    pub(in crate::resp) fn made_bytes(&self) -> usize {
        if let To::Value(Cow::Owned(value)) = &self.to { value.len() } else { 0 }
    }

    /// The write, where nobody else writes.
    pub(in crate::resp) fn write(&self) -> Write<'_> {
        let [key] = self.key;
        let operation = match &self.to {
            To::Value(value) => Operation::Put { key, value },
            To::Expiring => Operation::Expire { key },
            To::ExpiringRow => Operation::ExpireRow { row: key },
            To::Deleted => Operation::Delete { key },
            To::DeletedRow => Operation::DeleteRows(&self.key),
        };
        Write::new(operation).expiring_at(self.expires_at)
    }

    /// The write, on the condition that nobody else has written.
    fn guarded(&self) -> Write<'_> {
        Write { condition: Condition::UnchangedSince(self.before), ..self.write() }
    }
}

impl Session {
    /// Does what `plan` says; nothing comes in between.
    pub(super) async fn change(&mut self, plan: Plan, command: &Command<'_, '_>) {
        let server = Arc::clone(&self.server);
        let _turn = server.turn(self.namespace.name(), command.argument(1)).lock().await;
        let deadline = Instant::now() + CONFLICT_PATIENCE;
        loop {
            let (change, answer) = match plan(&self.reader(), command) {
                Ok(Planned::Change(change, answer)) => (change, answer),
                Ok(Planned::Nothing(answer)) => return answer.give(&mut self.output),
                Err(why) => return self.output.err(why),
            };
            match commit_one(&self.namespace, change.guarded()).await {
                Err(WriteError::Conflict { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(CONFLICT_PAUSE).await;
                }
                Ok(written) => {
                    self.last_written = written.lsn;
                    return answer.give(&mut self.output);
                }
                Err(error) => return refuse(&error, &mut self.output),
            }
        }
    }
}

/// `APPEND`.
pub(in crate::resp) fn append<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    replace(reader, command.argument(1), |before| {
        let (before, tail) = (before.unwrap_or_default(), command.argument(2));
        let length = before.len().saturating_add(tail.len());
        if length > VALUE_MAX {
            return Err("the value would be above the limit of 4194304 bytes (value)");
        }
        let answer = i64::try_from(length).unwrap_or(i64::MAX);
        Ok(([before, tail].concat(), answer))
    })
}

const _: () = assert!(VALUE_MAX == 4_194_304, "the text of APPEND's refusal names it");

/// `INCR`, `INCRBY`.
pub(in crate::resp) fn increment<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    add(reader, command.argument(1), amount(command)?)
}

/// `DECR`, `DECRBY`.
pub(in crate::resp) fn decrement<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    let amount = amount(command)?.checked_neg().ok_or("decrement would overflow")?;
    add(reader, command.argument(1), amount)
}

fn amount(command: &Command<'_, '_>) -> Result<i64, String> {
    let amount = if command.len() == 2 { Some(1) } else { number(command.argument(2)) };
    Ok(amount.ok_or(NOT_A_NUMBER)?)
}

fn add<'c>(reader: &Reader, key: &'c [u8], amount: i64) -> Result<Planned<'c>, String> {
    replace(reader, key, |before| {
        let value = before.map_or(Some(0), number).ok_or(NOT_A_NUMBER)?;
        let sum = value.checked_add(amount).ok_or("increment or decrement would overflow")?;
        Ok((sum.to_string().into_bytes(), sum))
    })
}

/// Replaces a value by what `change` makes of it, which has the number to answer too. It expires when
/// it did before.
fn replace<'c>(
    reader: &Reader,
    key: &'c [u8],
    change: impl FnOnce(Option<&[u8]>) -> Result<(Vec<u8>, i64), &'static str>,
) -> Result<Planned<'c>, String> {
    let found = reader.get(key).map_err(|error| error.to_string())?;
    let bytes = found.as_ref().map(ValueRef::bytes).transpose();
    let bytes = bytes.map_err(|error| error.to_string())?;
    let (value, answer) = change(bytes.as_deref())?;
    let before = found.as_ref().map_or(Lsn::ZERO, ValueRef::lsn);
    let expires_at = found.as_ref().map_or(0, ValueRef::expires_at);
    let change = Change::new(key, To::Value(Cow::Owned(value)), expires_at, before);
    Ok(Planned::Change(change, Answer::Integer(answer)))
}
