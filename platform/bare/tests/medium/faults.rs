//! A device that fails.

use crate::support::{entries, fresh, open};
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, Fault};

const ERROR: IoError = IoError::Device(5);

#[test]
fn after_a_failed_flush_none_succeeds_and_reads_go_on() {
    let (disk, volume) = fresh();
    let store = volume.segments();
    let file = store.create(SegmentId(1), 1 << 20).unwrap();
    file.write_at(0, b"kept").unwrap();
    disk.disk().inject(Fault::once(Calls::Syncs, 1, ERROR));
    assert_eq!(file.sync(), Err(ERROR));
    disk.disk().heal();
    file.write_at(100, b"late").unwrap();
    assert_eq!(file.sync(), Err(ERROR));
    assert_eq!(store.create(SegmentId(2), 1 << 20).err(), Some(ERROR));
    assert_eq!(store.remove(SegmentId(1), SegmentKind::Log), Err(ERROR));
    let mut bytes = [0; 4];
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    drop((file, store, volume));
    let (volume, _) = open(&disk).unwrap();
    let file = volume.segments().open(SegmentId(1), SegmentKind::Log).unwrap();
    file.write_at(100, b"late").unwrap();
    file.sync().unwrap();
}

/// Wherever it fails: the store says so, what it lists is what it listed, and a restart finds one of
/// the two states and goes on.
#[test]
fn a_change_that_fails_is_not_made_here_and_stops_every_later_one() {
    for calls in [Calls::Writes, Calls::Syncs] {
        for nth in 1..4 {
            let (disk, volume) = fresh();
            let store = volume.segments();
            drop(store.create(SegmentId(1), 1 << 20).unwrap());
            let before = entries(&*store);
            disk.disk().inject(Fault::once(calls, nth, ERROR));
            let changed = store.set_kind(SegmentId(1), SegmentKind::Log, SegmentKind::Values);
            disk.disk().heal();
            if changed.is_err() {
                assert_eq!(entries(&*store), before, "{calls:?} {nth}");
                assert_eq!(store.create(SegmentId(2), 1 << 20).err(), Some(ERROR));
            }
            drop((store, volume));
            let (volume, _) = open(&disk).unwrap();
            assert_eq!(entries(&*volume.segments()).len(), 1);
            volume.segments().create(SegmentId(2), 1 << 20).unwrap();
        }
    }
}

/// A2: the write may be there in part; what is known of its sectors is forgotten.
#[test]
fn after_a_failed_write_the_device_is_asked_again() {
    let (disk, volume) = fresh();
    let file = volume.segments().create(SegmentId(1), 1 << 20).unwrap();
    file.write_at(0, &[1; 700]).unwrap();
    disk.disk().inject(Fault::once(Calls::Writes, 1, ERROR));
    assert_eq!(file.write_at(700, &[2; 700]), Err(ERROR));
    disk.disk().heal();
    file.write_at(1_400, &[3; 50]).unwrap();
    let mut bytes = [9; 1_450];
    file.read_at(0, &mut bytes).unwrap();
    let expected = [&[1; 700][..], &[0; 700], &[3; 50]].concat();
    assert!(bytes[..] == expected[..]);
}
