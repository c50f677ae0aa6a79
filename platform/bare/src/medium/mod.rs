//! The medium on a block device: the segments and the tree of each namespace that is followed.
//!
//! | module | what |
//! |---|---|
//! | `layout` | where things are; how a blank disk is divided |
//! | `superblock` | what says so, in two copies |
//! | `table`, `copies` | the segments of a volume, in two copies; how a change of it is atomic |
//! | `volume` | which units are free |
//! | `extent` | bytes over sectors |
//! | `segments`, `tree` | the ports |
//!
//! The bytes stand in `schemas/medium.md`.

mod copies;
mod disk;
mod error;
mod extent;
mod layout;
mod segments;
mod superblock;
mod table;
mod tree;
mod volume;

pub use error::{MediumError, TreeOpenError, WantedError};
pub use layout::{METADATA_BYTES, SEGMENTS_MAX, UNIT_BYTES, VOLUME_BYTES_MIN, VOLUMES_MAX};
pub use segments::{BlockFile, BlockStore};
pub use tree::BlockTree;
pub use volume::{Usage, Volume};

use crate::block::{BlockDevice, SECTOR_BYTES};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use disk::Disk;
use layout::{SECTOR, SUPERBLOCKS, tables};
use superblock::{Found, Superblock};
use table::Table;
use unison_base::NamespaceName;

/// Read at a time of a disk that may be blank.
const BLANK_CHUNK_BYTES: usize = 32 << 10;
const _: () = assert!(METADATA_BYTES.is_multiple_of(BLANK_CHUNK_BYTES as u64));

/// What a disk is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    names: heapless::Vec<NamespaceName, VOLUMES_MAX>,
    tree_bytes: Option<u64>,
}

impl Wanted {
    /// The namespaces that are followed.
    ///
    /// # Errors
    /// None, too many, or one twice.
    pub fn new(names: &[NamespaceName]) -> Result<Self, WantedError> {
        let mut wanted = heapless::Vec::new();
        for name in names {
            if wanted.contains(name) {
                return Err(WantedError::Twice);
            }
            wanted.push(name.clone()).map_err(|_| WantedError::Count(names.len()))?;
        }
        if wanted.is_empty() {
            return Err(WantedError::Count(0));
        }
        Ok(Self { names: wanted, tree_bytes: None })
    }

    /// How large the tree's region of each volume is when the disk is formatted, bytes; without
    /// this, about a third of the volume.
    #[must_use]
    pub const fn with_tree_bytes(mut self, bytes: u64) -> Self {
        self.tree_bytes = Some(bytes);
        self
    }

    pub(super) fn names(&self) -> &[NamespaceName] {
        &self.names
    }

    pub(super) const fn tree_bytes(&self) -> Option<u64> {
        self.tree_bytes
    }
}

/// What opening did to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// It was blank and is formatted now.
    pub formatted: bool,
    /// A copy of the superblock was written again from the other.
    pub superblock_repaired: bool,
    /// Volumes of which a copy of the table was written again: a power cut leaves that, and rot.
    pub tables_repaired: u32,
}

/// A disk that is ours.
#[derive(Debug)]
pub struct Medium<D: BlockDevice> {
    volumes: heapless::Vec<Volume<D>, VOLUMES_MAX>,
}

impl<D: BlockDevice> Medium<D> {
    /// Opens a disk. A blank one is formatted: one whose first MiB holds nothing but zeros, and what a
    /// format that was cut off left.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use unison_bare::medium::{Medium, Wanted};
    /// # use unison_base::{NamespaceName, SegmentId};
    /// # use unison_ports::{SegmentFile, SegmentStore};
    /// # use unison_sim::blocks::CrashBlocks;
    /// let name = NamespaceName::new("default")?;
    /// let disk = Arc::new(CrashBlocks::new(64 << 20));
    /// let (medium, opened) = Medium::open(disk, &Wanted::new(&[name.clone()])?)?;
    /// assert!(opened.formatted);
    /// let volume = medium.volume(&name).unwrap();
    /// let segment = volume.segments().create(SegmentId::FIRST, 1 << 20)?;
    /// segment.write_at(0, b"hello")?;
    /// segment.sync()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is not ours, of another geometry, or damaged beyond repair; the error says which.
    pub fn open(device: Arc<D>, wanted: &Wanted) -> Result<(Self, Opened), MediumError> {
        let disk = Arc::new(Disk::new(device));
        let mut opened = Opened::default();
        let superblock = match superblock::find(&disk)? {
            None => {
                opened.formatted = true;
                format(&disk, wanted)?
            }
            Some(Found { superblock, damaged }) => {
                check(&superblock, disk.sectors(), wanted)?;
                opened.superblock_repaired = damaged.is_some();
                damaged.map_or(Ok(()), |copy| superblock.write(&disk, copy))?;
                superblock
            }
        };
        let mut volumes = heapless::Vec::new();
        for (number, place) in superblock.volumes.into_iter().enumerate() {
            let (volume, repaired) = Volume::open(&disk, number, place)?;
            opened.tables_repaired += u32::from(repaired);
            volumes.push(volume).map_err(|_| MediumError::Damaged)?;
        }
        Ok((Self { volumes }, opened))
    }

    /// The volume of a namespace.
    #[must_use]
    pub fn volume(&self, name: &NamespaceName) -> Option<Volume<D>> {
        self.volumes.iter().find(|volume| volume.name() == name).cloned()
    }
}

/// Whether a disk is what is wanted, before anything is written.
fn check(superblock: &Superblock, sectors: u64, wanted: &Wanted) -> Result<(), MediumError> {
    if superblock.sectors != sectors {
        return Err(MediumError::Sectors { recorded: superblock.sectors, found: sectors });
    }
    let known = |name: &NamespaceName| superblock.volumes.iter().any(|place| place.name == *name);
    match wanted.names().iter().find(|name| !known(name)) {
        Some(name) => Err(MediumError::NoVolume(name.clone())),
        None => Ok(()),
    }
}

/// Formats a blank disk. Superblocks come last, one by one, so a format that was cut off is not there
/// or is whole.
fn format<D: BlockDevice>(disk: &Disk<D>, wanted: &Wanted) -> Result<Superblock, MediumError> {
    let superblock = layout::plan(disk.sectors(), wanted)?;
    if !is_blank(disk)? {
        return Err(MediumError::Foreign);
    }
    for (number, index) in (0..superblock.volumes.len()).zip(0_u32..) {
        for sector in tables(number) {
            disk.write(sector, &empty_table(index))?;
        }
    }
    disk.flush()?;
    for sector in SUPERBLOCKS {
        superblock.write(disk, sector)?;
    }
    Ok(superblock)
}

/// A table as a format writes it, one sector.
fn empty_table(volume: u32) -> Vec<u8> {
    Table { sequence: 1, ..Table::default() }.encode(volume)
}

/// Whether the place of the metadata holds nothing of anybody else. Zeros where superblocks would be
/// prove nothing: file systems too leave the first sectors of a disk alone.
fn is_blank<D: BlockDevice>(disk: &Disk<D>) -> Result<bool, MediumError> {
    let mut own = Vec::new();
    for (number, index) in (0..VOLUMES_MAX).zip(0_u32..) {
        own.extend(tables(number).map(|sector| (sector, empty_table(index))));
    }
    let mut chunk = vec![0; BLANK_CHUNK_BYTES];
    for first in (0..METADATA_BYTES / SECTOR).step_by(BLANK_CHUNK_BYTES / SECTOR_BYTES) {
        disk.read(first, &mut chunk)?;
        for (sector, bytes) in (first..).zip(chunk.chunks(SECTOR_BYTES)) {
            let ours = || own.iter().any(|(at, table)| *at == sector && table == bytes);
            if bytes.iter().any(|&byte| byte != 0) && !ours() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
