//! Conditions: `If-Match: <lsn>` and `If-None-Match: *`. A version is the LSN of the record that
//! wrote it, with or without quotes; 0 is the version of an absent key.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
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

/// What a read answers instead of what it found in version `current`: 412 when it is none of those in
/// `If-Match`, 304 when it is one of those in `If-None-Match`, which the client has.
pub(super) fn unneeded(headers: &HeaderMap, current: Lsn) -> Option<Response> {
    if names(headers, header::IF_MATCH, current, false) == Some(false) {
        let current = (current > Lsn::ZERO).then_some(current);
        return Some(ApiError::Conflict(current).into_response());
    }
    let had = names(headers, header::IF_NONE_MATCH, current, true) == Some(true);
    had.then(|| (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(current))]).into_response())
}

/// Whether a header, if there is one, names a version; `*` names all but that of what is absent.
fn names(headers: &HeaderMap, name: HeaderName, current: Lsn, weak: bool) -> Option<bool> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    Some(tags.any(|tag| match tag.trim() {
        "*" => current > Lsn::ZERO,
        tag => lsn(tag.strip_prefix("W/").filter(|_| weak).unwrap_or(tag)).ok() == Some(current),
    }))
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
    use super::{condition, unneeded};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use unison_base::Lsn;
    use unison_engine::Condition;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let named = |name| HeaderName::from_static(name);
        pairs.iter().map(|(name, value)| (named(name), HeaderValue::from_static(value))).collect()
    }

    fn of(pairs: &[(&'static str, &'static str)]) -> Option<Condition> {
        condition(&headers(pairs)).ok()
    }

    #[test]
    fn a_read_is_answered_in_short_when_its_version_is_known_or_another_one() {
        let of = |version, pairs: &[_]| {
            unneeded(&headers(pairs), Lsn(version)).map(|answer| answer.status().as_u16())
        };
        for (version, pairs, status) in [
            (7, [].as_slice(), None),
            (7, &[("if-none-match", "7")], Some(304)),
            (7, &[("if-none-match", "\"3\", W/\"7\"")], Some(304)),
            (7, &[("if-none-match", "3"), ("if-none-match", "\"7\"")], Some(304)),
            (7, &[("if-none-match", "\"8\", other")], None),
            (7, &[("if-none-match", "*")], Some(304)),
            (0, &[("if-none-match", "*")], None),
            (0, &[("if-none-match", "0")], Some(304)),
            (7, &[("if-match", "3, \"7\"")], None),
            (7, &[("if-match", "W/\"7\"")], Some(412)),
            (7, &[("if-match", "8")], Some(412)),
            (7, &[("if-match", "*")], None),
            (0, &[("if-match", "*")], Some(412)),
            (7, &[("if-match", "8"), ("if-none-match", "7")], Some(412)),
        ] {
            assert_eq!(of(version, pairs), status, "{version} {pairs:?}");
        }
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
