//! Commands that look at when a key or a row expires before they change it.

use std::borrow::Cow;

use unison_base::Lsn;
use unison_engine::{Condition, ReadError};
use unison_linux::store::{Reader, ValueRef};
use unison_resp::expiry::Unit;
use unison_resp::parse::Command;

use super::changes::{Answer, Change, Planned, To};
use super::shown;
use super::writes::{SYNTAX, SetOptions};

/// A key, or a row of that name when there is no such key, as a command found it.
struct Present {
    is_row: bool,
    lsn: Lsn,
    /// Milliseconds since 1970; 0 = never.
    expires_at: u64,
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

/// `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`.
pub(in crate::resp) fn expire<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    let (unit, name) = unit_of(command.argument(0));
    let demands = Demands::of(command)?;
    let asked = unit.lifetime(command.argument(2), name);
    let lifetime = asked.map_err(|error| error.to_string())?;
    let key = command.argument(1);
    let Some(found) = Present::find(reader, key)? else { return Ok(nothing()) };
    let end = lifetime.end(reader.now_ms());
    match demands.are_met(found.expires_at, end.unwrap_or(0)) {
        true => Ok(Planned::Change(found.ending(key, end), Answer::Integer(1))),
        false => Ok(nothing()),
    }
}

/// `PERSIST`.
pub(in crate::resp) fn persist<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    let key = command.argument(1);
    match Present::find(reader, key)? {
        Some(found) if found.expires_at != 0 => {
            Ok(Planned::Change(found.ending(key, Some(0)), Answer::Integer(1)))
        }
        _ => Ok(nothing()),
    }
}

const fn nothing<'c>() -> Planned<'c> {
    Planned::Nothing(Answer::Integer(0))
}

impl Present {
    fn find(reader: &Reader, key: &[u8]) -> Result<Option<Self>, String> {
        Self::look(reader, key).map_err(|error| error.to_string())
    }

    fn look(reader: &Reader, key: &[u8]) -> Result<Option<Self>, ReadError> {
        let snapshot = reader.snapshot();
        if let Some(found) = snapshot.get(key)? {
            let (lsn, expires_at) = (found.lsn(), found.expires_at());
            return Ok(Some(Self { is_row: false, lsn, expires_at }));
        }
        let row = snapshot.row(key)?;
        Ok(row.map(|row| Self { is_row: true, lsn: row.lsn(), expires_at: row.expires_at() }))
    }

    /// Makes it expire then, 0 = never; without a time, which is over, it is deleted.
    fn ending<'c>(&self, key: &'c [u8], end: Option<u64>) -> Change<'c> {
        let to = match (end, self.is_row) {
            (Some(_), false) => To::Expiring,
            (Some(_), true) => To::ExpiringRow,
            (None, false) => To::Deleted,
            (None, true) => To::DeletedRow,
        };
        Change::new(key, to, end.unwrap_or(0), self.lsn)
    }
}

/// `GETEX`.
pub(in crate::resp) fn get_and_expire<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    let key = command.argument(1);
    let option = get_option(command)?;
    let found = reader.get(key).map_err(|error| error.to_string())?;
    let Some(value) = found else { return Ok(Planned::Nothing(Answer::Null)) };
    let end = match option {
        None => return Ok(Planned::Nothing(Answer::Value(value))),
        Some(None) if value.expires_at() == 0 => {
            return Ok(Planned::Nothing(Answer::Value(value)));
        }
        Some(None) => Some(0),
        Some(Some((unit, time))) => {
            let asked = unit.lifetime(time, "getex").and_then(|time| time.positive("getex"));
            asked.map_err(|error| error.to_string())?.end(reader.now_ms())
        }
    };
    let found = Present { is_row: false, lsn: value.lsn(), expires_at: value.expires_at() };
    Ok(Planned::Change(found.ending(key, end), Answer::Value(value)))
}

/// `SET` where it has to look before it writes: with `KEEPTTL`, or with `NX` and `GET`.
pub(in crate::resp) fn set<'c>(
    reader: &Reader,
    command: &Command<'_, 'c>,
) -> Result<Planned<'c>, String> {
    let (key, value) = (command.argument(1), command.argument(2));
    let options = SetOptions::of(command)?;
    let before = reader.get(key).map_err(|error| error.to_string())?;
    let wanted = match options.condition {
        Condition::Absent => before.is_none(),
        Condition::Present => before.is_some(),
        _ => true,
    };
    let version = before.as_ref().map_or(Lsn::ZERO, ValueRef::lsn);
    let kept = before.as_ref().map_or(0, ValueRef::expires_at);
    let asked = options.lifetime.map(|time| time.end(reader.now_ms()).unwrap_or(1));
    let expires_at = if options.keeps_expiry { kept } else { asked.unwrap_or(0) };
    let answer = match before {
        Some(before) if options.previous => Answer::Value(before),
        None if options.previous => Answer::Null,
        _ if wanted => Answer::Ok,
        _ => Answer::Null,
    };
    if !wanted {
        return Ok(Planned::Nothing(answer));
    }
    let change = Change::new(key, To::Value(Cow::Borrowed(value)), expires_at, version);
    Ok(Planned::Change(change, answer))
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

/// What `GETEX` does: nothing, `Some(None)` to let the key last, or a time, which is looked at when
/// there is a key.
type GetOption<'c> = Option<Option<(Unit, &'c [u8])>>;

fn get_option<'c>(command: &Command<'_, 'c>) -> Result<GetOption<'c>, String> {
    let (option, time) = (command.argument(2), command.argument(3));
    match (command.len(), Unit::of_option(option)) {
        (2, _) => Ok(None),
        (3, _) if option.eq_ignore_ascii_case(b"PERSIST") => Ok(Some(None)),
        (4, Some(unit)) => Ok(Some(Some((unit, time)))),
        _ => Err(SYNTAX.to_owned()),
    }
}
