//! Conditions: `If-Match: <lsn>` and `If-None-Match: *`. A version is the LSN of the record that
//! wrote it, with or without quotes; 0 is the version of an absent key.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use unison_base::Lsn;
use unison_engine::Condition;

use super::error::ApiError;

/// The condition of a write.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
    let (matches, none) =
        (single(headers, header::IF_MATCH)?, single(headers, header::IF_NONE_MATCH)?);
    match (matches, none) {
        (None, None) => Ok(Condition::Always),
        (Some("*"), None) => Ok(Condition::Present),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some(version), None) => lsn(version).map(Condition::UnchangedSince),
        (None, Some(_)) => Err(malformed("If-None-Match of a write is `*`")),
        (Some(_), Some(_)) => Err(malformed("If-Match and If-None-Match exclude each other")),
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(malformed("a condition is given once"));
    }
    let text = first.map(HeaderValue::to_str).transpose();
    Ok(text.map_err(|_| malformed("a condition is text"))?.map(str::trim))
}

fn lsn(text: &str) -> Result<Lsn, ApiError> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    bare.parse().map(Lsn).map_err(|_| malformed("If-Match is the lsn or ETag of an earlier answer"))
}

fn malformed(why: &str) -> ApiError {
    ApiError::Malformed(why.to_owned())
}

/// An answer, with the version of what it shows.
pub(super) fn versioned(lsn: Lsn, body: impl Serialize) -> Response {
    ([(header::ETAG, etag(lsn))], Json(body)).into_response()
}

/// The header value that names a version.
pub(super) fn etag(lsn: Lsn) -> HeaderValue {
    HeaderValue::from(lsn.0)
}

#[cfg(test)]
mod tests {
    use super::condition;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use unison_base::Lsn;
    use unison_engine::Condition;

    fn of(pairs: &[(&'static str, &'static str)]) -> Option<Condition> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        condition(&headers).ok()
    }

    #[test]
    fn versions_with_and_without_quotes() {
        let seven = Some(Condition::UnchangedSince(Lsn(7)));
        assert_eq!(of(&[]), Some(Condition::Always));
        assert_eq!(of(&[("if-match", "7")]), seven);
        assert_eq!(of(&[("if-match", " \"7\" ")]), seven);
        assert_eq!(of(&[("if-match", "*")]), Some(Condition::Present));
        assert_eq!(of(&[("if-none-match", "*")]), Some(Condition::Absent));
    }

    #[test]
    fn what_cannot_be_promised_is_refused() {
        for pairs in [
            [("if-match", "x")].as_slice(),
            &[("if-match", "\"7")],
            &[("if-match", "-1")],
            &[("if-none-match", "7")],
            &[("if-match", "7"), ("if-none-match", "*")],
            &[("if-match", "7"), ("if-match", "8")],
        ] {
            assert_eq!(of(pairs), None, "{pairs:?}");
        }
    }
}
