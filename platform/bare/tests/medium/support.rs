//! What the tests share.

use std::sync::Arc;
use unison_bare::medium::{Medium, MediumError, Opened, Volume, Wanted};
use unison_base::NamespaceName;
use unison_ports::{SegmentEntry, SegmentStore};
use unison_sim::blocks::CrashBlocks;

/// Bytes of the disks here: small, so that a moment of a run costs little.
pub(crate) const DISK_BYTES: u64 = 8 << 20;

pub(crate) fn name(name: &str) -> NamespaceName {
    NamespaceName::new(name).unwrap()
}

pub(crate) fn wanted(names: &[&str]) -> Wanted {
    let names: Vec<_> = names.iter().map(|text| name(text)).collect();
    Wanted::new(&names).unwrap()
}

/// Opens a disk with one volume.
pub(crate) fn open(disk: &Arc<CrashBlocks>) -> Result<(Volume<CrashBlocks>, Opened), MediumError> {
    let (medium, opened) = Medium::open(Arc::clone(disk), &wanted(&["default"]))?;
    Ok((medium.volume(&name("default")).expect("its volume"), opened))
}

/// A formatted disk and its volume.
pub(crate) fn fresh() -> (Arc<CrashBlocks>, Volume<CrashBlocks>) {
    let disk = Arc::new(CrashBlocks::new(DISK_BYTES));
    let (volume, opened) = open(&disk).expect("a blank disk");
    assert!(opened.formatted);
    (disk, volume)
}

pub(crate) fn entries<S: SegmentStore>(store: &S) -> Vec<SegmentEntry> {
    let mut entries = Vec::new();
    store.list(&mut |entry| entries.push(entry)).expect("a list");
    entries.sort();
    entries
}
