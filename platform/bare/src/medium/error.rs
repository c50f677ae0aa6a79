//! Why a disk is not served.

use unison_base::NamespaceName;
use unison_ports::IoError;

/// Why a disk was not opened. Nothing was written to it, unless a write itself failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediumError {
    /// The device failed.
    #[error("the disk failed: {0}")]
    Io(#[from] IoError),
    /// Too few sectors for the volumes that are wanted.
    #[error("the disk has {sectors} sectors of 512 bytes, {needed} are needed")]
    TooSmall {
        /// Sectors it has.
        sectors: u64,
        /// Sectors that are needed.
        needed: u64,
    },
    /// Where our superblocks would be is something else. Zero the first megabyte to give it to us.
    #[error("the disk holds something that is not ours; zero its first MiB to have it formatted")]
    Foreign,
    /// Both copies of the superblock are ours, and neither is whole.
    #[error("both superblocks are damaged")]
    Damaged,
    /// Written by a version that this one does not know.
    #[error("the disk's format is version {found}, this program knows version 1")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Formatted with another number of sectors, as after a copy to another card.
    #[error("the disk was formatted with {recorded} sectors and has {found}")]
    Sectors {
        /// Sectors when it was formatted.
        recorded: u64,
        /// Sectors that it has.
        found: u64,
    },
    /// Formatted for other namespaces.
    #[error("the disk has no volume for namespace {0:?}; it was formatted for others")]
    NoVolume(NamespaceName),
    /// Both copies of a volume's table are damaged.
    #[error("both tables of volume {volume} are damaged")]
    TableDamaged {
        /// Number of the volume, from 0.
        volume: usize,
    },
}

/// Why namespaces cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WantedError {
    /// None, or more than a disk has volumes.
    #[error("{0} namespaces; a disk has 1 to {max} volumes", max = super::VOLUMES_MAX)]
    Count(usize),
    /// One is named twice.
    #[error("a namespace is named twice")]
    Twice,
}

/// Why a tree was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeOpenError {
    /// The device failed under it, or its region is full.
    #[error("the tree's region failed: {0}")]
    Io(IoError),
    /// What is stored is no tree. It holds nothing that a whole log does not: see
    /// [`Volume::discard_tree`](super::Volume::discard_tree).
    #[error("the tree is damaged")]
    Damaged,
}
