//! Large objects: chunks of any length, ranges, replacement, damage.

use super::model::{abort, begin, chunk, commit, id, rest, snapshot};
use crate::fixture::{self, NOW_MS, Sim, flush, options};
use unison_base::limits::CHUNK_BYTES_MAX;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_engine::{
    Condition, EngineOptions, ObjectScanRequest, Operation, ReadError, Write, WriteError,
};
use unison_ports::SegmentKind;
use unison_sim::disk::{Damage, File};

/// Writes an object in one transaction, in chunks of these lengths.
fn write(engine: &mut Sim, number: u64, key: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut bytes = vec![0; lengths.iter().sum()];
    Prng::new(number).fill(&mut bytes);
    begin(engine, id(number)).unwrap();
    let mut left = bytes.as_slice();
    for &length in lengths {
        let (part, behind) = left.split_at(length);
        chunk(engine, id(number), key, part).unwrap();
        left = behind;
    }
    commit(engine, id(number), &[]).unwrap();
    bytes
}

#[test]
fn bytes_from_any_offset_are_found_whatever_the_chunks() {
    let (_disk, mut engine) = fixture::new(options());
    let bytes = write(&mut engine, 1, b"o", &[5, 1, 3_000, 0, 0, 700, 17]);
    for flushed in [false, true] {
        if flushed {
            flush(&mut engine);
        }
        let snapshot = snapshot(&mut engine);
        assert_eq!(snapshot.object(b"o").unwrap().unwrap().chunks_len(), 7);
        for offset in (0..=bytes.len()).step_by(13).chain([4, 5, 6, 3_005, 3_006, bytes.len()]) {
            assert_eq!(rest(&snapshot, b"o", offset as u64), bytes[offset..], "{offset}");
        }
    }
}

#[test]
fn a_new_object_takes_the_place_of_a_longer_one_whole() {
    let (disk, mut engine) = fixture::new(options());
    write(&mut engine, 1, b"o", &[2_000, 2_000, 2_000]);
    snapshot(&mut engine);
    flush(&mut engine);
    let long = snapshot(&mut engine);
    let short = write(&mut engine, 2, b"o", &[10]);
    assert_eq!(rest(&snapshot(&mut engine), b"o", 0), short);
    flush(&mut engine);
    assert_eq!(rest(&snapshot(&mut engine), b"o", 0), short);
    assert_eq!(rest(&long, b"o", 0).len(), 6_000, "the one before is still there to its reader");
    drop((long, engine));
    let mut engine = fixture::open(&disk, options());
    assert_eq!(rest(&snapshot(&mut engine), b"o", 0), short);
    assert_eq!(engine.stats().live_bytes, 0, "ten bytes lie in the tree itself");
}

#[test]
fn half_an_object_is_seen_by_nobody() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    chunk(&mut engine, id(1), b"aborted", &[1; 3_000]).unwrap();
    begin(&mut engine, id(2)).unwrap();
    chunk(&mut engine, id(2), b"left", &[2; 3_000]).unwrap();
    abort(&mut engine, id(1)).unwrap();
    fixture::commit(&mut engine);
    flush(&mut engine);
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    let snapshot = snapshot(&mut engine);
    assert_eq!(snapshot.objects(ObjectScanRequest::default()).count(), 0);
    assert!(snapshot.object(b"left").unwrap().is_none());
    assert_eq!(engine.stats().live_bytes, 0);
}

#[test]
fn limits_and_conditions_are_those_of_any_write() {
    let (_disk, mut engine) = fixture::new(EngineOptions::default());
    begin(&mut engine, id(1)).unwrap();
    let limit = CHUNK_BYTES_MAX;
    let error = chunk(&mut engine, id(1), b"o", &vec![0; limit + 1]).unwrap_err();
    assert_eq!(error, WriteError::ChunkLength { bytes: limit + 1, limit });
    chunk(&mut engine, id(1), b"o", &vec![0; limit]).unwrap();
    assert!(matches!(chunk(&mut engine, id(1), b"", b""), Err(WriteError::KeyLength { .. })));
    commit(&mut engine, id(1), &[]).unwrap();
    let delete = |condition| Write { condition, ..Write::new(Operation::DeleteObjects(&[b"o"])) };
    let error = engine.stage(&delete(Condition::UnchangedSince(Lsn(1))), NOW_MS).unwrap_err();
    assert_eq!(error, WriteError::Conflict { current: Some(Lsn(3)) });
    let written = engine.stage(&delete(Condition::UnchangedSince(Lsn(3))), NOW_MS).unwrap();
    assert_eq!((written.existed, written.existing_keys), (Some(true), 1));
    assert!(snapshot(&mut engine).object(b"o").unwrap().is_none());
}

#[test]
fn objects_are_listed_by_prefix_in_pages() {
    let (_disk, mut engine) = fixture::new(options());
    let keys = [&b"a"[..], b"a\0", b"a\0b", b"ab", b"b", &[0xFF], &[0xFF, 0xFF]];
    for (number, key) in (1..).zip(keys) {
        write(&mut engine, number, key, &[3, 4]);
        if number == 3 {
            snapshot(&mut engine);
            flush(&mut engine);
        }
    }
    let snapshot = snapshot(&mut engine);
    let list = |prefix, after| {
        let listed = snapshot.objects(ObjectScanRequest { prefix, after });
        listed.map(|listed| listed.unwrap().key).collect::<Vec<_>>()
    };
    assert_eq!(list(b"", None), keys);
    assert_eq!(list(b"a", None), keys[..4]);
    assert_eq!(list(b"a", Some(b"a\0")), keys[2..4]);
    assert_eq!(list(b"", Some(b"b")), keys[5..]);
    assert_eq!(list(&[0xFF], None), keys[5..]);
    assert!(list(b"c", None).is_empty());
}

#[test]
fn a_damaged_chunk_is_an_error_and_the_others_are_read() {
    let (disk, mut engine) = fixture::new(options());
    write(&mut engine, 1, b"o", &[1_000, 1_000]);
    let snapshot = snapshot(&mut engine);
    // The first record's frame, the header before it, and a good part of the chunk's own record.
    let segment = File::Segment(SegmentId(1), SegmentKind::Log);
    disk.damage("ns", segment, Damage::FlipBit { offset: 600, bit: 1 }).unwrap();
    let object = snapshot.object(b"o").unwrap().unwrap();
    let read: Vec<_> =
        object.chunks(0).unwrap().map(|chunk| chunk.unwrap().bytes.bytes()).collect();
    assert!(matches!(read[0], Err(ReadError::Corrupt { .. })));
    assert_eq!(read[1].as_ref().unwrap().len(), 1_000);
}

#[test]
fn too_many_to_delete_at_once_are_refused_before_they_take_an_lsn() {
    let (_disk, mut engine) = fixture::new(EngineOptions::default());
    let (zeros, letters) = (vec![0; 4_096], vec![b'o'; 4_096]);
    for within in [None, Some(id(1))] {
        if within.is_some() {
            begin(&mut engine, id(1)).unwrap();
        }
        let next = engine.next_lsn();
        let mut delete = |objects: &[&[u8]]| {
            let write = Write::new(Operation::DeleteObjects(objects));
            engine.stage(&Write { transaction: within, ..write }, NOW_MS).map(drop).unwrap_err()
        };
        assert!(matches!(delete(&[&zeros[..]; 700]), WriteError::IndexBytes { .. }));
        assert!(matches!(delete(&[&letters[..]; 1_100]), WriteError::BatchBytes { .. }));
        assert_eq!(engine.next_lsn(), next);
    }
}
