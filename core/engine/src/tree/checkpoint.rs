//! The state of the log that the tree stands for, written in the same transaction as the data; the
//! bytes are in `schemas/tree.md`.

use unison_base::bytes::{put, u32_at, u64_at};
use unison_base::{Hlc, Lsn, Position, SegmentId};

const VERSION: u32 = 5;
/// Trees of this version hold nothing of transactions that define topics or patterns.
const VERSION_WITH_SETTINGS: u32 = 4;
/// Trees of this version hold no settings of topics and no keys that they are sealed with.
const VERSION_WITH_TOPICS: u32 = 3;
/// Trees of this version hold nothing of transactions, large objects, topics and expiry: those records
/// are counted as not understood.
const VERSION_WITH_ROWS: u32 = 2;
/// Trees of this version hold no rows either.
const VERSION_WITHOUT_ROWS: u32 = 1;
/// Bytes of an encoded checkpoint.
pub(crate) const CHECKPOINT_BYTES: usize = 72;
const ROWS_AT: usize = 48;
const OLDEST_OPEN_AT: usize = 56;
const EXPIRED_TO_AT: usize = 64;

/// Everything up to and including `lsn` is in the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) lsn: Lsn,
    /// Where that record's frame starts, and its frame's CRC: tells another history apart.
    pub(crate) position: Position,
    pub(crate) crc: u32,
    /// Newest timestamp up to there.
    pub(crate) hlc: Hlc,
    /// Keys of the key-value model in the tree, exactly.
    pub(crate) keys: u64,
    /// Rows in the tree, exactly.
    pub(crate) rows: u64,
    /// The watermark of expiry: what expires up to then is gone, milliseconds since 1970.
    pub(crate) expired_to: u64,
    /// First record of the oldest transaction that is open at `lsn`, if any.
    pub(crate) oldest_open: Option<Lsn>,
    /// Records up to there that this version stores without understanding them.
    pub(crate) skipped: u64,
    /// Written by a version that passed over records which this one understands.
    pub(crate) outdated: bool,
}

impl Checkpoint {
    /// `Err` with the version found when it is not ours, or with `None` when it is no checkpoint.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Option<u32>> {
        let version = u32_at(bytes, 0).ok_or(None)?;
        let bytes_of_version = match version {
            VERSION | VERSION_WITH_SETTINGS | VERSION_WITH_TOPICS => CHECKPOINT_BYTES,
            VERSION_WITH_ROWS => OLDEST_OPEN_AT,
            VERSION_WITHOUT_ROWS => ROWS_AT,
            other => return Err(Some(other)),
        };
        let whole = bytes.get(..bytes_of_version).ok_or(None)?;
        let mut checkpoint = Self::fields(whole).ok_or(None)?;
        checkpoint.outdated = version != VERSION && checkpoint.skipped > 0;
        Ok(checkpoint)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            crc: u32_at(bytes, 4)?,
            lsn: Lsn(u64_at(bytes, 8)?),
            position: Position {
                segment: SegmentId(u32_at(bytes, 16)?),
                offset: u32_at(bytes, 20)?,
            },
            hlc: Hlc(u64_at(bytes, 24)?),
            keys: u64_at(bytes, 32)?,
            skipped: u64_at(bytes, 40)?,
            rows: u64_at(bytes, ROWS_AT).unwrap_or_default(),
            expired_to: u64_at(bytes, EXPIRED_TO_AT).unwrap_or_default(),
            oldest_open: u64_at(bytes, OLDEST_OPEN_AT).filter(|lsn| *lsn > 0).map(Lsn),
            outdated: false,
        })
    }

    /// The first record that a restart has to read: all above `lsn` change something, and those below
    /// may belong to a transaction whose commit is above.
    pub(crate) fn replay_from(&self) -> Lsn {
        let next = self.lsn.next();
        self.oldest_open.map_or(next, |begun| begun.min(next))
    }

    pub(crate) fn encode(&self) -> [u8; CHECKPOINT_BYTES] {
        let mut bytes = [0; CHECKPOINT_BYTES];
        let words = [VERSION, self.crc];
        let _ = put(&mut bytes, 0, words.map(u32::to_le_bytes).as_flattened());
        let _ = put(&mut bytes, 8, &self.lsn.0.to_le_bytes());
        let place = [self.position.segment.0, self.position.offset];
        let _ = put(&mut bytes, 16, place.map(u32::to_le_bytes).as_flattened());
        let oldest_open = self.oldest_open.unwrap_or_default().0;
        let tail = [self.hlc.0, self.keys, self.skipped, self.rows, oldest_open];
        let _ = put(&mut bytes, 24, tail.map(u64::to_le_bytes).as_flattened());
        let _ = put(&mut bytes, EXPIRED_TO_AT, &self.expired_to.to_le_bytes());
        bytes
    }
}
