//! The two copies of a table: at rest both are the same, and a change is there whole or not at all.
//!
//! A change writes the first copy, flushes, and writes the second, which the next flush takes along.
//! The first copy is only written while the second is durable, so whenever the power goes one of
//! them is whole: the newer one counts, and opening writes the other again. What rots in one copy
//! is repaired from the other in the same way.

use super::MediumError;
use super::disk::Disk;
use super::layout::tables;
use super::table::{Bounds, Table, encoded_bytes};
use crate::block::{BlockDevice, SECTOR_BYTES};
use alloc::vec;
use core::cmp::Ordering;
use unison_ports::IoError;

/// Reads one copy; `None` when it is not whole.
fn read<D: BlockDevice>(
    disk: &Disk<D>,
    sector: u64,
    bounds: Bounds,
) -> Result<Option<Table>, IoError> {
    let mut first = [0; SECTOR_BYTES];
    disk.read(sector, &mut first)?;
    let Some(length) = encoded_bytes(&first) else { return Ok(None) };
    let mut bytes = vec![0; length];
    disk.read(sector, &mut bytes)?;
    Ok(Table::decode(&mut bytes, bounds))
}

/// The table of a volume, and whether a copy had to be written again.
pub(super) fn load<D: BlockDevice>(
    disk: &Disk<D>,
    bounds: Bounds,
) -> Result<(Table, bool), MediumError> {
    let volume = bounds.volume as usize;
    let [first_at, second_at] = tables(volume);
    let first = read(disk, first_at, bounds)?;
    let second = read(disk, second_at, bounds)?;
    let (table, stale) = match (first, second) {
        (Some(first), Some(second)) => match first.sequence.cmp(&second.sequence) {
            Ordering::Equal if first == second => return Ok((first, false)),
            // Two different tables of one number are not of our making.
            Ordering::Equal => return Err(MediumError::TableDamaged { volume }),
            Ordering::Greater => (first, second_at),
            Ordering::Less => (second, first_at),
        },
        (Some(first), None) => (first, second_at),
        (None, Some(second)) => (second, first_at),
        (None, None) => return Err(MediumError::TableDamaged { volume }),
    };
    disk.write(stale, &table.encode(bounds.volume))?;
    disk.flush()?;
    Ok((table, true))
}

/// Makes a changed table durable. After an error either table may be there after a restart, so the
/// disk is not trusted any more.
pub(super) fn store<D: BlockDevice>(
    disk: &Disk<D>,
    volume: u32,
    table: &Table,
) -> Result<(), IoError> {
    disk.flush()?;
    let [first, second] = tables(volume as usize);
    let bytes = table.encode(volume);
    let written = disk
        .write(first, &bytes)
        .and_then(|()| disk.flush())
        .and_then(|()| disk.write(second, &bytes));
    written.inspect_err(|&error| disk.condemn(error))
}
