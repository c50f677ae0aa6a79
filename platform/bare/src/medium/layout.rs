//! Where things are on the disk. In numbers: `schemas/medium.md`.
//!
//! ```text
//! sector 0          1024             2048 = 1 MiB
//! +-----------------+-----------------+----------------------------+--------+-- - -
//! | superblock      | superblock      | segments                   | tree   | next
//! | table per       | table per       | in units of 64 KiB         |        | volume
//! | volume          | volume          |                            |        |
//! +-----------------+-----------------+----------------------------+--------+-- - -
//!   first copy        second copy       volume 0
//! ```
//!
//! The two copies are half a megabyte apart, so that one torn erase block does not take both.

use super::superblock::{Superblock, VolumePlace};
use super::{MediumError, Wanted};
use crate::block::SECTOR_BYTES;

/// Most volumes, one per namespace, on one disk.
pub const VOLUMES_MAX: usize = 4;
/// Most segments of one volume, those set aside included.
pub const SEGMENTS_MAX: usize = 4096;
/// Bytes that segments are allotted in.
pub const UNIT_BYTES: u64 = 64 << 10;
/// Smallest disk per volume when the tree's share is left to us, beside [`METADATA_BYTES`].
pub const VOLUME_BYTES_MIN: u64 = 4 << 20;
/// Bytes at the beginning of the disk that hold superblocks and tables. Zeroing them starts over.
pub const METADATA_BYTES: u64 = 1 << 20;

/// Bytes of a sector, in the type of offsets.
pub(super) const SECTOR: u64 = SECTOR_BYTES as u64;
pub(super) const UNIT_SECTORS: u64 = UNIT_BYTES / SECTOR;
/// Sectors of one copy of all metadata.
pub(super) const COPY_SECTORS: u64 = METADATA_BYTES / SECTOR / 2;
/// Sectors that the table of one volume may take.
pub(super) const TABLE_SECTORS: u64 = 200;
/// What redb needs beside the pages that it counts.
const TREE_OVERHEAD_BYTES: u64 = 1 << 20;

const _: () = assert!((VOLUMES_MAX as u64) * TABLE_SECTORS < COPY_SECTORS);

/// First sector of the superblock's copies.
pub(super) const SUPERBLOCKS: [u64; 2] = [0, COPY_SECTORS];

/// First sectors of the copies of a volume's table.
pub(super) fn tables(volume: usize) -> [u64; 2] {
    SUPERBLOCKS.map(|superblock| superblock + 1 + volume as u64 * TABLE_SECTORS)
}

/// Divides a disk of `sectors` between the volumes.
pub(super) fn plan(sectors: u64, wanted: &Wanted) -> Result<Superblock, MediumError> {
    let count = wanted.names().len().max(1) as u64;
    let units = (sectors / UNIT_SECTORS).saturating_sub(METADATA_BYTES / UNIT_BYTES) / count;
    let (tree_units, needed_units) = match wanted.tree_bytes() {
        Some(bytes) => {
            let tree = bytes.div_ceil(UNIT_BYTES).max(1);
            (tree, tree.saturating_add(1))
        }
        None => (tree_units(units), VOLUME_BYTES_MIN / UNIT_BYTES),
    };
    if units < needed_units {
        let needed = METADATA_BYTES / UNIT_BYTES + needed_units.saturating_mul(count);
        return Err(MediumError::TooSmall { sectors, needed: needed.saturating_mul(UNIT_SECTORS) });
    }
    let mut first = METADATA_BYTES / SECTOR;
    let mut superblock = Superblock { sequence: 1, sectors, volumes: heapless::Vec::new() };
    for name in wanted.names() {
        let segment_sectors = (units - tree_units) * UNIT_SECTORS;
        let place = VolumePlace {
            name: name.clone(),
            segment_first: first,
            segment_sectors,
            tree_first: first + segment_sectors,
            tree_sectors: tree_units * UNIT_SECTORS,
        };
        first += units * UNIT_SECTORS;
        superblock.volumes.push(place).map_err(|_| MediumError::Damaged)?;
    }
    Ok(superblock)
}

/// The tree's part of a volume: redb doubles its file, so the largest power of two up to a third,
/// and its own overhead.
fn tree_units(units: u64) -> u64 {
    let third = (units / 3 * UNIT_BYTES).max(1);
    ((1_u64 << third.ilog2()) + TREE_OVERHEAD_BYTES) / UNIT_BYTES
}
