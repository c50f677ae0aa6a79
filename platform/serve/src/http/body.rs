//! Reading a body: bounded in bytes and in time.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use crate::node::Node;

/// Time any body may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a body that is too large is taken in and forgotten.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may send nothing, however quick it was before.
const IDLE: Duration = Duration::from_secs(30);
/// Beyond that a body has to come at this rate, bytes a second.
const RATE_MIN: u64 = 16 << 10;

/// The whole body, at most `limit` bytes.
pub(super) async fn read(
    node: &Node,
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<Vec<u8>, ApiError> {
    if announced(headers).is_some_and(|announced| announced > limit as u64) {
        // Who waits for a permission to send has sent nothing that would have to be taken.
        return Err(if headers.contains_key(header::EXPECT) {
            ApiError::BodyTooLarge { limit }
        } else {
            too_large(body, limit).await
        });
    }
    let began = Instant::now();
    let (mut bytes, mut share) = (Vec::new(), node.input.share());
    loop {
        let left = patience(began.elapsed(), bytes.len());
        let frame = tokio::time::timeout(left, body.frame()).await;
        let Some(frame) = frame.map_err(|_| ApiError::TooSlow)? else { return Ok(bytes) };
        let broken = |_| ApiError::Malformed("the body is broken off".to_owned());
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(too_large(body, limit).await);
        }
        if !share.resize(bytes.len() + data.len()) {
            return Err(ApiError::TooMuchInput);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Takes what is still sent for a while: a connection closed with unread bytes in it would be reset,
/// and the client would not see why.
async fn too_large(mut body: Body, limit: usize) -> ApiError {
    let drain = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(LINGER, drain).await;
    ApiError::BodyTooLarge { limit }
}

/// How long the next bytes of a body may take of which `received` came within a time.
pub(super) fn patience(within: Duration, received: usize) -> Duration {
    let all = PATIENCE + Duration::from_secs(received as u64 / RATE_MIN);
    all.saturating_sub(within).min(IDLE)
}

/// The length that a request says its body has, if it says one.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// For a field that may be left out: it may be `null` as well.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The same for a text, of which nothing is copied that need not be.
pub(super) fn or_empty<'de: 'a, 'a, D>(from: D) -> Result<Cow<'a, str>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text<'a>>::deserialize(from)?.map(|text| text.0).unwrap_or_default())
}

/// The JSON object in a body. An array of its fields, which serde would take too, is none.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::Malformed("the body is a JSON object, not an array".to_owned()));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::Malformed(format!("the body is not what is expected: {error}")))
}

#[cfg(test)]
mod tests {
    use super::patience;
    use std::time::Duration;

    #[test]
    fn a_body_comes_at_a_rate_and_without_long_rests() {
        let seconds = |within, received| patience(Duration::from_secs(within), received).as_secs();
        assert_eq!((seconds(0, 0), seconds(4, 0), seconds(11, 0)), (10, 6, 0));
        assert_eq!((seconds(20, 16 << 10), seconds(20, 160 << 10)), (0, 0));
        assert_eq!(seconds(20, 320 << 10), 10);
        assert_eq!(seconds(20, 4 << 30), 30, "a quick beginning is no leave to stay away");
    }
}
