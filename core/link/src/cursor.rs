//! Cursors: what a follower has, and whether a leader can go on from there.

use crate::reason::{Divergence, Refusal};
use serde::{Deserialize, Serialize};
use unison_base::{LogId, Lsn, Position};

/// A record of a log, told apart from every other log's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The log; all zeros when the follower has none yet.
    #[serde(with = "crate::messages::forms::LogIdForm")]
    pub log: LogId,
    /// The record; zero before the first one.
    #[serde(with = "crate::messages::forms::LsnForm")]
    pub lsn: Lsn,
    /// Where its frame begins; zero before the first one.
    #[serde(with = "crate::messages::forms::PositionForm")]
    pub position: Position,
    /// CRC-32C of its frame; zero before the first one.
    #[serde(with = "postcard::fixint::le")]
    pub crc: u32,
}

/// Where a follower's log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Its newest record.
    pub cursor: Cursor,
    /// Where the next frame goes; segment 0 while the log is empty.
    pub next: Position,
}

impl LogEnd {
    /// The end of an empty log.
    #[must_use]
    pub const fn empty(log: LogId) -> Self {
        let zero = Position { segment: unison_base::SegmentId(0), offset: 0 };
        Self { cursor: Cursor { log, lsn: Lsn::ZERO, position: zero, crc: 0 }, next: zero }
    }
}

/// What a leader says about a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The follower's log is a prefix of the leader's: go on behind the cursor.
    Serve {
        /// First record to send.
        from: Lsn,
    },
    /// It cannot be served from there.
    Refuse(Refusal),
}

/// Judges a follower's cursor against the leader's log `log`, which holds `first` up to `durable`.
///
/// `frame_at` gives place and checksum of the leader's own frame; `None` means that it cannot be
/// read. A record that just left the log (`first - 1`) is accepted by log id alone, since retention
/// lets a segment go exactly when its followers have all of it.
pub fn judge(
    cursor: &Cursor,
    log: LogId,
    first: Lsn,
    durable: Lsn,
    frame_at: impl FnOnce(Lsn) -> Option<(Position, u32)>,
) -> Verdict {
    let from = cursor.lsn.next();
    if cursor.lsn != Lsn::ZERO && cursor.log != log {
        return Verdict::Refuse(Refusal::Diverged(Divergence::Log));
    }
    if cursor.lsn > durable {
        return Verdict::Refuse(Refusal::Diverged(Divergence::Ahead { durable }));
    }
    if from < first {
        return Verdict::Refuse(Refusal::BehindRetention { first });
    }
    if cursor.lsn == Lsn::ZERO || from == first {
        return Verdict::Serve { from };
    }
    match frame_at(cursor.lsn) {
        Some(frame) if frame == (cursor.position, cursor.crc) => Verdict::Serve { from },
        Some(_) => Verdict::Refuse(Refusal::Diverged(Divergence::Frame)),
        None => Verdict::Refuse(Refusal::Damaged { lsn: cursor.lsn }),
    }
}

#[cfg(test)]
mod tests;
