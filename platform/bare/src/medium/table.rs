//! What a volume holds: its segments, its tree's length, the identity of its log.

use super::layout::{SECTOR, SEGMENTS_MAX, TABLE_SECTORS, UNIT_BYTES};
use crate::block::SECTOR_BYTES;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use unison_base::bytes::{array_at, put, u32_at, u64_at};
use unison_base::checksum::crc32c;
use unison_base::{LogId, SegmentId};
use unison_ports::SegmentKind;

const MAGIC: [u8; 8] = *b"UNISONTB";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const CRC_AT: usize = 60;
const ENTRY_BYTES: usize = 24;
const HAS_LOG_ID: u32 = 1;
const TREE_IS_WHOLE: u32 = 2;

const _: () =
    assert!(((HEADER_BYTES + SEGMENTS_MAX * ENTRY_BYTES) as u64).div_ceil(SECTOR) <= TABLE_SECTORS);

/// A segment and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: SegmentId,
    pub(super) kind: SegmentKind,
    /// A newer segment has the same number and role; this one is evidence for a person.
    pub(super) superseded: bool,
    pub(super) size: u64,
    pub(super) first_unit: u32,
}

/// Units that `size` bytes take.
pub(super) const fn units_for(size: u64) -> u64 {
    size.div_ceil(UNIT_BYTES)
}

impl Entry {
    /// The units that it has.
    pub(super) fn units(&self) -> Range<u64> {
        let first = u64::from(self.first_unit);
        first..first.saturating_add(units_for(self.size))
    }

    pub(super) fn is(&self, id: SegmentId, kind: SegmentKind) -> bool {
        self.id == id && self.kind == kind && !self.superseded
    }

    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let kind = match self.kind {
            SegmentKind::Log => 0,
            SegmentKind::Values => 1,
            SegmentKind::Aside => 2,
        };
        let mut bytes = [0; ENTRY_BYTES];
        // All of it fits.
        let _ = put(&mut bytes, 0, &self.id.0.to_le_bytes());
        let _ = put(&mut bytes, 4, &self.first_unit.to_le_bytes());
        let _ = put(&mut bytes, 8, &self.size.to_le_bytes());
        let _ = put(&mut bytes, 16, &[kind, u8::from(self.superseded)]);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let [kind, superseded, zeros @ ..] = array_at::<8>(bytes, 16)?;
        let kind = match kind {
            0 => SegmentKind::Log,
            1 => SegmentKind::Values,
            2 => SegmentKind::Aside,
            _ => return None,
        };
        (superseded <= 1 && zeros == [0; 6]).then_some(Self {
            id: SegmentId(u32_at(bytes, 0)?),
            kind,
            superseded: superseded == 1,
            size: u64_at(bytes, 8)?,
            first_unit: u32_at(bytes, 4)?,
        })
    }
}

/// The table of one volume. Entries are in the order in which they got their roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) sequence: u64,
    pub(super) tree_bytes: u64,
    /// The tree's file was made to its end.
    pub(super) tree_is_whole: bool,
    pub(super) log_id: Option<LogId>,
    /// Segments set aside that were dropped to make room.
    pub(super) evidence_dropped: u32,
    pub(super) entries: Vec<Entry>,
}

/// What a table's numbers must stay below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) volume: u32,
    pub(super) units: u64,
    pub(super) tree_bytes: u64,
}

/// Bytes of a table, whole sectors, that its first sector speaks of; `None` when it is no table.
pub(super) fn encoded_bytes(first_sector: &[u8]) -> Option<usize> {
    let count = usize::try_from(u32_at(first_sector, 52)?).ok()?;
    let ours = array_at(first_sector, 0) == Some(MAGIC) && count <= SEGMENTS_MAX;
    ours.then(|| (HEADER_BYTES + count * ENTRY_BYTES).next_multiple_of(SECTOR_BYTES))
}

impl Table {
    pub(super) fn find(&self, id: SegmentId, kind: SegmentKind) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.is(id, kind)).copied()
    }

    /// Takes a segment out.
    pub(super) fn take(&mut self, id: SegmentId, kind: SegmentKind) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.is(id, kind))?;
        Some(self.entries.remove(index))
    }

    pub(super) fn forget(&mut self, id: SegmentId, kind: SegmentKind) {
        self.entries.retain(|entry| !entry.is(id, kind));
    }

    /// Whole sectors.
    pub(super) fn encode(&self, volume: u32) -> Vec<u8> {
        let length = HEADER_BYTES + self.entries.len() * ENTRY_BYTES;
        let mut bytes = vec![0; length.next_multiple_of(SECTOR_BYTES)];
        let has_log_id = self.log_id.map_or(0, |_| HAS_LOG_ID);
        let flags = has_log_id | if self.tree_is_whole { TREE_IS_WHOLE } else { 0 };
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        // The vector was made long enough.
        let _ = put(&mut bytes, 0, &MAGIC);
        let _ = put(&mut bytes, 8, &VERSION.to_le_bytes());
        let _ = put(&mut bytes, 12, &volume.to_le_bytes());
        let _ = put(&mut bytes, 16, &self.sequence.to_le_bytes());
        let _ = put(&mut bytes, 24, &self.tree_bytes.to_le_bytes());
        let _ = put(&mut bytes, 32, &self.log_id.unwrap_or_default().0);
        let _ = put(&mut bytes, 48, &flags.to_le_bytes());
        let _ = put(&mut bytes, 52, &count.to_le_bytes());
        let _ = put(&mut bytes, 56, &self.evidence_dropped.to_le_bytes());
        for (index, entry) in self.entries.iter().enumerate() {
            let _ = put(&mut bytes, HEADER_BYTES + index * ENTRY_BYTES, &entry.encode());
        }
        let crc = crc32c(&bytes);
        let _ = put(&mut bytes, CRC_AT, &crc.to_le_bytes());
        bytes
    }

    /// The table in `bytes`, which are as many as [`encoded_bytes`] says; `None` when a byte is not
    /// what was written, or when it contradicts the volume.
    pub(super) fn decode(bytes: &mut [u8], bounds: Bounds) -> Option<Self> {
        let stored = u32_at(bytes, CRC_AT)?;
        put(bytes, CRC_AT, &[0; 4])?;
        let ours = encoded_bytes(bytes) == Some(bytes.len())
            && crc32c(bytes) == stored
            && u32_at(bytes, 8) == Some(VERSION)
            && u32_at(bytes, 12) == Some(bounds.volume);
        let count = usize::try_from(u32_at(bytes, 52)?).ok().filter(|_| ours)?;
        let flags = u32_at(bytes, 48)?;
        let log_id = array_at(bytes, 32).map(LogId).filter(|_| flags & HAS_LOG_ID != 0);
        let entries = bytes.get(HEADER_BYTES..)?.chunks_exact(ENTRY_BYTES).take(count);
        let table = Self {
            sequence: u64_at(bytes, 16)?,
            tree_bytes: u64_at(bytes, 24)?,
            tree_is_whole: flags & TREE_IS_WHOLE != 0,
            log_id,
            evidence_dropped: u32_at(bytes, 56)?,
            entries: entries.map(Entry::decode).collect::<Option<_>>()?,
        };
        (flags <= (HAS_LOG_ID | TREE_IS_WHOLE) && table.is_sound(bounds)).then_some(table)
    }

    /// Every segment within the region, none over another, no number twice in a role.
    fn is_sound(&self, bounds: Bounds) -> bool {
        let mut ranges: Vec<_> = self.entries.iter().map(Entry::units).collect();
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        let disjoint = ranges.is_sorted_by(|left, right| left.end <= right.start);
        let inside = ranges.last().is_none_or(|last| last.end <= bounds.units);
        let mut names: Vec<_> = self.entries.iter().filter(|entry| !entry.superseded).collect();
        names.sort_unstable_by_key(|entry| (entry.id, entry.kind));
        let twice = |pair: &[&Entry]| match pair {
            [left, right] => left.is(right.id, right.kind),
            _ => false,
        };
        let once = !names.windows(2).any(twice);
        disjoint && inside && once && self.tree_bytes <= bounds.tree_bytes
    }
}
