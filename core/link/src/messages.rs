//! The bodies, in the order their fields have on the wire.

use crate::cursor::Cursor;
use crate::reason::{ByeReason, Refusal};
use crate::wire::{CHECK_BYTES, HEADER_BYTES, Header, Kind, WireError, Writer};
use core::fmt;
use serde::{Deserialize, Serialize};
use unison_base::bytes::u32_at;
use unison_base::checksum::crc32c;
use unison_base::limits::SEGMENT_BYTES_MAX;
use unison_base::{Hlc, LogId, Lsn, SegmentId};

pub(crate) mod forms;
use forms::{HlcForm, LogIdForm, LsnForm, SegmentIdForm};

/// Longest node id, bytes.
pub const NODE_ID_MAX: usize = 64;
/// Longest token, bytes.
pub const TOKEN_MAX: usize = 512;
/// A node's name.
pub type NodeId = heapless::String<NODE_ID_MAX>;

/// A secret that proves a node's right to follow. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(heapless::String<TOKEN_MAX>);

impl Token {
    /// A token; `None` above [`TOKEN_MAX`] bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        heapless::String::try_from(text).ok().map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a follower does with what it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Answers reads.
    #[default]
    Replica,
    /// Leads further nodes.
    Relay,
}

impl Role {
    /// The role of a number; unknown ones are replicas.
    #[must_use]
    pub const fn decode(code: u8) -> Self {
        if code == Self::Relay as u8 { Self::Relay } else { Self::Replica }
    }
}

/// Hello: followed by as many [`Want`]s as fit; further ones come as Follow messages.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// Versions the follower speaks.
    pub protocol: ProtocolRange,
    /// The follower's name.
    pub node: &'a str,
    /// Its token, or nothing.
    pub token: &'a str,
    /// [`Role`] as a number.
    pub role: u8,
    /// Most bytes of frames in one Run it can receive.
    pub run_bytes_max: u32,
    /// Milliseconds between its beats.
    pub interval_ms: u32,
}

/// Without the token.
impl fmt::Debug for Hello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hello = f.debug_struct("Hello");
        hello.field("protocol", &self.protocol).field("node", &self.node).finish_non_exhaustive()
    }
}

/// The first field of Hello in every version: read before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// Oldest version.
    pub min: u16,
    /// Newest version.
    pub max: u16,
}

impl ProtocolRange {
    /// What this build speaks.
    pub const OURS: Self = Self { min: crate::wire::PROTOCOL_MIN, max: crate::wire::PROTOCOL_MAX };

    /// The newest version both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// One namespace a follower wants: an item of Hello, and the body of Follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want<'a> {
    /// The follower's number for it; stands for it in all other messages of this connection.
    pub namespace: u32,
    /// How often the follower has asked for it; the answer repeats it.
    pub ask: u32,
    /// Its name.
    pub name: &'a str,
    /// What the follower has.
    pub cursor: Cursor,
    /// Bytes of frames that may be on their way.
    pub window_bytes: u32,
    /// Number of filters that follow; none are defined in version 1.
    pub filters: u8,
}

/// Welcome: followed by [`Answer`](AnswerItem) items; further answers come as further Welcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome<'a> {
    /// Version spoken from here on.
    pub protocol: u16,
    /// The leader's name.
    pub node: &'a str,
    /// Milliseconds between its beats.
    pub interval_ms: u32,
}

/// The answer for one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerItem {
    /// The follower's number for it.
    pub namespace: u32,
    /// The request this answers.
    pub ask: u32,
    /// The answer.
    pub outcome: Outcome,
}

/// Served or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Runs follow, from behind the cursor.
    Serve(Served),
    /// Nothing follows until the follower asks again, or the leader answers anew.
    Refused {
        /// [`Refusal`] as a number.
        reason: u8,
        /// What belongs to it.
        detail: u64,
    },
}

impl Outcome {
    /// A refusal.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Self {
        let (reason, detail) = refusal.encode();
        Self::Refused { reason, detail }
    }
}

/// What a served namespace's log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The log.
    #[serde(with = "LogIdForm")]
    pub log: LogId,
    /// Its oldest record.
    #[serde(with = "LsnForm")]
    pub first: Lsn,
    /// Its newest durable record.
    #[serde(with = "LsnForm")]
    pub durable: Lsn,
    /// Size of the segment that the next record lies in, bytes.
    pub segment_bytes: u64,
}

/// Run: its frames follow the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The follower's number for the namespace.
    pub namespace: u32,
    /// Segment all frames lie in.
    #[serde(with = "SegmentIdForm")]
    pub segment: SegmentId,
    /// Where in it the first one begins.
    pub offset: u32,
    /// LSN of the first one.
    #[serde(with = "LsnForm")]
    pub first: Lsn,
    /// How many.
    pub count: u32,
    /// Size of the segment, bytes.
    pub segment_bytes: u64,
    /// The leader's newest durable record.
    #[serde(with = "LsnForm")]
    pub durable: Lsn,
    /// Bytes of all frames.
    pub frame_bytes: u32,
}

impl Run {
    /// Reads head and check from the first bytes of a message; the frames need not be there yet.
    /// Returns also where the frames begin.
    ///
    /// # Errors
    /// [`WireError`] when head, check and length do not agree, or no segment could hold the frames.
    pub fn open(message: &[u8]) -> Result<(Self, usize), WireError> {
        let kind = Kind::Run as u8;
        let fault = WireError::Body { kind };
        let length = Header::peek(message).ok_or(fault)?.length;
        let body = message.get(HEADER_BYTES..).ok_or(fault)?;
        let (run, rest): (Self, _) = postcard::take_from_bytes(body).map_err(|_| fault)?;
        let check_at = message.len() - rest.len();
        let covered = message.get(..check_at).ok_or(fault)?;
        if u32_at(message, check_at).ok_or(fault)? != crc32c(covered) {
            return Err(WireError::Check { kind });
        }
        let frames_at = check_at + CHECK_BYTES;
        let total = u64::from(length) + 4;
        let end = u64::from(run.offset) + u64::from(run.frame_bytes);
        let fits = end <= run.segment_bytes && run.segment_bytes <= SEGMENT_BYTES_MAX;
        if total != frames_at as u64 + u64::from(run.frame_bytes) || !fits {
            return Err(fault);
        }
        Ok((run, frames_at))
    }
}

/// Seal: the segment ends here, the next record lies in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The follower's number for the namespace.
    pub namespace: u32,
    /// The segment that ends.
    #[serde(with = "SegmentIdForm")]
    pub segment: SegmentId,
    /// Where its last frame ends.
    pub offset: u32,
    /// Size of the next segment, bytes.
    pub next_segment_bytes: u64,
}

/// Ack: what the follower holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The follower's number for the namespace.
    pub namespace: u32,
    /// Newest record that is durable there.
    #[serde(with = "LsnForm")]
    pub durable: Lsn,
    /// Newest record that its readers see.
    #[serde(with = "LsnForm")]
    pub applied: Lsn,
    /// Bytes of frames it has dealt with since the answer.
    pub taken_bytes: u64,
    /// Bytes of frames that may be on their way beyond those.
    pub window_bytes: u32,
}

/// Beat: followed by [`BeatItem`]s for namespaces whose durable LSN changed, and for others as long
/// as the message stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The sender's clock, meaningful to the sender alone, milliseconds.
    pub time_ms: u64,
    /// The newest time heard from the peer, and how long ago.
    pub echo: Option<Echo>,
    /// The sender's hybrid clock.
    #[serde(with = "HlcForm")]
    pub hlc: Hlc,
    /// Milliseconds to the sender's next beat.
    pub interval_ms: u32,
}

/// A peer's time on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// As it came.
    pub time_ms: u64,
    /// Milliseconds it was kept.
    pub held_ms: u32,
}

/// How far one namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatItem {
    /// The follower's number for it.
    pub namespace: u32,
    /// Newest durable record at the sender.
    #[serde(with = "LsnForm")]
    pub durable: Lsn,
}

/// Bye: the last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// [`ByeReason`] as a number.
    pub reason: u8,
    /// Come back no sooner than this, milliseconds.
    pub retry_after_ms: u32,
}

impl Bye {
    /// The reason.
    #[must_use]
    pub const fn reason(self) -> ByeReason {
        ByeReason::decode(self.reason)
    }
}

/// Writes a message of one value and no frames. Returns its bytes, `None` when it does not fit.
#[must_use]
pub fn write<T: Serialize>(out: &mut [u8], kind: Kind, body: &T) -> Option<usize> {
    let mut writer = Writer::begin(out, kind)?;
    if !writer.put(body) {
        return None;
    }
    writer.finish(0)
}

/// Writes the part of a Run before its frames.
#[must_use]
pub fn write_run(out: &mut [u8], run: &Run) -> Option<usize> {
    let mut writer = Writer::begin(out, Kind::Run)?;
    if !writer.put(run) {
        return None;
    }
    writer.finish(run.frame_bytes)
}
