//! `Range: bytes=...`: one range. Any other is passed over, as HTTP allows: the answer is the whole.

use axum::http::{HeaderMap, header};
use unison_base::Lsn;

/// Bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) length: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// From a byte on, up to and with another.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

/// The range of a request for the version `lsn`, if there is one that counts.
pub(super) fn range(headers: &HeaderMap, lsn: Lsn) -> Option<Asked> {
    if let Some(version) = headers.get(header::IF_RANGE) {
        let version = version.to_str().ok()?.trim_matches('"');
        if version != lsn.0.to_string() {
            return None;
        }
    }
    let mut values = headers.get_all(header::RANGE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => asked(value.to_str().ok()?),
        _ => None,
    }
}

fn asked(text: &str) -> Option<Asked> {
    let (unit, ranges) = text.split_once('=')?;
    // Empty members of a list mean nothing.
    let mut ranges = ranges.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (first, last) = match (ranges.next(), ranges.next()) {
        (Some(range), None) if unit.trim().eq_ignore_ascii_case("bytes") => {
            range.split_once('-')?
        }
        _ => return None,
    };
    match (first.trim(), last.trim()) {
        ("", last) => Some(Asked::Last(number(last)?)),
        (first, "") => Some(Asked::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::From(first, Some(last)))
        }
    }
}

/// Digits; what is too large for a number is behind the end of any object.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

impl Asked {
    /// The bytes meant in an object of `bytes` bytes; none when it has none of them.
    pub(super) fn within(self, bytes: u64) -> Option<Range> {
        let (first, end) = match self {
            Self::From(first, last) => {
                (first, last.map_or(bytes, |last| bytes.min(last.saturating_add(1))))
            }
            Self::Last(count) => (bytes.saturating_sub(count), bytes),
        };
        (first < end).then(|| Range { first, length: end - first })
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, asked, range};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use unison_base::Lsn;

    #[test]
    fn ranges_of_ten_bytes() {
        for (text, expected) in [
            ("bytes=0-", Some((0, 10))),
            ("bytes=0-0", Some((0, 1))),
            ("bytes=3-5", Some((3, 3))),
            ("bytes=9-99", Some((9, 1))),
            ("bytes= 2 - 4 ", Some((2, 3))),
            ("bytes=-4", Some((6, 4))),
            ("bytes=-99", Some((0, 10))),
            ("bytes=-0", None),
            ("bytes=10-", None),
            ("bytes=18446744073709551615-18446744073709551615", None),
            ("bytes=99999999999999999999-", None),
            ("bytes=7-99999999999999999999", Some((7, 3))),
            ("bytes=-99999999999999999999", Some((0, 10))),
            ("Bytes=1-2", Some((1, 2))),
            ("bytes=, 1-2,", Some((1, 2))),
        ] {
            let found = asked(text).unwrap().within(10);
            let expected = expected.map(|(first, length)| Range { first, length });
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(asked("bytes=0-").unwrap().within(0), None);
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-3",
            "bytes=+1-2",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
        assert_eq!(asked("lines=1-2"), None);
    }

    #[test]
    fn a_range_of_another_version_is_passed_over() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                let name = HeaderName::from_static(name);
                headers.append(name, HeaderValue::from_static(value));
            }
            range(&headers, Lsn(7)).is_some()
        };
        assert!(of(&[("range", "bytes=1-")]) && of(&[("range", "bytes=1-"), ("if-range", "7")]));
        assert!(of(&[("range", "bytes=1-"), ("if-range", "\"7\"")]));
        assert!(!of(&[("range", "bytes=1-"), ("if-range", "8")]));
        assert!(!of(&[("range", "bytes=1-"), ("range", "bytes=2-")]) && !of(&[]));
    }
}
