//! Times at which keys expire: how commands give them, and how they are answered.

use crate::output::Output;
use crate::parse::{Command, number};
use crate::reads::{Looked, NOT_A_NUMBER, give};
use unison_engine::{ReadError, Reader};
use unison_ports::SegmentStore;

/// How a command gives a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// So many seconds from now.
    Seconds,
    /// So many milliseconds from now.
    Milliseconds,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
}

/// Longest time from now: what is longer ends, by any clock before the year 2109, beyond what a number
/// of milliseconds says.
const LIFETIME_MS_MAX: i64 = i64::MAX - (1 << 42);

/// A time that a command gave, milliseconds; below zero it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// From when the command is carried out.
    For(i64),
    /// Since 1970.
    Until(i64),
}

/// Why a time is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// It is no number.
    #[error("{NOT_A_NUMBER}")]
    NotANumber,
    /// It is beyond what a clock can say, or over where it must not be.
    #[error("invalid expire time in '{command}' command")]
    Invalid {
        /// The command's name.
        command: &'static str,
    },
}

impl Unit {
    /// The unit that an option of a command names.
    #[must_use]
    pub fn of_option(option: &[u8]) -> Option<Self> {
        let units: [(&[u8], Self); 4] = [
            (b"EX", Self::Seconds),
            (b"PX", Self::Milliseconds),
            (b"EXAT", Self::UnixSeconds),
            (b"PXAT", Self::UnixMilliseconds),
        ];
        let found = units.into_iter().find(|(name, _)| option.eq_ignore_ascii_case(name));
        found.map(|(_, unit)| unit)
    }

    /// The time that `text` gives in this unit.
    ///
    /// # Errors
    /// It is no number, or too large.
    pub fn lifetime(self, text: &[u8], command: &'static str) -> Result<Lifetime, LifetimeError> {
        let value = number(text).ok_or(LifetimeError::NotANumber)?;
        let factor = if matches!(self, Self::Seconds | Self::UnixSeconds) { 1_000 } else { 1 };
        let ms = value.checked_mul(factor).ok_or(LifetimeError::Invalid { command })?;
        Ok(match self {
            Self::Seconds | Self::Milliseconds if ms > LIFETIME_MS_MAX => {
                return Err(LifetimeError::Invalid { command });
            }
            Self::Seconds | Self::Milliseconds => Lifetime::For(ms),
            Self::UnixSeconds | Self::UnixMilliseconds => Lifetime::Until(ms),
        })
    }
}

impl Lifetime {
    /// The same; a time that is not above zero is refused.
    ///
    /// # Errors
    /// It is zero or below.
    pub fn positive(self, command: &'static str) -> Result<Self, LifetimeError> {
        let (Self::For(ms) | Self::Until(ms)) = self;
        if ms > 0 { Ok(self) } else { Err(LifetimeError::Invalid { command }) }
    }

    /// Milliseconds since 1970 at which it ends, seen from `now_ms`; `None` when that is over, and
    /// never 0.
    #[must_use]
    pub fn end(self, now_ms: u64) -> Option<u64> {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let end = match self {
            Self::For(ms) => now.saturating_add(ms),
            Self::Until(ms) => ms,
        };
        u64::try_from(end).ok().filter(|end| *end > now_ms)
    }
}

/// When a key expires, else a row of that name: milliseconds since 1970, 0 = never.
fn expires_at<S: SegmentStore>(reader: &Reader<S>, key: &[u8]) -> Result<Option<u64>, ReadError> {
    match reader.expires_at(key)? {
        Some(ms) => Ok(Some(ms)),
        None => reader.row_expires_at(key),
    }
}

/// `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`: -2 when there is neither key nor row, -1 when it never
/// expires. Reads no value.
pub fn time_to_live<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let name = command.argument(0);
    let in_ms = name.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'p'));
    let is_absolute = name.len() >= b"expiretime".len();
    give(expires_at(reader, command.argument(1)), output, |found, output| {
        let ms = match found {
            None => return output.integer(-2),
            Some(0) => return output.integer(-1),
            Some(ms) if is_absolute => ms,
            Some(ms) => ms.saturating_sub(reader.now_ms()),
        };
        output.count(if in_ms { ms } else { ms.saturating_add(500) / 1_000 });
    })
}

#[cfg(test)]
mod tests {
    use super::{Lifetime, LifetimeError, Unit};

    #[test]
    fn times_in_all_units() {
        let of = |option: &[u8], text: &[u8]| {
            Unit::of_option(option).unwrap().lifetime(text, "set").unwrap()
        };
        assert_eq!(of(b"ex", b"10"), Lifetime::For(10_000));
        assert_eq!(of(b"PX", b"-1"), Lifetime::For(-1));
        assert_eq!(of(b"ExAt", b"2"), Lifetime::Until(2_000));
        assert_eq!(of(b"PXAT", b"2"), Lifetime::Until(2));
        assert_eq!(Unit::of_option(b"KEEPTTL"), None);
    }

    #[test]
    fn what_is_no_time_is_refused_in_redis_s_words() {
        let why = |text: &[u8]| Unit::Seconds.lifetime(text, "set").unwrap_err();
        assert_eq!(why(b"ten"), LifetimeError::NotANumber);
        assert_eq!(
            alloc::format!("{}", why(b"9223372036854775807")),
            "invalid expire time in 'set' command"
        );
        assert!(
            Lifetime::For(0).positive("set").is_err() && Lifetime::For(1).positive("set").is_ok()
        );
    }

    #[test]
    fn what_would_end_beyond_all_clocks_is_refused() {
        let long = b"9223372036854775807";
        let invalid = Err(LifetimeError::Invalid { command: "pexpire" });
        assert_eq!(Unit::Milliseconds.lifetime(long, "pexpire"), invalid);
        assert_eq!(Unit::Seconds.lifetime(b"9223372036854775", "pexpire"), invalid);
        let ends = Unit::UnixMilliseconds.lifetime(long, "pexpireat");
        assert_eq!(ends, Ok(Lifetime::Until(i64::MAX)));
    }

    #[test]
    fn an_end_is_ahead_or_none() {
        assert_eq!(Lifetime::For(5).end(100), Some(105));
        assert_eq!(Lifetime::For(0).end(100), None);
        assert_eq!(Lifetime::For(i64::MAX).end(100), Some(i64::MAX as u64));
        assert_eq!(
            (Lifetime::Until(100).end(100), Lifetime::Until(101).end(100)),
            (None, Some(101))
        );
        assert_eq!(Lifetime::Until(i64::MIN).end(0), None);
    }
}
