//! The superblock: what the disk is and how it is divided. Written when the disk is formatted, and
//! when one of its two copies is repaired from the other.

use super::MediumError;
use super::disk::Disk;
use super::layout::{METADATA_BYTES, SECTOR, SUPERBLOCKS, UNIT_BYTES, UNIT_SECTORS, VOLUMES_MAX};
use crate::block::{BlockDevice, SECTOR_BYTES};
use core::cmp::Ordering;
use unison_base::NamespaceName;
use unison_base::bytes::{array_at, put, u32_at, u64_at};
use unison_base::checksum::crc32c;
use unison_base::limits::NAMESPACE_NAME_MAX;

const MAGIC: [u8; 8] = *b"UNISONBD";
const VERSION: u32 = 1;
const CRC_AT: usize = SECTOR_BYTES - 4;
const VOLUMES_AT: usize = 40;
const VOLUME_BYTES: usize = 40 + NAMESPACE_NAME_MAX;

const _: () = assert!(VOLUMES_AT + VOLUMES_MAX * VOLUME_BYTES <= CRC_AT);

type Sector = [u8; SECTOR_BYTES];

/// A volume's regions, in sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VolumePlace {
    pub(super) name: NamespaceName,
    pub(super) segment_first: u64,
    pub(super) segment_sectors: u64,
    pub(super) tree_first: u64,
    pub(super) tree_sectors: u64,
}

/// What a whole superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) sequence: u64,
    pub(super) sectors: u64,
    pub(super) volumes: heapless::Vec<VolumePlace, VOLUMES_MAX>,
}

/// Why a copy says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusable {
    Zeros,
    Foreign,
    Damaged,
    Version(u32),
}

/// What the two copies lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) superblock: Superblock,
    /// The copy that has to be written again.
    pub(super) damaged: Option<u64>,
}

impl VolumePlace {
    pub(super) const fn units(&self) -> u64 {
        self.segment_sectors / UNIT_SECTORS
    }

    pub(super) const fn tree_bytes(&self) -> u64 {
        self.tree_sectors.saturating_mul(SECTOR)
    }

    fn encode(&self) -> [u8; VOLUME_BYTES] {
        let mut bytes = [0; VOLUME_BYTES];
        let name = self.name.as_str().as_bytes();
        let numbers =
            [self.segment_first, self.segment_sectors, self.tree_first, self.tree_sectors];
        // Names are at most as long as the field.
        let _ = put(&mut bytes, 0, &(name.len() as u64).to_le_bytes());
        let _ = put(&mut bytes, 8, name);
        for (index, number) in numbers.into_iter().enumerate() {
            let _ = put(&mut bytes, 8 + NAMESPACE_NAME_MAX + index * 8, &number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(u64_at(bytes, 0)?).ok()?;
        let name = bytes.get(8..8 + NAMESPACE_NAME_MAX)?;
        let (name, rest) = (name.get(..length)?, name.get(length..)?);
        let name = NamespaceName::new(core::str::from_utf8(name).ok()?).ok()?;
        let number = |index: usize| u64_at(bytes, 8 + NAMESPACE_NAME_MAX + index * 8);
        let place = Self {
            name,
            segment_first: number(0)?,
            segment_sectors: number(1)?,
            tree_first: number(2)?,
            tree_sectors: number(3)?,
        };
        rest.iter().all(|&byte| byte == 0).then_some(place)
    }

    /// Its two regions as ranges of units; `None` when they are not made of units.
    fn ranges(&self) -> Option<[(u64, u64); 2]> {
        let range = |first: u64, sectors: u64| {
            let end = first.checked_add(sectors)?;
            let whole = first.is_multiple_of(UNIT_SECTORS) && sectors.is_multiple_of(UNIT_SECTORS);
            (whole && sectors > 0).then_some((first, end))
        };
        let segments = range(self.segment_first, self.segment_sectors)?;
        // Unit numbers are 32 bits in a table.
        u32::try_from(self.units()).ok()?;
        Some([segments, range(self.tree_first, self.tree_sectors)?])
    }
}

impl Superblock {
    fn encode(&self) -> Sector {
        let mut bytes = [0; SECTOR_BYTES];
        let sector_bytes = (SECTOR << 32) | u64::from(VERSION);
        let count_and_unit = ((self.volumes.len() as u64) << 32) | UNIT_BYTES;
        let numbers = [sector_bytes, self.sequence, self.sectors, count_and_unit];
        // Everything fits: see the assertion above.
        let _ = put(&mut bytes, 0, &MAGIC);
        for (index, number) in numbers.into_iter().enumerate() {
            let _ = put(&mut bytes, 8 + index * 8, &number.to_le_bytes());
        }
        for (index, volume) in self.volumes.iter().enumerate() {
            let _ = put(&mut bytes, VOLUMES_AT + index * VOLUME_BYTES, &volume.encode());
        }
        let crc = crc32c(bytes.get(..CRC_AT).unwrap_or_default());
        let _ = put(&mut bytes, CRC_AT, &crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &Sector) -> Result<Self, Unusable> {
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(Unusable::Zeros);
        }
        if array_at(bytes, 0) != Some(MAGIC) {
            return Err(Unusable::Foreign);
        }
        let covered = bytes.get(..CRC_AT).unwrap_or_default();
        if u32_at(bytes, CRC_AT) != Some(crc32c(covered)) {
            return Err(Unusable::Damaged);
        }
        match u32_at(bytes, 8) {
            Some(VERSION) => Self::fields(bytes).ok_or(Unusable::Damaged),
            version => Err(Unusable::Version(version.unwrap_or_default())),
        }
    }

    fn fields(bytes: &Sector) -> Option<Self> {
        let ours = u32_at(bytes, 12).map(u64::from) == Some(SECTOR)
            && u32_at(bytes, 32).map(u64::from) == Some(UNIT_BYTES);
        let (sequence, sectors) = (u64_at(bytes, 16)?, u64_at(bytes, 24)?);
        let count = usize::try_from(u32_at(bytes, 36)?).ok()?;
        let mut volumes = heapless::Vec::new();
        for index in 0..count {
            let start = VOLUMES_AT.checked_add(index.checked_mul(VOLUME_BYTES)?)?;
            let bytes = bytes.get(start..start.checked_add(VOLUME_BYTES)?)?;
            volumes.push(VolumePlace::decode(bytes)?).ok()?;
        }
        let found = Self { sequence, sectors, volumes };
        (ours && found.is_sound()).then_some(found)
    }

    /// Regions lie behind the metadata, one behind the other, and within the disk.
    fn is_sound(&self) -> bool {
        let mut behind = METADATA_BYTES / SECTOR;
        let mut in_order = |(first, end): (u64, u64)| {
            let sound = first >= behind && end <= self.sectors;
            behind = end;
            sound
        };
        let mut volumes = self.volumes.iter();
        !self.volumes.is_empty()
            && volumes
                .all(|volume| volume.ranges().is_some_and(|r| r.into_iter().all(&mut in_order)))
    }

    pub(super) fn write<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        sector: u64,
    ) -> Result<(), MediumError> {
        disk.write(sector, &self.encode())?;
        Ok(disk.flush()?)
    }
}

/// Reads both copies and writes nothing; `None` when both are zeros.
pub(super) fn find<D: BlockDevice>(disk: &Disk<D>) -> Result<Option<Found>, MediumError> {
    let [first_at, second_at] = SUPERBLOCKS;
    match (read(disk, first_at)?, read(disk, second_at)?) {
        (Err(Unusable::Zeros), Err(Unusable::Zeros)) => Ok(None),
        (first, second) => judge(first, second).map(Some),
    }
}

fn read<D: BlockDevice>(
    disk: &Disk<D>,
    sector: u64,
) -> Result<Result<Superblock, Unusable>, MediumError> {
    let mut bytes = [0; SECTOR_BYTES];
    disk.read(sector, &mut bytes)?;
    Ok(Superblock::decode(&bytes))
}

fn judge(
    first: Result<Superblock, Unusable>,
    second: Result<Superblock, Unusable>,
) -> Result<Found, MediumError> {
    use Unusable::{Damaged, Version};
    let [first_at, second_at] = SUPERBLOCKS;
    let (superblock, damaged) = match (first, second) {
        (Err(Version(found)), _) | (_, Err(Version(found))) => {
            return Err(MediumError::Version { found });
        }
        (Ok(first), Ok(second)) if first == second => (first, None),
        (Ok(first), Ok(second)) => match first.sequence.cmp(&second.sequence) {
            Ordering::Greater => (first, Some(second_at)),
            Ordering::Less => (second, Some(first_at)),
            Ordering::Equal => return Err(MediumError::Damaged),
        },
        (Ok(first), Err(_)) => (first, Some(second_at)),
        (Err(_), Ok(second)) => (second, Some(first_at)),
        (Err(Damaged), _) | (_, Err(Damaged)) => return Err(MediumError::Damaged),
        _ => return Err(MediumError::Foreign),
    };
    Ok(Found { superblock, damaged })
}
