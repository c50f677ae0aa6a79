//! Times as requests write them.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::error::ApiError;
use super::whole::Whole;

/// A number, or a text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a time is milliseconds since 1970 or RFC 3339")]
pub(super) enum Text<'a> {
    Number(Whole),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Text<'_> {
    /// A time in milliseconds since 1970.
    pub(super) fn moment_ms(&self) -> Result<u64, ApiError> {
        match self {
            Self::Number(ms) => Ok(ms.0),
            Self::Text(text) => moment_ms(text),
        }
    }
}

/// The wall clock, milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, or RFC 3339 as in `2026-03-14T15:09:26.5Z`.
pub(super) fn moment_ms(text: &str) -> Result<u64, ApiError> {
    let ms = text.parse().ok().or_else(|| rfc3339_ms(text.as_bytes()));
    let why = || {
        let what = "milliseconds since 1970 nor RFC 3339 (a `+` in a query is written %2B)";
        ApiError::Malformed(format!("`{text}` is neither {what}"))
    };
    ms.ok_or_else(why)
}

fn rfc3339_ms(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| number(date.get(from..to)?);
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let joined = matches!(date.get(10)?, b'T' | b't' | b' ');
    if !joined || marks.iter().any(|(at, mark)| date.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let day_max = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second is the first one of the next minute.
    if !(1..=day_max).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, zone) = fraction_ms(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let ms = (seconds - zone_seconds(zone)?) * 1_000 + fraction_ms;
    // Nothing is older than 1970: all times before it mean the same.
    Some(u64::try_from(ms).unwrap_or(0))
}

fn number(digits: &[u8]) -> Option<i64> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(10));
    digits.into_iter().try_fold(0, |number, digit| Some(number * 10 + i64::from(digit?)))
}

/// Thousandths of a second, and what follows them.
fn fraction_ms(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(behind) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = behind.split_at_checked(count).filter(|_| count > 0)?;
    let thousandths = digits.iter().chain(&[b'0'; 3]).take(3).copied().collect::<Vec<u8>>();
    Some((number(&thousandths)?, zone))
}

/// How far ahead of UTC the clock is.
fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let (hours, minutes) = (number(&[*a, *b])?, number(&[*c, *d])?);
            let seconds = (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Days since 1970-01-01, in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::moment_ms;

    #[test]
    fn times_are_numbers_or_rfc_3339() {
        for (text, ms) in [
            ("0", 0),
            ("1700000000000", 1_700_000_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", 0),
            ("0423-05-21T20:05:31Z", 0),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2000-02-29T23:59:60z", 951_868_800_000),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500),
            ("2023-11-14T22:13:20.1239Z", 1_700_000_000_123),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000_000),
            ("2023-11-14 17:43:20-04:30", 1_700_000_000_000),
        ] {
            assert_eq!(moment_ms(text).unwrap(), ms, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+25:00",
            "-1",
        ] {
            assert!(moment_ms(text).is_err(), "{text}");
        }
    }
}
