//! Commands that look at when a key or a row expires before they change it.

use std::sync::Arc;
use std::time::Instant;

use unison_base::Lsn;
use unison_engine::{Condition, Operation, ReadError, Write, WriteError};
use unison_linux::store::ValueRef;
use unison_resp::expiry::{Lifetime, Unit};
use unison_resp::parse::Command;
use unison_resp::reads::give_value;

use super::Session;
use super::later::{CONFLICT_PATIENCE, CONFLICT_PAUSE};
use super::writes::{SYNTAX, SetOptions};
use crate::commit::commit_one;
use crate::resp::run::refuse;
use crate::resp::session::shown;

/// A key, or a row of that name when there is no such key, as a command found it.
struct Present {
    is_row: bool,
    lsn: Lsn,
    /// Milliseconds since 1970; 0 = never.
    expires_at: u64,
}

/// What becomes of what was found.
enum Change {
    /// It expires then.
    Expires(u64),
    /// It is deleted: the time is over.
    Deleted,
    /// Nothing.
    Nothing,
}

/// What `EXPIRE` and its kin ask of the time before.
#[derive(Clone, Copy, Default)]
struct Demands {
    never: bool,
    some: bool,
    later: bool,
    sooner: bool,
}

impl Demands {
    fn of(command: &Command<'_, '_>) -> Result<Self, String> {
        let mut demands = Self::default();
        for word in command.arguments_from(3) {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => demands.never = true,
                b"xx" => demands.some = true,
                b"gt" => demands.later = true,
                b"lt" => demands.sooner = true,
                _ => return Err(format!("Unsupported option {}", shown(word))),
            }
        }
        if demands.never && (demands.some || demands.later || demands.sooner) {
            return Err(
                "NX and XX, GT or LT options at the same time are not compatible".to_owned()
            );
        }
        if demands.later && demands.sooner {
            return Err("GT and LT options at the same time are not compatible".to_owned());
        }
        Ok(demands)
    }

    /// Whether they are met. What never expires does so later than anything.
    fn are_met(self, before: u64, after: u64) -> bool {
        let before_end = if before == 0 { u64::MAX } else { before };
        !(self.never && before != 0
            || self.some && before == 0
            || self.later && after <= before_end
            || self.sooner && after >= before_end)
    }
}

impl Session {
    /// `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`.
    pub(super) async fn expire(&mut self, command: &Command<'_, '_>) {
        let (unit, name) = unit_of(command.argument(0));
        let asked = unit.lifetime(command.argument(2), name).map_err(|error| error.to_string());
        let (lifetime, demands) = match asked.and_then(|time| Ok((time, Demands::of(command)?))) {
            Ok(asked) => asked,
            Err(why) => return self.output.err(why),
        };
        let changed = self.change_expiry(command.argument(1), |now_ms, before| {
            let end = lifetime.end(now_ms);
            match demands.are_met(before.expires_at, end.unwrap_or(0)) {
                true => end.map_or(Change::Deleted, Change::Expires),
                false => Change::Nothing,
            }
        });
        let changed = changed.await;
        self.give_changed(changed);
    }

    pub(super) async fn persist(&mut self, key: &[u8]) {
        let changed = self.change_expiry(key, |_, before| match before.expires_at {
            0 => Change::Nothing,
            _ => Change::Expires(0),
        });
        let changed = changed.await;
        self.give_changed(changed);
    }

    fn give_changed(&mut self, changed: Result<bool, WriteError>) {
        match changed {
            Ok(changed) => self.output.integer(i64::from(changed)),
            Err(error) => refuse(&error, &mut self.output),
        }
    }

    /// Changes when a key or a row expires, as `change` says. Returns whether anything has changed.
    async fn change_expiry(
        &mut self,
        key: &[u8],
        change: impl Fn(u64, &Present) -> Change,
    ) -> Result<bool, WriteError> {
        let server = Arc::clone(&self.server);
        let _turn = server.turn(self.namespace.name(), key).lock().await;
        let deadline = Instant::now() + CONFLICT_PATIENCE;
        loop {
            let Some(before) = self.present(key)? else { return Ok(false) };
            let rows = [key];
            let operation = match (change(self.reader().now_ms(), &before), before.is_row) {
                (Change::Nothing, _) => return Ok(false),
                (Change::Expires(ms), false) => (Operation::Expire { key }, ms),
                (Change::Expires(ms), true) => (Operation::ExpireRow { row: key }, ms),
                (Change::Deleted, false) => (Operation::Delete { key }, 0),
                (Change::Deleted, true) => (Operation::DeleteRows(&rows), 0),
            };
            let (operation, expires_at) = operation;
            let condition = Condition::UnchangedSince(before.lsn);
            let write = Write { condition, expires_at, ..Write::new(operation) };
            match commit_one(&self.namespace, write).await {
                Err(WriteError::Conflict { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(CONFLICT_PAUSE).await;
                }
                Ok(written) => {
                    self.last_written = written.lsn;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn present(&self, key: &[u8]) -> Result<Option<Present>, ReadError> {
        let snapshot = self.reader().snapshot();
        if let Some(found) = snapshot.get(key)? {
            let (lsn, expires_at) = (found.lsn(), found.expires_at());
            return Ok(Some(Present { is_row: false, lsn, expires_at }));
        }
        let row = snapshot.row(key)?;
        Ok(row.map(|row| Present { is_row: true, lsn: row.lsn(), expires_at: row.expires_at() }))
    }

    /// `GETEX`.
    pub(super) async fn get_and_expire(&mut self, command: &Command<'_, '_>) {
        let key = command.argument(1);
        let lifetime = match get_option(command) {
            Ok(lifetime) => lifetime,
            Err(why) => return self.output.err(why),
        };
        let value = match self.reader().get(key) {
            Ok(Some(value)) => value,
            Ok(None) => return self.output.null(),
            Err(error) => return self.output.err(error),
        };
        let lsn = value.lsn();
        let changed = self.change_expiry(key, |now_ms, before| match lifetime {
            _ if before.is_row || before.lsn != lsn => Change::Nothing,
            None => Change::Nothing,
            Some(None) if before.expires_at == 0 => Change::Nothing,
            Some(None) => Change::Expires(0),
            Some(Some(lifetime)) => lifetime.end(now_ms).map_or(Change::Deleted, Change::Expires),
        });
        match changed.await {
            Ok(_) => self.give(&value),
            Err(error) => refuse(&error, &mut self.output),
        }
    }

    /// `SET` where it has to look before it writes: with `KEEPTTL`, or with `NX` and `GET`.
    pub(super) async fn set(&mut self, command: &Command<'_, '_>) {
        let (key, value) = (command.argument(1), command.argument(2));
        let options = match SetOptions::of(command) {
            Ok(options) => options,
            Err(why) => return self.output.err(why),
        };
        let server = Arc::clone(&self.server);
        let _turn = server.turn(self.namespace.name(), key).lock().await;
        let deadline = Instant::now() + CONFLICT_PATIENCE;
        loop {
            let reader = self.reader();
            let before = match reader.get(key) {
                Ok(before) => before,
                Err(error) => return self.output.err(error),
            };
            let wanted = match options.condition {
                Condition::Absent => before.is_none(),
                Condition::Present => before.is_some(),
                _ => true,
            };
            if !wanted {
                return self.give_set(options, before.as_ref(), false);
            }
            let kept = before.as_ref().map_or(0, ValueRef::expires_at);
            let asked = options.lifetime.map(|time| time.end(reader.now_ms()).unwrap_or(1));
            let expires_at = if options.keeps_expiry { kept } else { asked.unwrap_or(0) };
            let version = before.as_ref().map_or(Lsn::ZERO, ValueRef::lsn);
            let condition = Condition::UnchangedSince(version);
            let write = Write { condition, ..Write::put(key, value).expiring_at(expires_at) };
            match commit_one(&self.namespace, write).await {
                Err(WriteError::Conflict { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(CONFLICT_PAUSE).await;
                }
                Ok(written) => {
                    self.last_written = written.lsn;
                    return self.give_set(options, before.as_ref(), true);
                }
                Err(error) => return refuse(&error, &mut self.output),
            }
        }
    }

    fn give_set(&mut self, options: SetOptions, before: Option<&ValueRef>, done: bool) {
        match before {
            Some(before) if options.previous => self.give(before),
            None if options.previous => self.output.null(),
            _ if done => self.output.ok(),
            _ => self.output.null(),
        }
    }

    fn give(&mut self, value: &ValueRef) {
        give_value(value, &mut self.output);
    }
}

/// The unit that a command's name stands for, and that name.
fn unit_of(name: &[u8]) -> (Unit, &'static str) {
    match name.to_ascii_lowercase().as_slice() {
        b"expire" => (Unit::Seconds, "expire"),
        b"pexpire" => (Unit::Milliseconds, "pexpire"),
        b"expireat" => (Unit::UnixSeconds, "expireat"),
        _ => (Unit::UnixMilliseconds, "pexpireat"),
    }
}

/// What `GETEX` does: nothing, `Some(None)` to let the key last, or a time.
fn get_option(command: &Command<'_, '_>) -> Result<Option<Option<Lifetime>>, String> {
    let (option, time) = (command.argument(2), command.argument(3));
    match (command.len(), Unit::of_option(option)) {
        (2, _) => Ok(None),
        (3, _) if option.eq_ignore_ascii_case(b"PERSIST") => Ok(Some(None)),
        (4, Some(unit)) => {
            let lifetime = unit.lifetime(time, "getex").and_then(|time| time.positive("getex"));
            lifetime.map(|time| Some(Some(time))).map_err(|error| error.to_string())
        }
        _ => Err(SYNTAX.to_owned()),
    }
}
