//! One volume: its table in memory, and the units that are free.

use super::copies;
use super::disk::Disk;
use super::extent::Extent;
use super::layout::{SEGMENTS_MAX, UNIT_BYTES, UNIT_SECTORS};
use super::segments::BlockStore;
use super::superblock::VolumePlace;
use super::table::{Bounds, Entry, Table, units_for};
use super::tree::BlockTree;
use super::{MediumError, TreeOpenError};
use crate::block::BlockDevice;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use spin::Mutex;
use unison_base::{NamespaceName, SegmentId};
use unison_ports::{IoError, SegmentKind};

/// The regions of one namespace. Clones are the same volume.
pub struct Volume<D: BlockDevice>(Arc<Shared<D>>);

impl<D: BlockDevice> Clone for Volume<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: BlockDevice> fmt::Debug for Volume<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Volume").field(self.name()).finish()
    }
}

/// How full a volume is. All in bytes unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The segment region.
    pub segment_bytes: u64,
    /// What segments of any role take of it.
    pub segment_used_bytes: u64,
    /// Longest free run: the largest segment that can be made without dropping evidence.
    pub segment_free_run_bytes: u64,
    /// What evidence takes: see [`Volume::segments`].
    pub evidence_bytes: u64,
    /// Pieces of evidence dropped so far to make room; a number.
    pub evidence_dropped: u32,
    /// The tree's region.
    pub tree_region_bytes: u64,
    /// The tree's file. It grows by doubling.
    pub tree_bytes: u64,
}

/// Bytes of one segment, shared by its handles. Its units are not used again while one is open.
pub(super) struct Place {
    pub(super) extent: Extent,
    pub(super) units: Range<u64>,
}

pub(super) struct Shared<D> {
    pub(super) disk: Arc<Disk<D>>,
    pub(super) place: VolumePlace,
    pub(super) tree: Extent,
    pub(super) live: Mutex<Live>,
    /// What the device last said about the tree's region.
    pub(super) tree_failure: Mutex<Option<IoError>>,
    number: u32,
}

/// The table, and the places that handles have.
pub(super) struct Live {
    pub(super) table: Table,
    places: Vec<Weak<Place>>,
}

impl<D: BlockDevice> Volume<D> {
    /// Opens volume `number`; also says whether a copy of its table was repaired.
    pub(super) fn open(
        disk: &Arc<Disk<D>>,
        number: usize,
        place: VolumePlace,
    ) -> Result<(Self, bool), MediumError> {
        let bounds = Bounds {
            volume: u32::try_from(number).unwrap_or(u32::MAX),
            units: place.units(),
            tree_bytes: place.tree_bytes(),
        };
        let (table, repaired) = copies::load(disk, bounds)?;
        let shared = Shared {
            disk: Arc::clone(disk),
            tree: Extent::new(place.tree_first, u64::MAX),
            place,
            live: Mutex::new(Live { table, places: Vec::new() }),
            tree_failure: Mutex::new(None),
            number: bounds.volume,
        };
        Ok((Self(Arc::new(shared)), repaired))
    }

    /// The namespace it is for.
    #[must_use]
    pub fn name(&self) -> &NamespaceName {
        &self.0.place.name
    }

    /// Its segments.
    ///
    /// A segment that was set aside is evidence once its number is part of the log again, or once a
    /// newer one of its role has its number. Evidence is kept until a new segment finds no room:
    /// then the oldest is dropped, and counted. When that does not suffice, so are those set aside from
    /// the new segment's number on: the log takes their numbers next.
    #[must_use]
    pub fn segments(&self) -> Arc<BlockStore<D>> {
        Arc::new(BlockStore::new(Arc::clone(&self.0)))
    }

    /// Its tree's file, for redb. Only one at a time may be in use.
    #[must_use]
    pub fn tree(&self) -> BlockTree<D> {
        BlockTree::new(Arc::clone(&self.0))
    }

    /// Opens its tree, or makes it. One whose making was cut off is made again.
    ///
    /// # Errors
    /// The device failed, or what is stored is no tree.
    pub fn open_tree(&self, cache_bytes: usize) -> Result<redb::Database, TreeOpenError> {
        super::tree::open(&self.0, cache_bytes)
    }

    /// Starts the tree over, durably. No tree may be open.
    ///
    /// # Errors
    /// A device error.
    pub fn discard_tree(&self) -> Result<(), IoError> {
        self.0.change(|table| {
            table.tree_bytes = 0;
            table.tree_is_whole = false;
        })
    }

    /// Why nothing that is written to this disk can be trusted, until the medium is opened again.
    #[must_use]
    pub fn failure(&self) -> Option<IoError> {
        self.0.disk.failure()
    }

    /// What the device last said about the tree's region since the tree was opened: redb's errors
    /// cannot carry it.
    #[must_use]
    pub fn tree_failure(&self) -> Option<IoError> {
        *self.0.tree_failure.lock()
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut live = self.0.live.lock();
        let units = self.0.place.units();
        let bytes = |entry: &Entry| units_for(entry.size).saturating_mul(UNIT_BYTES);
        let evidence = live.table.entries.iter().filter(|entry| live.table.is_evidence(entry));
        let evidence_bytes = evidence.map(bytes).sum();
        let free_run = live.free_runs(units).map(|run| run.end - run.start).max();
        Usage {
            segment_bytes: units.saturating_mul(UNIT_BYTES),
            segment_used_bytes: live.table.entries.iter().map(bytes).sum(),
            segment_free_run_bytes: free_run.unwrap_or(0).saturating_mul(UNIT_BYTES),
            evidence_bytes,
            evidence_dropped: live.table.evidence_dropped,
            tree_region_bytes: self.0.place.tree_bytes(),
            tree_bytes: live.table.tree_bytes,
        }
    }
}

impl<D: BlockDevice> Shared<D> {
    /// Changes the table, durably.
    pub(super) fn change(&self, change: impl FnOnce(&mut Table)) -> Result<(), IoError> {
        self.change_live(&mut self.live.lock(), change)
    }

    pub(super) fn change_live(
        &self,
        live: &mut Live,
        change: impl FnOnce(&mut Table),
    ) -> Result<(), IoError> {
        let mut table = live.table.clone();
        change(&mut table);
        table.sequence = table.sequence.saturating_add(1);
        copies::store(&self.disk, self.number, &table)?;
        live.table = table;
        Ok(())
    }

    /// Finds room for a new segment, dropping evidence where there is none.
    pub(super) fn room(&self, live: &mut Live, id: SegmentId, size: u64) -> Result<u32, IoError> {
        let needed = units_for(size);
        let units = self.place.units();
        if needed > units {
            return Err(IoError::NoSpace);
        }
        loop {
            let fits = live.table.entries.len() < SEGMENTS_MAX;
            if let Some(first) = live.first_fit(units, needed).filter(|_| fits) {
                return u32::try_from(first).map_err(|_| IoError::NoSpace);
            }
            let oldest = live.table.oldest_to_drop(id).ok_or(IoError::NoSpace)?;
            self.change_live(live, |table| {
                table.entries.remove(oldest);
                table.evidence_dropped = table.evidence_dropped.saturating_add(1);
            })?;
        }
    }

    /// First sector of a unit of the segment region.
    pub(super) const fn sector_of(&self, unit: u64) -> u64 {
        self.place.segment_first.saturating_add(unit.saturating_mul(UNIT_SECTORS))
    }

    /// The place of a segment: the one that other handles have, or a new one, of which all bytes
    /// from `zeros_from` on are zeros.
    pub(super) fn place(&self, live: &mut Live, entry: &Entry, zeros_from: u64) -> Arc<Place> {
        let units = entry.units();
        live.places.retain(|place| place.strong_count() > 0);
        let shared = live.places.iter().filter_map(Weak::upgrade);
        if let Some(place) = shared.into_iter().find(|place| place.units == units) {
            return place;
        }
        let extent = Extent::new(self.sector_of(units.start), zeros_from);
        let place = Arc::new(Place { extent, units });
        if !place.units.is_empty() {
            live.places.push(Arc::downgrade(&place));
        }
        place
    }
}

impl Live {
    /// Runs of units that neither a segment nor a handle has, in order.
    fn free_runs(&mut self, units: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        self.places.retain(|place| place.strong_count() > 0);
        let handles = self.places.iter().filter_map(Weak::upgrade);
        let mut taken: Vec<_> = handles.map(|place| place.units.clone()).collect();
        taken.extend(self.table.entries.iter().map(Entry::units).filter(|units| !units.is_empty()));
        taken.push(units..units);
        taken.sort_unstable_by_key(|range| range.start);
        let mut free_from = 0;
        taken.into_iter().filter_map(move |range| {
            let free = free_from..range.start;
            free_from = range.end.max(free_from);
            (!free.is_empty()).then_some(free)
        })
    }

    fn first_fit(&mut self, units: u64, needed: u64) -> Option<u64> {
        if needed == 0 {
            return Some(0);
        }
        self.free_runs(units).find(|run| run.end - run.start >= needed).map(|run| run.start)
    }
}

impl Table {
    /// Place of the segment that goes first for the sake of a new one: the oldest evidence, else the
    /// oldest one set aside that the log will have again, which is any when there is no log.
    fn oldest_to_drop(&self, new: SegmentId) -> Option<usize> {
        let (entries, aside) = (&self.entries, SegmentKind::Aside);
        let is_all_aside = entries.iter().all(|entry| entry.kind != SegmentKind::Log);
        let returns = |it: &Entry| it.kind == aside && (it.id >= new || is_all_aside);
        let evidence = entries.iter().position(|entry| self.is_evidence(entry));
        evidence.or_else(|| entries.iter().position(returns))
    }

    /// Whether a segment is only there for a person to look at.
    fn is_evidence(&self, entry: &Entry) -> bool {
        entry.superseded
            || entry.kind == SegmentKind::Aside && self.find(entry.id, SegmentKind::Log).is_some()
    }
}
