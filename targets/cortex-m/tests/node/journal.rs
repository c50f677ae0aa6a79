//! A log of the node's own that is full and damaged.

use crate::image::Image;
use crate::plan::{JOURNAL, JOURNAL_SEGMENTS, SLOT_BYTES, SLOTS};
use unison_base::{Lsn, SegmentId};
use unison_cortex_m::Journal;
use unison_cortex_m::medium::{Medium, Store};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_walfs::SmallReport;

type Volume = Store<Image, SLOTS>;

fn with_journal<T>(
    store: &Volume,
    work: impl FnOnce(&mut Journal<'_, Volume, JOURNAL_SEGMENTS>, &SmallReport) -> T,
) -> T {
    let (mut group, mut record) = ([0; 4 << 10], [0; 2 << 10]);
    let (mut journal, report) =
        Journal::open(store, SLOT_BYTES, &mut group, &mut record, 1).unwrap();
    work(&mut journal, &report)
}

fn put(journal: &mut Journal<'_, Volume, JOURNAL_SEGMENTS>, count: u64) -> Lsn {
    for _ in 1..count {
        journal.put(b"key", &[7; 1_000], 1).unwrap();
    }
    journal.put(b"key", &[7; 1_000], 1).unwrap()
}

fn segments(store: &Volume) -> Vec<(SegmentId, SegmentKind)> {
    let mut found = Vec::new();
    store.list(&mut |entry| found.push((entry.id, entry.kind))).unwrap();
    found.sort_unstable();
    found
}

/// Each opening finds the newest segment damaged, more often than the medium has slots.
#[test]
fn a_full_journal_takes_measurements_however_often_it_is_damaged() {
    let medium = Medium::mount(Image::of(Vec::new()), SLOT_BYTES).unwrap();
    let store = Box::leak(Box::new(medium)).volume(JOURNAL).unwrap();
    let mut last = with_journal(&store, |journal, _| put(journal, 300));
    assert_eq!(segments(&store).len(), JOURNAL_SEGMENTS);
    for round in 0..2 * SLOTS as u64 {
        let (newest, kind) = segments(&store).last().copied().unwrap();
        assert_eq!(kind, SegmentKind::Log);
        let offset = if round % 2 == 0 { 64 } else { 600 };
        store.open(newest, kind).unwrap().write_at(offset, &[0x5A; 16]).unwrap();
        last = with_journal(&store, |journal, report| {
            assert_eq!(report.rungs.rot_segments, 1, "round {round}: {report:?}");
            let wrote = put(journal, 1 + 40 * (round % 3));
            assert!(wrote > last, "round {round}");
            wrote
        });
        let log = segments(&store).iter().filter(|(_, kind)| *kind == SegmentKind::Log).count();
        assert!(log <= JOURNAL_SEGMENTS);
    }
}
