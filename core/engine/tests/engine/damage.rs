//! Bytes that rot: every value is right or its error says where, and the rest stays readable.

use crate::fixture::{self, NOW_MS, commit, flush, options, put};
use unison_base::{Lsn, SegmentId};
use unison_engine::{EngineOpenError, ReadError, ScanRequest};
use unison_ports::{SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Damage, File};

const LOG: SegmentKind = SegmentKind::Log;

fn flip(disk: &CrashDisk, segment: u32, offset: u64) {
    let file = File::Segment(SegmentId(segment), LOG);
    disk.damage("ns", file, Damage::FlipBit { offset, bit: 2 }).unwrap();
}

#[test]
fn a_rotten_value_is_an_error_with_its_place_and_no_wrong_bytes() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"rotten", &[1; 1_000]);
    put(&mut engine, b"sound", &[2; 1_000]);
    commit(&mut engine);
    flip(&disk, 1, 600);
    let reader = engine.reader();
    for flushed in [false, true] {
        let value = reader.get(b"rotten").unwrap().unwrap();
        let Err(ReadError::Corrupt { at }) = value.bytes() else { panic!("flushed: {flushed}") };
        assert_eq!(at.segment, SegmentId(1));
        assert!((64..600).contains(&at.offset));
        assert_eq!(fixture::get(&reader, b"sound"), Some(vec![2; 1_000]));
        let snapshot = reader.snapshot();
        let items: Vec<_> = snapshot.scan(ScanRequest::default()).unwrap().collect();
        assert_eq!(items.len(), 2);
        flush(&mut engine);
    }
}

#[test]
fn a_small_rotten_value_does_not_stop_a_flush() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"rotten", b"tiny");
    put(&mut engine, b"sound", b"tiny");
    commit(&mut engine);
    let value_at = (64..400).find(|offset| {
        flip(&disk, 1, *offset);
        let hit = engine.reader().get(b"rotten").unwrap().unwrap().bytes().is_err();
        if !hit {
            flip(&disk, 1, *offset);
        }
        hit
    });
    assert!(value_at.is_some());
    flush(&mut engine);
    assert_eq!(engine.stats().checkpoint, Lsn(2));
    let value = engine.reader().get(b"rotten").unwrap().unwrap();
    assert!(matches!(value.bytes(), Err(ReadError::Corrupt { .. })));
    assert_eq!(fixture::get(&engine.reader(), b"sound"), Some(b"tiny".to_vec()));
}

#[test]
fn replay_goes_on_behind_what_rot_took() {
    let (disk, mut engine) = fixture::new(options());
    for number in 0..40_u8 {
        put(&mut engine, &[number], &[number; 4_000]);
        commit(&mut engine);
    }
    engine.close().unwrap();
    flip(&disk, 2, 30_000);
    let (engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert_eq!(report.gaps, 1);
    assert_eq!(report.replayed + report.missing, 40);
    assert!(report.missing >= 1, "{report:?}");
    assert_eq!(engine.appended(), Lsn(40));
    let there = fixture::all(&engine.reader());
    assert_eq!(there.len() as u64, report.replayed);
    for (key, value, _) in there {
        assert_eq!(value, vec![key[0]; 4_000]);
    }
}

#[test]
fn values_in_a_damaged_segment_stay_readable_where_they_are_sound() {
    let (disk, mut engine) = fixture::new(options());
    for number in 0..40_u8 {
        put(&mut engine, &[number], &[number; 4_000]);
        commit(&mut engine);
    }
    flush(&mut engine);
    engine.close().unwrap();
    flip(&disk, 2, 30_000);
    let mut engine = fixture::open(&disk, options());
    let reader = engine.reader();
    let read = |number: u8| reader.get(&[number]).unwrap().unwrap().bytes().map(|b| b.to_vec());
    let damaged: Vec<u8> = (0..40).filter(|number| read(*number).is_err()).collect();
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    for number in (0..40).filter(|number| !damaged.contains(number)) {
        assert_eq!(read(number).unwrap(), vec![number; 4_000]);
    }
    put(&mut engine, &damaged, b"healed");
    commit(&mut engine);
    assert_eq!(engine.appended(), Lsn(41));
    assert_eq!(fixture::get(&engine.reader(), &damaged), Some(b"healed".to_vec()));
}

#[test]
fn a_leader_whose_log_is_gone_goes_on_above_its_tree() {
    let (disk, mut engine) = fixture::new(options());
    for number in 0..5_u8 {
        put(&mut engine, &[number], b"inline");
    }
    commit(&mut engine);
    flush(&mut engine);
    drop(engine);
    disk.store("ns").remove(SegmentId(1), LOG).unwrap();
    let mut engine = fixture::open(&disk, options());
    assert_eq!((engine.next_lsn(), engine.reader().count().unwrap()), (Lsn(6), 5));
    put(&mut engine, b"new", b"value");
    commit(&mut engine);
    assert_eq!(fixture::get(&engine.reader(), b"new"), Some(b"value".to_vec()));
    drop(engine);
    let (engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert_eq!((report.checkpoint, report.replayed), (Lsn(5), 1));
    assert_eq!(engine.reader().count().unwrap(), 6);
}

#[test]
fn a_tree_of_another_log_is_refused() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"one", b"log");
    commit(&mut engine);
    flush(&mut engine);
    drop(engine);
    let (other, mut engine) = fixture::new(options());
    put(&mut engine, b"another", b"log");
    commit(&mut engine);
    engine.close().unwrap();
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let store = std::sync::Arc::new(other.store("ns"));
    let refused = fixture::Sim::open(store, tree, options(), NOW_MS).unwrap_err();
    assert_eq!(refused, EngineOpenError::TreeOfAnotherLog { checkpoint: Lsn(1) });
}
