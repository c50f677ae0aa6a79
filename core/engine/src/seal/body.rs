//! What of a message is compressed and sealed: headers and payload as one run of bytes.
//!
//! ```text
//! headers, one byte | for each: length of the name, one byte; name; length of the value, u32; value | payload
//! ```

use alloc::vec::Vec;
use unison_base::bytes::u32_at;
use unison_base::limits::{
    MESSAGE_HEADER_NAME_MAX, MESSAGE_HEADERS_BYTES_MAX, MESSAGE_HEADERS_MAX, VALUE_MAX,
};

/// What a header takes beside its name and value, bytes.
const HEADER_OVERHEAD: usize = 5;
/// Most bytes of a body.
pub(super) const BODY_MAX: usize =
    1 + VALUE_MAX + MESSAGE_HEADERS_BYTES_MAX + MESSAGE_HEADERS_MAX * HEADER_OVERHEAD;

const _: () = assert!(MESSAGE_HEADERS_MAX <= u8::MAX as usize);
const _: () = assert!(MESSAGE_HEADER_NAME_MAX <= u8::MAX as usize);

/// Puts headers and payload, which keep the limits, in the place of what is in `target`.
pub(super) fn encode(target: &mut Vec<u8>, headers: &[(&str, &[u8])], payload: &[u8]) {
    target.clear();
    target.push(u8::try_from(headers.len()).unwrap_or(u8::MAX));
    for (name, value) in headers {
        target.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        target.extend_from_slice(name.as_bytes());
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        target.extend_from_slice(&length.to_le_bytes());
        target.extend_from_slice(value);
    }
    target.extend_from_slice(payload);
}

/// A message's headers and payload in the clear.
pub(crate) struct Opened {
    bytes: Vec<u8>,
    payload_at: usize,
}

impl Opened {
    /// `None` when the bytes are no body.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.get(1..)?;
        for _ in 0..*bytes.first()? {
            rest = header(rest)?.2;
        }
        let payload_at = bytes.len().checked_sub(rest.len())?;
        Some(Self { bytes, payload_at })
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at..).unwrap_or_default()
    }

    /// Names and values.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.bytes.get(1..self.payload_at).unwrap_or_default();
        core::iter::from_fn(move || {
            let (name, value, behind) = header(rest)?;
            rest = behind;
            Some((name, value))
        })
    }
}

/// A header, and what follows it.
fn header(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let length = usize::try_from(u32_at(rest, 0)?).ok()?;
    let (value, rest) = rest.get(4..)?.split_at_checked(length)?;
    Some((core::str::from_utf8(name).ok()?, value, rest))
}
