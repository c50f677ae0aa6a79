//! How long what is written lives: `"ttl": 90`, `"ttl": "90s"`, `"ttl": "1h"`; and when it expires, in
//! answers: `"expires"`, milliseconds since 1970, left out where it never does.

use serde::Deserialize;
use unison_linux::store::Namespace;

use super::error::ApiError;
use super::whole::Whole;
use crate::config::Span;

/// Longest time to live, milliseconds: 999,999,999 days.
const TTL_MS_MAX: u64 = 999_999_999 * 86_400_000;

/// A time to live: whole seconds, or a whole number with a unit.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`ttl` is whole seconds, or a text such as `90s` or `1h`")]
pub(super) enum Ttl {
    Seconds(Whole),
    Text(String),
}

impl Ttl {
    /// In milliseconds, above zero.
    pub(super) fn ms(&self) -> Result<u64, ApiError> {
        let ms = match self {
            Self::Seconds(seconds) => seconds.0.checked_mul(1_000),
            Self::Text(text) => {
                let span: Result<Span, _> = text.parse();
                let malformed = |error| ApiError::Malformed(format!("`ttl`: {error}"));
                u64::try_from(span.map_err(malformed)?.0.as_millis()).ok()
            }
        };
        let why = "`ttl` is whole seconds above zero, or a text such as `90s` or `1h`, and at most \
                   999,999,999 days";
        ms.filter(|ms| (1..=TTL_MS_MAX).contains(ms))
            .ok_or_else(|| ApiError::Malformed(why.to_owned()))
    }
}

/// When what is written now expires, milliseconds since 1970; 0 = never.
pub(super) fn expires_at(ttl: Option<&Ttl>, namespace: &Namespace) -> Result<u64, ApiError> {
    let Some(ttl) = ttl else { return Ok(0) };
    Ok(namespace.reader().now_ms().saturating_add(ttl.ms()?))
}

/// The same, where the time itself may be given instead: as an answer has said it.
pub(super) fn end(
    ttl: Option<&Ttl>,
    expires: Option<Whole>,
    namespace: &Namespace,
) -> Result<u64, ApiError> {
    match (ttl, expires) {
        (_, None) => expires_at(ttl, namespace),
        (None, Some(ms)) if ms.0 > 0 => Ok(ms.0),
        _ => Err(ApiError::Malformed("`expires` is above zero, and not beside `ttl`".to_owned())),
    }
}

/// For answers: `None` where nothing expires.
pub(super) fn shown(expires_at: u64) -> Option<u64> {
    (expires_at > 0).then_some(expires_at)
}

#[cfg(test)]
mod tests {
    use super::{TTL_MS_MAX, Ttl};

    #[test]
    fn seconds_and_texts() {
        let ms = |json: &str| serde_json::from_str::<Ttl>(json).ok()?.ms().ok();
        assert_eq!(
            (ms("90.0"), ms("\"90s\""), ms("\"1h\"")),
            (Some(90_000), Some(90_000), Some(3_600_000))
        );
        assert_eq!((ms("\"250ms\""), ms("\"2d\"")), (Some(250), Some(172_800_000)));
        assert_eq!((ms("86399999913600"), ms("86399999913601")), (Some(TTL_MS_MAX), None));
        for bad in ["0", "-1", "1.5", "\"\"", "\"0s\"", "\"soon\"", "18446744073709551615", "null"]
        {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
