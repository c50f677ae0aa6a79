//! Keys of topics: `FC`, one byte for the kind, and then
//!
//! ```text
//! i  topic     id                                 -> name
//! j  pattern   id                                 -> text
//! m  stream    id                                 -> in memory only: everything before is trimmed
//!    message   id, time (6 bytes), LSN, index     -> message
//! n  name      levels, each followed by 00        -> id
//! p  text      levels, each followed by 00        -> id
//! r  retained  id                                 -> time, index; its LSN is the message's
//! k  epoch     number                             -> its key, wrapped
//! s  settings                                     -> what holds for the topics
//! t  trim      stream                             -> in the tree only: time, LSN; the rest of what is
//!                                                    before that is still to be removed
//! ```
//!
//! All below `a/b` is one range of names. Numbers other than times are those of [`super::number`].

use super::number;
use alloc::string::String;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::limits::TOPIC_NAME_MAX;

/// First byte of every key.
pub(crate) const PREFIX: u8 = 0xFC;

const END_OF_LEVEL: u8 = 0;
const TIME_BYTES: usize = 6;
/// Longest key of a message, a stream's head or a retained message, bytes.
pub(crate) const FIXED_KEY_MAX: usize = 2 + 3 * number::NUMBER_BYTES_MAX + TIME_BYTES;

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Topic,
    Pattern,
    Message,
    Name,
    Text,
    Retained,
    Settings,
    Trim,
    KeyEpoch,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Topic => b'i',
            Self::Pattern => b'j',
            Self::Message => b'm',
            Self::Name => b'n',
            Self::Text => b'p',
            Self::Retained => b'r',
            Self::Settings => b's',
            Self::Trim => b't',
            Self::KeyEpoch => b'k',
        }
    }

    /// What all keys of the kind begin with.
    pub(crate) const fn prefix(self) -> [u8; 2] {
        [PREFIX, self.byte()]
    }

    /// What is behind the prefix of a key of the kind.
    pub(crate) fn rest(self, key: &[u8]) -> Option<&[u8]> {
        key.strip_prefix(&self.prefix())
    }
}

/// Where a message lies in its stream. Sorts as messages do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessagePosition {
    /// When it was written, ms since 1970.
    pub time_ms: u64,
    /// LSN of the record that wrote it.
    pub lsn: Lsn,
    /// Which message of that record, from 0.
    pub index: u32,
}

/// What identifies a message, on every replica alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// LSN of the record that wrote it.
    pub lsn: Lsn,
    /// Which message of that record, from 0.
    pub index: u32,
}

impl MessagePosition {
    /// The message's identity.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        MessageId { lsn: self.lsn, index: self.index }
    }
}

/// A key of a kind with an id.
pub(crate) fn by_id(kind: KeyKind, id: u64) -> Vec<u8> {
    let mut key = kind.prefix().to_vec();
    number::put(&mut key, id);
    key
}

/// The id of a key of a kind, when nothing follows it.
pub(crate) fn id_of(kind: KeyKind, key: &[u8]) -> Option<u64> {
    let (id, rest) = number::take(kind.rest(key)?)?;
    rest.is_empty().then_some(id)
}

/// What all keys of a stream begin with; the key of its head.
pub(crate) fn stream(id: u64) -> Vec<u8> {
    by_id(KeyKind::Message, id)
}

/// The first key that a message at that time or later may have.
pub(crate) fn from_time(stream_id: u64, time_ms: u64) -> Vec<u8> {
    let mut key = stream(stream_id);
    put_time(&mut key, time_ms);
    key
}

/// As [`from_time`], of records from `lsn` on.
pub(crate) fn from_record(stream_id: u64, time_ms: u64, lsn: Lsn) -> Vec<u8> {
    let mut key = from_time(stream_id, time_ms);
    number::put(&mut key, lsn.0);
    key
}

/// The key of a message. What a transaction wrote has position and LSN of its commit.
pub(crate) fn message(stream_id: u64, at: &MessagePosition) -> Vec<u8> {
    let mut key = from_record(stream_id, at.time_ms, at.lsn);
    number::put(&mut key, u64::from(at.index));
    key
}

/// Stream and position of a message's key; `None` for other keys, a stream's head among them.
pub(crate) fn message_of(key: &[u8]) -> Option<(u64, MessagePosition)> {
    let (stream, rest) = number::take(KeyKind::Message.rest(key)?)?;
    let (time, rest) = rest.split_first_chunk::<TIME_BYTES>()?;
    let time_ms = time.iter().fold(0, |time, &byte| time << 8 | u64::from(byte));
    let (lsn, rest) = number::take(rest)?;
    let (index, rest) = number::take(rest)?;
    let index = u32::try_from(index).ok().filter(|_| rest.is_empty())?;
    Some((stream, MessagePosition { time_ms, lsn: Lsn(lsn), index }))
}

fn put_time(key: &mut Vec<u8>, time_ms: u64) {
    let [_, _, time @ ..] = time_ms.min((1 << (8 * TIME_BYTES)) - 1).to_be_bytes();
    key.extend_from_slice(&time);
}

/// The key of a name or of a pattern's text.
pub(crate) fn name(kind: KeyKind, text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 3);
    key.extend_from_slice(&kind.prefix());
    key.extend(text.bytes().map(|byte| if byte == b'/' { END_OF_LEVEL } else { byte }));
    key.push(END_OF_LEVEL);
    key
}

/// Bytes of a name's key.
pub(crate) const fn name_bytes(text: &str) -> usize {
    text.len() + 3
}

/// The name, or the text of a pattern, of its key; `None` when the key is none.
pub(crate) fn text(kind: KeyKind, key: &[u8]) -> Option<String> {
    Some(levels(kind, key)?.collect::<Vec<_>>().join("/"))
}

/// The levels of a name's key, each without its end; `None` when the key is none.
pub(crate) fn levels(kind: KeyKind, key: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let (last, rest) = kind.rest(key)?.split_last()?;
    let text = core::str::from_utf8(rest).ok().filter(|_| *last == END_OF_LEVEL)?;
    (text.len() <= TOPIC_NAME_MAX).then(|| text.split('\0'))
}
