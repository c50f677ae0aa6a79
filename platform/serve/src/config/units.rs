//! Sizes such as `16MiB` and times such as `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a size or a time cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No whole number at the start.
    #[error("`{0}` does not begin with a whole number")]
    Number(String),
    /// Another unit than those of a size.
    #[error("`{0}` is no unit of size: use B, KiB, MiB, GiB or TiB (KB, MB, GB, TB for thousands)")]
    Size(String),
    /// Another unit than those of a time.
    #[error("`{0}` is no unit of time: use ms, s, m, h or d")]
    Time(String),
    /// Above 64 bits.
    #[error("`{0}` is too large")]
    Overflow(String),
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A length of time with milliseconds as its smallest step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SIZES_OF_THOUSANDS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];
const TIMES_MS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The number at the start of `text` and the word behind it.
fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::Number(text.to_owned()));
    }
    let number = digits.parse().map_err(|_| UnitError::Overflow(text.to_owned()))?;
    Ok((number, unit.trim()))
}

fn times(text: &str, number: u64, factor: u64) -> Result<u64, UnitError> {
    number.checked_mul(factor).ok_or_else(|| UnitError::Overflow(text.to_owned()))
}

fn factor_of<'a>(unit: &str, mut known: impl Iterator<Item = &'a (&'a str, u64)>) -> Option<u64> {
    known.find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
}

/// The largest unit that divides `value`, and how often.
fn in_largest(value: u64, units: &[(&'static str, u64)]) -> (u64, &'static str) {
    let fits = |(_, factor): &&(&str, u64)| value != 0 && value.is_multiple_of(*factor);
    units.iter().find(fits).map_or((value, ""), |(unit, factor)| (value / factor, unit))
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let factor = match unit {
            "" => Some(1),
            unit => factor_of(unit, SIZES.iter().chain(&SIZES_OF_THOUSANDS)),
        };
        let factor = factor.ok_or_else(|| UnitError::Size(unit.to_owned()))?;
        times(text, number, factor).map(Self)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let factor = factor_of(unit, TIMES_MS.iter());
        let factor = factor.ok_or_else(|| UnitError::Time(unit.to_owned()))?;
        times(text, number, factor).map(|ms| Self(Duration::from_millis(ms)))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = in_largest(self.0, &SIZES);
        write!(f, "{number}{unit}")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match in_largest(ms, &TIMES_MS) {
            (0, _) => f.write_str("0s"),
            (number, unit) => write!(f, "{number}{unit}"),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A size in a file is text with a unit, or a bare number of bytes.
struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"16MiB\" or a number of bytes")
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}
