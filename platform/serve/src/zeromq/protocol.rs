//! ZMTP 3.0 without I/O: as much of it as a publisher needs.
//!
//! ```text
//! greeting  FF, 8 bytes, 7F | 3, 0 | "NULL", zeros to 20 | 0 | 31 zeros        64 bytes, both sides
//! frame     flags | length, 1 byte, or 8 with LONG | body
//! command   flags COMMAND; body: length of the name, name, data
//! READY     for each property: length u8, name, length u32 big-endian, value
//! ```

/// Bytes of a greeting.
pub(super) const GREETING_BYTES: usize = 64;
/// Longest frame of a subscriber: it has little to say.
pub(super) const FRAME_BYTES_MAX: usize = 8 << 10;

/// Another frame of the message follows.
pub(super) const MORE: u8 = 1;
const LONG: u8 = 2;
/// The frame is a command.
pub(super) const COMMAND: u8 = 4;

/// What we say first.
pub(super) const GREETING: [u8; GREETING_BYTES] = greeting();

const fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = 0xFF;
    bytes[9] = 0x7F;
    bytes[10] = 3;
    [bytes[12], bytes[13], bytes[14], bytes[15]] = *b"NULL";
    bytes
}

/// Why a peer is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("it does not speak ZMTP 3")]
    Version,
    #[error("it asks for a mechanism other than NULL")]
    Mechanism,
    #[error("a frame of {0} bytes, the limit is {FRAME_BYTES_MAX} (frame)")]
    FrameTooLarge(u64),
    #[error("a frame with unknown flags")]
    Flags,
    #[error("a READY was expected")]
    NotReady,
    #[error("it is no subscriber")]
    NotSubscriber,
}

/// Whether a greeting is one that we can answer.
pub(super) fn check_greeting(bytes: &[u8; GREETING_BYTES]) -> Result<(), ProtocolError> {
    let [first, _, _, _, _, _, _, _, _, tenth, major, _minor, rest @ ..] = bytes;
    if *first != 0xFF || tenth & 1 == 0 || *major < 3 {
        return Err(ProtocolError::Version);
    }
    let mechanism = rest.get(..20).unwrap_or_default();
    let name = mechanism.split(|&byte| byte == 0).next().unwrap_or_default();
    if name == b"NULL" { Ok(()) } else { Err(ProtocolError::Mechanism) }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) flags: u8,
    pub(super) body: &'a [u8],
}

/// The frame at the start of `bytes` and its length; `None` while it is not complete.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, ProtocolError> {
    let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(ProtocolError::Flags);
    }
    let (length, head) = if flags & LONG == 0 {
        let Some(&length) = rest.first() else { return Ok(None) };
        (u64::from(length), 2)
    } else {
        let Some((length, _)) = rest.split_first_chunk() else { return Ok(None) };
        (u64::from_be_bytes(*length), 9)
    };
    let body_bytes = usize::try_from(length).ok().filter(|&bytes| bytes <= FRAME_BYTES_MAX);
    let end = head + body_bytes.ok_or(ProtocolError::FrameTooLarge(length))?;
    Ok(bytes.get(head..end).map(|body| (Frame { flags, body }, end)))
}

/// Appends a frame.
pub(super) fn push(output: &mut Vec<u8>, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(length) => output.extend_from_slice(&[flags, length]),
        Err(_) => {
            output.push(flags | LONG);
            output.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    output.extend_from_slice(body);
}

/// Appends our `READY`.
pub(super) fn push_ready(output: &mut Vec<u8>) {
    push(output, COMMAND, b"\x05READY\x0bSocket-Type\0\0\0\x03PUB");
}

/// Name and data of a command.
pub(super) fn command(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = body.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// Whether a `READY` is that of a subscriber.
pub(super) fn check_ready(frame: Frame<'_>) -> Result<(), ProtocolError> {
    let command = command(frame.body).filter(|_| frame.flags & COMMAND != 0);
    let Some((b"READY", mut properties)) = command else { return Err(ProtocolError::NotReady) };
    while let Some((name, value, rest)) = property(properties) {
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            let subscribes = matches!(value, b"SUB" | b"XSUB");
            return if subscribes { Ok(()) } else { Err(ProtocolError::NotSubscriber) };
        }
        properties = rest;
    }
    Err(ProtocolError::NotSubscriber)
}

fn property(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((name, value, rest))
}

#[cfg(test)]
mod tests;
