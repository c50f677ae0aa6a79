//! What the tree holds for a key; the bytes are in `schemas/tree.md`.

use crate::memtable::Location;
use alloc::vec::Vec;
use unison_base::bytes::{u32_at, u64_at};
use unison_base::{Lsn, SegmentId};

const FLAGS_AT: usize = 8;
const BODY_AT: usize = 9;
const FLAG_INLINE: u8 = 1;

/// One entry of the tree, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry<'a> {
    pub(crate) lsn: Lsn,
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
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let lsn = Lsn(u64_at(bytes, 0)?);
        let body = bytes.get(BODY_AT..)?;
        let value = match bytes.get(FLAGS_AT)? {
            &FLAG_INLINE => TreeValue::Inline(body),
            0 if body.len() == 16 => TreeValue::InLog(Location {
                segment: SegmentId(u32_at(body, 0)?),
                offset: u32_at(body, 4)?,
                length: u32_at(body, 8)?,
                crc: u32_at(body, 12)?,
            }),
            _ => return None,
        };
        Some(Self { lsn, value })
    }

    /// Replaces what is in `target` by this entry's bytes.
    pub(crate) fn encode(&self, target: &mut Vec<u8>) {
        target.clear();
        target.extend_from_slice(&self.lsn.0.to_le_bytes());
        match self.value {
            TreeValue::Inline(bytes) => {
                target.push(FLAG_INLINE);
                target.extend_from_slice(bytes);
            }
            TreeValue::InLog(location) => {
                target.push(0);
                for word in [location.segment.0, location.offset, location.length, location.crc] {
                    target.extend_from_slice(&word.to_le_bytes());
                }
            }
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
