//! Space: what is free, what is held, what is dropped.

use crate::support::{entries, fresh, open};
use unison_bare::medium::{SEGMENTS_MAX, UNIT_BYTES};
use unison_base::SegmentId;
use unison_base::prng::Prng;
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

const LOG: SegmentKind = SegmentKind::Log;

#[test]
fn units_are_used_again_and_never_twice() {
    let (disk, mut volume) = fresh();
    let mut prng = Prng::new(5);
    // What each handle has to read for as long as it is there.
    let mut handles = Vec::new();
    let mut refusals = 0;
    for round in 0..4_000_u32 {
        let store = volume.segments();
        let id = SegmentId(prng.below(30) as u32);
        match prng.below(10) {
            0..5 => match store.create(id, prng.below(9 * UNIT_BYTES)) {
                Ok(file) => {
                    let mark = round.to_le_bytes();
                    let long = file.size() >= 8;
                    if long {
                        file.write_at(0, &mark).unwrap();
                        file.write_at(file.size() - 4, &mark).unwrap();
                    }
                    if long && prng.chance(60) {
                        handles.push((file, mark));
                    }
                }
                Err(IoError::NoSpace) => refusals += 1,
                Err(error) => assert_eq!(error, IoError::Exists),
            },
            5..7 => drop(store.remove(id, LOG)),
            7 => drop(store.set_kind(id, LOG, SegmentKind::Values)),
            8 => drop(store.remove(id, SegmentKind::Values)),
            _ if !handles.is_empty() => {
                drop(handles.swap_remove(prng.below(handles.len() as u64) as usize));
            }
            _ => {}
        }
        for (file, mark) in &handles {
            let (mut first, mut last) = ([0; 4], [0; 4]);
            file.read_at(0, &mut first).unwrap();
            file.read_at(file.size() - 4, &mut last).unwrap();
            assert_eq!((first, last), (*mark, *mark), "round {round}");
        }
        if round % 400 == 399 {
            let before = entries(&*store);
            drop((store, volume));
            handles.clear();
            volume = open(&disk).unwrap().0;
            assert_eq!(entries(&*volume.segments()), before);
        }
    }
    assert!(refusals > 100, "{refusals}");
}

#[test]
fn evidence_makes_room_the_oldest_first_and_nothing_else_does() {
    let (_, volume) = fresh();
    let store = volume.segments();
    let region = volume.usage().segment_bytes;
    let part = region / 4 / UNIT_BYTES * UNIT_BYTES;
    // Older than an aside of the same number; an aside whose number is in the log; one that is not.
    for (id, mark) in [(1, 1), (1, 2), (2, 3)] {
        store.create(SegmentId(id), part).unwrap().write_at(0, &[mark]).unwrap();
        store.set_kind(SegmentId(id), LOG, SegmentKind::Aside).unwrap();
    }
    assert_eq!(volume.usage().evidence_bytes, part);
    let first = store.create(SegmentId(1), part).unwrap();
    first.write_at(0, &[4]).unwrap();
    assert_eq!(volume.usage().evidence_bytes, 2 * part);
    store.create(SegmentId(3), part).unwrap().write_at(0, &[5]).unwrap();
    assert_eq!(volume.usage().evidence_dropped, 1);
    let mut mark = [0];
    store.open(SegmentId(1), SegmentKind::Aside).unwrap().read_at(0, &mut mark).unwrap();
    assert_eq!(mark, [2], "the newer one was dropped");
    store.create(SegmentId(4), part).unwrap();
    assert_eq!(volume.usage().evidence_dropped, 2);
    assert_eq!(store.create(SegmentId(5), part).err(), Some(IoError::NoSpace));
    assert_eq!(store.open(SegmentId(2), SegmentKind::Aside).unwrap().size(), part);
    assert_eq!(volume.usage().evidence_bytes, 0);
}

#[test]
fn a_log_that_begins_anew_takes_the_room_of_the_one_that_was_set_aside() {
    let (_, volume) = fresh();
    let store = volume.segments();
    let part = volume.usage().segment_bytes / 4 / UNIT_BYTES * UNIT_BYTES;
    for id in (2..=5).map(SegmentId) {
        store.create(id, part).unwrap();
    }
    for id in (2..=5).rev().map(SegmentId) {
        store.set_kind(id, LOG, SegmentKind::Aside).unwrap();
    }
    // Another leader may have other sizes, and may begin elsewhere.
    store.create(SegmentId(1), 2 * part).unwrap();
    assert_eq!(volume.usage().evidence_dropped, 2);
    store.create(SegmentId(2), part).unwrap();
    assert_eq!(volume.usage().evidence_dropped, 3);
    store.set_kind(SegmentId(1), LOG, SegmentKind::Aside).unwrap();
    store.set_kind(SegmentId(2), LOG, SegmentKind::Aside).unwrap();
    store.create(SegmentId(9), 3 * part).unwrap();
    assert_eq!(store.create(SegmentId(10), 2 * part).err(), Some(IoError::NoSpace));
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let (disk, volume) = fresh();
    let before = disk.disk().counters();
    for size in [volume.usage().segment_bytes + 1, u64::MAX - 65_536, u64::MAX] {
        assert_eq!(volume.segments().create(SegmentId(1), size).err(), Some(IoError::NoSpace));
    }
    assert_eq!(disk.disk().counters(), before);
}

#[test]
fn a_table_takes_so_many_segments_and_no_more() {
    let (disk, volume) = fresh();
    let store = volume.segments();
    for id in 0..SEGMENTS_MAX as u32 {
        store.create(SegmentId(id), 0).unwrap();
    }
    assert_eq!(store.create(SegmentId(u32::MAX), 0).err(), Some(IoError::NoSpace));
    drop(volume);
    let (volume, _) = open(&disk).unwrap();
    assert_eq!(entries(&*volume.segments()).len(), SEGMENTS_MAX);
}
