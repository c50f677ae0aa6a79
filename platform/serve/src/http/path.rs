//! What a path names. Keys are bytes: they are percent-decoded here and not by the router, so that
//! they may hold `%2F` and need not be UTF-8.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use unison_base::TxnId;
use unison_linux::store::Namespace;

use super::error::ApiError;
use super::kv::refuse_on_follower;
use crate::node::Node;

/// Where the API begins.
pub(super) const PREFIX: &str = "/api/v1/";

/// The namespace of a path.
#[derive(Debug)]
pub(super) struct InNamespace(pub(super) Arc<Namespace>);

/// The namespace and the key of a path.
#[derive(Debug)]
pub(super) struct AtKey {
    pub(super) namespace: Arc<Namespace>,
    pub(super) key: Vec<u8>,
}

/// The namespace and the transaction of a path. A node that follows has no transactions of its own:
/// there the refusal names its hub.
#[derive(Debug)]
pub(super) struct AtTransaction {
    pub(super) namespace: Arc<Namespace>,
    pub(super) id: TxnId,
}

/// The namespace and the row of a path. A slash in a row's key is always `%2F`.
#[derive(Debug)]
pub(super) struct AtRow {
    pub(super) namespace: Arc<Namespace>,
    pub(super) row: Vec<u8>,
}

/// Bytes with every `%41` replaced; `None` when a `%` has no two hexadecimal digits behind it.
pub(super) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = if *first == b'%' {
            let (digits, behind) = tail.split_at_checked(2)?;
            decoded.push(hex(digits)?);
            behind
        } else {
            decoded.push(*first);
            tail
        };
    }
    Some(decoded)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

pub(super) fn no_namespace(name: &str) -> ApiError {
    ApiError::NotFound(format!("there is no namespace {name}"))
}

/// The name in the path, and what follows its slash.
pub(super) fn split(path: &str) -> Result<(String, &str), ApiError> {
    let below = path.strip_prefix(PREFIX).unwrap_or_default();
    let (name, rest) = below.split_once('/').unwrap_or((below, ""));
    let bad = || ApiError::Malformed("the path's namespace is no percent-encoded text".to_owned());
    let name = percent_decoded(name.as_bytes()).ok_or_else(bad)?;
    Ok((String::from_utf8(name).map_err(|_| bad())?, rest))
}

fn namespace<'p>(parts: &'p Parts, node: &Node) -> Result<(Arc<Namespace>, &'p str), ApiError> {
    let (name, rest) = split(parts.uri.path())?;
    let namespace = node.store.namespace(&name).ok_or_else(|| no_namespace(&name))?;
    Ok((namespace, rest))
}

impl FromRequestParts<Arc<Node>> for InNamespace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        namespace(parts, node).map(|(namespace, _)| Self(namespace))
    }
}

impl FromRequestParts<Arc<Node>> for AtKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        let (namespace, rest) = namespace(parts, node)?;
        let (_, text) = rest.split_once('/').unwrap_or_default();
        Ok(Self { namespace, key: key(text)? })
    }
}

impl FromRequestParts<Arc<Node>> for AtRow {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        let (namespace, rest) = namespace(parts, node)?;
        let rest = rest.strip_prefix("row/").unwrap_or_default();
        let row = key(rest.split('/').next().unwrap_or_default())?;
        Ok(Self { namespace, row })
    }
}

impl FromRequestParts<Arc<Node>> for AtTransaction {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        refuse_on_follower(node)?;
        let (namespace, rest) = namespace(parts, node)?;
        let text = rest.split('/').nth(1).unwrap_or_default();
        let unknown = || ApiError::NotFound("there is no such transaction".to_owned());
        Ok(Self { namespace, id: transaction(text).ok_or_else(unknown)? })
    }
}

/// 32 hexadecimal digits.
fn transaction(text: &str) -> Option<TxnId> {
    let mut id = [0; 16];
    let digits = text.as_bytes();
    if digits.len() != 2 * id.len() {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(digits.chunks(2)) {
        *byte = hex(digits)?;
    }
    Some(TxnId(id))
}

fn key(text: &str) -> Result<Vec<u8>, ApiError> {
    let bad = || ApiError::Malformed("a `%` in the key has no two digits behind it".to_owned());
    percent_decoded(text.as_bytes()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::{percent_decoded, split, transaction};

    #[test]
    fn keys_are_decoded_once_and_completely() {
        for (text, bytes) in [
            ("plain", b"plain".as_slice()),
            ("a%2Fb", b"a/b"),
            ("a%252F", b"a%2F"),
            ("%00%ff", b"\x00\xff"),
            ("a+b", b"a+b"),
            ("", b""),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for text in ["%", "a%4", "%4g", "%%41"] {
            assert_eq!(percent_decoded(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_transaction_is_32_digits() {
        let id = "00ff10203040506070809000a0b0c0d0";
        assert_eq!(transaction(id).unwrap().to_string(), id);
        for text in ["", "00", &id[1..], "0xff10203040506070809000a0b0c0d0aa", "\u{e9}"] {
            assert!(transaction(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_path_splits_behind_its_namespace() {
        assert_eq!(split("/api/v1/a/kv/b/c").unwrap(), ("a".to_owned(), "kv/b/c"));
        assert_eq!(split("/api/v1/a%2Db").unwrap(), ("a-b".to_owned(), ""));
        assert!(split("/api/v1/%ff/kv").is_err());
    }
}
