//! What the tree holds for a key; the bytes are in `schemas/tree.md`.

use crate::expiry::Expiry;
use crate::memtable::Location;
use alloc::vec::Vec;
use unison_base::bytes::{u32_at, u64_at};
use unison_base::{Lsn, SegmentId};

const FLAGS_AT: usize = 8;
const BODY_AT: usize = 9;
const FLAG_INLINE: u8 = 1;
const FLAG_EXPIRES: u8 = 2;
const EXPIRY_BYTES: usize = 8;

/// One entry of the tree, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) expiry: Expiry,
    pub(crate) value: TreeValue<'a>,
}

/// A value, or where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeValue<'a> {
    Inline(&'a [u8]),
    InLog(Location),
}

impl<'a> TreeEntry<'a> {
    /// `None` when the bytes are no entry.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let lsn = Lsn(u64_at(bytes, 0)?);
        let &flags = bytes.get(FLAGS_AT)?;
        let body = bytes.get(BODY_AT..)?;
        let (expiry, body) = match flags & FLAG_EXPIRES {
            0 => (Expiry::NEVER, body),
            _ => (Expiry(u64_at(body, 0).filter(|ms| *ms > 0)?), body.get(EXPIRY_BYTES..)?),
        };
        let value = match flags & !FLAG_EXPIRES {
            FLAG_INLINE => TreeValue::Inline(body),
            0 if body.len() == 16 => TreeValue::InLog(Location {
                segment: SegmentId(u32_at(body, 0)?),
                offset: u32_at(body, 4)?,
                length: u32_at(body, 8)?,
                crc: u32_at(body, 12)?,
            }),
            _ => return None,
        };
        Some(Self { lsn, expiry, value })
    }

    /// Replaces what is in `target` by this entry's bytes.
    pub(crate) fn encode(&self, target: &mut Vec<u8>) {
        target.clear();
        target.extend_from_slice(&self.lsn.0.to_le_bytes());
        let place = if matches!(self.value, TreeValue::Inline(_)) { FLAG_INLINE } else { 0 };
        if self.expiry.is_set() {
            target.push(place | FLAG_EXPIRES);
            target.extend_from_slice(&self.expiry.0.to_le_bytes());
        } else {
            target.push(place);
        }
        match self.value {
            TreeValue::Inline(bytes) => target.extend_from_slice(bytes),
            TreeValue::InLog(location) => {
                for word in [location.segment.0, location.offset, location.length, location.crc] {
                    target.extend_from_slice(&word.to_le_bytes());
                }
            }
        }
    }

    /// The value, when it is in the tree itself.
    pub(crate) fn inline(&self) -> Option<&'a [u8]> {
        match self.value {
            TreeValue::Inline(bytes) => Some(bytes),
            TreeValue::InLog(_) => None,
        }
    }

    /// The segment this entry keeps alive, and how many bytes of it.
    pub(crate) fn live(&self) -> Option<(SegmentId, u64)> {
        match self.value {
            TreeValue::InLog(location) => Some((location.segment, u64::from(location.length))),
            TreeValue::Inline(_) => None,
        }
    }
}
