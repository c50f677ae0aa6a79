//! A follower: the leader's bytes, the leader's state.

use crate::fixture::{self, NOW_MS, Sim, commit, flush, follower_options, options};
use flatbuffers::FlatBufferBuilder;
use unison_base::frame::{Frames, frame_bytes, write_frame};
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_engine::{
    ApplyError, CutError, EngineOptions, Operation, Pressure, ReadError, RecordError, ScanRequest,
};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_schemas::{
    EncodedEntry, EncodedEntryArgs, EntryType, LogRecord, LogRecordArgs, OperationType,
};
use unison_sim::disk::{CrashDisk, Cut, Damage, File};
use unison_walfs::{Bound, RunError, RunHeader, Step};

/// Everything the leader has made durable and the follower does not have.
pub(crate) fn fetch(leader: &Sim, follower: &mut Sim, max_bytes: usize, mut steps: u64) {
    let log = leader.log();
    let from = follower.appended().next();
    let mut cursor = log.cursor(from.max(log.first()), Bound::Durable).unwrap();
    while steps > 0
        && let Some(step) = cursor.next_run(max_bytes).unwrap()
    {
        take(follower, &step, true).unwrap();
        steps -= 1;
    }
    let outcome = follower.sync_ticket().run();
    let durable = follower.synced(outcome).unwrap();
    follower.publish(durable);
}

/// Hands a step over; flushes before, if there is something to flush and `tidy`.
pub(crate) fn take(
    follower: &mut Sim,
    step: &Step<unison_sim::disk::SimStore>,
    tidy: bool,
) -> Result<(), ApplyError> {
    match step {
        Step::Run { segment, offset, first, count, segment_bytes, frames } => {
            let run = RunHeader {
                segment: *segment,
                offset: *offset,
                first: *first,
                count: *count,
                segment_bytes: *segment_bytes,
            };
            if tidy && follower.pressure() != Pressure::None {
                flush(follower);
            }
            follower.apply_run(run, frames, NOW_MS).map(|_| ())
        }
        Step::Seal { segment, offset, next_bytes } => {
            follower.seal_at(*segment, *offset, *next_bytes, NOW_MS)
        }
    }
}

fn write(engine: &mut Sim, prng: &mut Prng) {
    for _ in 0..prng.between(1, 5) {
        let key = [b'a' + u8::try_from(prng.below(20)).unwrap()];
        let value = vec![1; usize::try_from(prng.below(3_000)).unwrap()];
        let staged = match prng.below(4) {
            0 => fixture::stage(engine, Operation::Delete { key: &key }),
            1 => fixture::stage(engine, Operation::PutBatch(&[(&key, &value), (b"also", b"x")])),
            _ => fixture::stage(engine, Operation::Put { key: &key, value: &value }),
        };
        if staged.is_err() {
            commit(engine);
            flush(engine);
        }
    }
    commit(engine);
}

/// Frames of every segment, as they lie on the medium.
fn frames_on(disk: &CrashDisk, engine: &Sim) -> Vec<(SegmentId, Vec<u8>)> {
    let store = disk.store("ns");
    let log = engine.log().segments().into_iter().filter(|info| info.kind == SegmentKind::Log);
    log.map(|info| {
        let file = store.open(info.id, SegmentKind::Log).unwrap();
        let mut bytes = vec![0; usize::try_from(info.write_offset - 64).unwrap()];
        file.read_at(64, &mut bytes).unwrap();
        (info.id, bytes)
    })
    .filter(|(_, bytes)| !bytes.is_empty())
    .collect()
}

#[test]
fn a_follower_holds_the_same_bytes_and_the_same_state() {
    for seed in 0..12 {
        let mut prng = Prng::new(seed);
        let (leader_disk, mut leader) = fixture::new(options());
        let (disk, mut follower) = fixture::new(follower_options());
        for _ in 0..40 {
            write(&mut leader, &mut prng);
            if prng.chance(20) {
                flush(&mut leader);
            }
            if prng.chance(60) {
                let max_bytes = usize::try_from(prng.between(100, 20_000)).unwrap();
                let steps = prng.between(1, 8);
                fetch(&leader, &mut follower, max_bytes, steps);
            }
            if prng.chance(20) {
                flush(&mut follower);
            }
            if prng.chance(10) {
                drop(follower);
                follower = fixture::open(&disk, follower_options());
            }
        }
        fetch(&leader, &mut follower, 8_000, u64::MAX);
        assert_eq!(follower.appended(), leader.appended());
        assert_eq!(fixture::all(&follower.reader()), fixture::all(&leader.reader()));
        assert_eq!(frames_on(&disk, &follower), frames_on(&leader_disk, &leader));
        assert_eq!(follower.hlc(), leader.hlc());
        flush(&mut follower);
        flush(&mut leader);
        assert_eq!(follower.stats().live_bytes, leader.stats().live_bytes);
    }
}

/// A leader's first run, with its header.
fn one_run() -> (RunHeader, Vec<u8>) {
    let (_disk, mut leader) = fixture::new(options());
    for number in 0..4_u8 {
        fixture::put(&mut leader, &[number], &[number; 40]);
    }
    commit(&mut leader);
    let log = leader.log();
    let step = log.cursor(Lsn(1), Bound::Durable).unwrap().next_run(1 << 20).unwrap().unwrap();
    let Step::Run { segment, offset, first, count, segment_bytes, frames } = step else {
        panic!("a run comes first")
    };
    (RunHeader { segment, offset, first, count, segment_bytes }, frames.to_vec())
}

#[test]
fn a_flipped_bit_anywhere_in_a_run_is_refused_before_the_log_is_touched() {
    let (run, frames) = one_run();
    let (disk, mut follower) = fixture::new(follower_options());
    let before = disk.counters().segment_bytes;
    for offset in 0..frames.len() {
        for bit in 0..8 {
            let mut damaged = frames.clone();
            damaged[offset] ^= 1 << bit;
            assert!(follower.apply_run(run, &damaged, NOW_MS).is_err(), "byte {offset}, bit {bit}");
        }
    }
    assert_eq!(follower.appended(), Lsn::ZERO);
    assert_eq!(disk.counters().segment_bytes, before);
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(4)));
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(4)), "twice is once");
    follower.publish(Lsn(4));
    assert_eq!(follower.reader().count().unwrap(), 4);
}

#[test]
fn a_run_cut_at_any_byte_is_refused() {
    let (run, frames) = one_run();
    let (_disk, mut follower) = fixture::new(follower_options());
    for length in 0..frames.len() {
        assert!(follower.apply_run(run, &frames[..length], NOW_MS).is_err(), "{length} bytes");
    }
    assert_eq!(follower.appended(), Lsn::ZERO);
}

pub(crate) fn framed(payload: &[u8]) -> (RunHeader, Vec<u8>) {
    let mut frames = vec![0; frame_bytes(payload.len()).unwrap()];
    write_frame(payload, &mut frames).unwrap();
    let run = RunHeader {
        segment: SegmentId(1),
        offset: 64,
        first: Lsn(1),
        count: 1,
        segment_bytes: 64 << 10,
    };
    (run, frames)
}

pub(crate) fn record(operation: OperationType, entry_type: EntryType, entry: &[u8]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let bytes = Some(builder.create_vector(entry));
    let wrapped = EncodedEntry::create(&mut builder, &EncodedEntryArgs { entry: bytes });
    let entries = Some(builder.create_vector(&[wrapped]));
    let args = LogRecordArgs {
        lsn: 1,
        hlc: 5,
        operation_type: operation,
        entry_type,
        entries,
        ..LogRecordArgs::default()
    };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

#[test]
fn a_sound_frame_around_a_bad_record_is_refused_before_the_log_is_touched() {
    let (disk, mut follower) = fixture::new(follower_options());
    let bad_entry = record(OperationType::Insert, EntryType::KV, b"not a FlatBuffer");
    let (run, frames) = framed(&bad_entry);
    let refused = ApplyError::Record { lsn: Lsn(1), cause: RecordError::Entry { index: 0 } };
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Err(refused));
    let mut malformed = record(OperationType(99), EntryType::KV, b"opaque");
    // The offset of the entries now points outside; the LSN is still readable.
    let table = u32::from_le_bytes(malformed[..4].try_into().unwrap()) as usize;
    let vtable =
        table - i32::from_le_bytes(malformed[table..table + 4].try_into().unwrap()) as usize;
    let slot = vtable + 4 + 2 * 8;
    let field = u16::from_le_bytes(malformed[slot..slot + 2].try_into().unwrap()) as usize;
    malformed[table + field + 2] = 0xFF;
    let (run, frames) = framed(&malformed);
    let refused = ApplyError::Record { lsn: Lsn(1), cause: RecordError::Malformed };
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Err(refused));
    assert_eq!((follower.appended(), disk.counters().segment_bytes), (Lsn::ZERO, 0));
}

#[test]
fn records_of_other_kinds_are_stored_and_passed_over() {
    let (disk, mut follower) = fixture::new(follower_options());
    let (run, frames) = framed(&record(OperationType(100), EntryType::Event, b"from the future"));
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(1)));
    assert_eq!(follower.stats().skipped_records, 1);
    flush(&mut follower);
    assert_eq!((follower.stats().skipped_records, follower.stats().checkpoint), (1, Lsn(1)));
    drop(follower);
    let follower = fixture::open(&disk, follower_options());
    assert_eq!(follower.stats().skipped_records, 1);
    let stored = follower.log().cursor(Lsn(1), Bound::Appended).unwrap().next().unwrap().unwrap();
    assert_eq!(Frames::new(&frames).next().unwrap().unwrap().1.payload, &*stored.payload);
    assert_eq!(follower.reader().count().unwrap(), 0);
}

#[test]
fn a_follower_with_full_memory_asks_to_wait() {
    let (_disk, mut leader) = fixture::new(options());
    for number in 0..60_u8 {
        fixture::put(&mut leader, &[number], b"v");
    }
    commit(&mut leader);
    let tiny = EngineOptions { memtable_bytes: 300, ..follower_options() };
    let (_disk, mut follower) = fixture::new(tiny);
    let log = leader.log();
    let mut cursor = log.cursor(Lsn(1), Bound::Durable).unwrap();
    let refused = loop {
        let step = cursor.next_run(400).unwrap().expect("more than it can hold");
        let Step::Run { segment, offset, first, count, segment_bytes, frames } = step else {
            continue;
        };
        let run = RunHeader { segment, offset, first, count, segment_bytes };
        if let Err(error) = follower.apply_run(run, &frames, NOW_MS) {
            break error;
        }
    };
    assert_eq!(refused, ApplyError::Busy(Pressure::Full { memtables: 2, limit: 2 }));
    fetch_after_flush(&leader, &mut follower);
    assert_eq!(fixture::all(&follower.reader()), fixture::all(&leader.reader()));
}

fn fetch_after_flush(leader: &Sim, follower: &mut Sim) {
    flush(follower);
    fetch(leader, follower, 400, u64::MAX);
}

#[test]
fn a_tail_of_another_history_is_cut_away() {
    let (_disk, mut leader) = fixture::new(options());
    let (disk, mut follower) = fixture::new(follower_options());
    for number in 0..6_u8 {
        fixture::put(&mut leader, &[number], b"shared");
    }
    commit(&mut leader);
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    // A second leader that continued otherwise.
    let (_other_disk, mut other) = fixture::new(options());
    for number in 0..3_u8 {
        fixture::put(&mut other, &[number], b"shared");
    }
    fixture::put(&mut other, b"other", b"history");
    commit(&mut other);
    let held = follower.reader().snapshot();
    let seen = fixture::scan(&held, Default::default());
    follower.cut_after(Lsn(3), NOW_MS).unwrap();
    assert_eq!((follower.appended(), follower.applied()), (Lsn(3), Lsn(3)));
    assert_eq!(follower.reader().count().unwrap(), 3);
    fetch(&other, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(fixture::all(&follower.reader()), fixture::all(&other.reader()));
    assert_eq!(follower.reader().count().unwrap(), 4);
    // A held snapshot still knows its keys; a value whose place was written anew is an error.
    let kept: Vec<_> = held.scan(ScanRequest::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept.len(), seen.len());
    for (item, (key, value, lsn)) in kept.iter().zip(&seen) {
        assert_eq!((&item.key, item.lsn), (key, *lsn));
        match item.value.bytes() {
            Ok(bytes) => assert_eq!(&*bytes, value.as_slice()),
            Err(error) => assert!(matches!(error, ReadError::Corrupt { .. }) && *lsn > Lsn(3)),
        }
    }
    drop((kept, held, follower));
    let mut follower = fixture::open(&disk, follower_options());
    assert_eq!(fixture::all(&follower.reader()), fixture::all(&other.reader()));
    flush(&mut follower);
    let refused = follower.cut_after(Lsn(3), NOW_MS);
    assert_eq!(refused, Err(CutError::BelowCheckpoint { checkpoint: Lsn(4) }));
}

#[test]
fn a_cut_keeps_the_newest_versions_of_every_memtable() {
    let (_disk, mut leader) = fixture::new(options());
    for value in [b"frozen", b"active", b"gone  "] {
        fixture::put(&mut leader, b"key", value);
    }
    commit(&mut leader);
    let tiny = EngineOptions { memtable_bytes: 1, memtables_max: 3, ..follower_options() };
    let (_disk, mut follower) = fixture::new(tiny);
    let log = leader.log();
    let mut cursor = log.cursor(Lsn(1), Bound::Durable).unwrap();
    while let Some(Step::Run { segment, offset, first, count, segment_bytes, frames }) =
        cursor.next_run(1).unwrap()
    {
        let run = RunHeader { segment, offset, first, count, segment_bytes };
        follower.apply_run(run, &frames, NOW_MS).unwrap();
    }
    follower.publish(Lsn(3));
    assert_eq!(follower.stats().frozen_memtables, 3, "each version is in a memtable of its own");
    follower.cut_after(Lsn(2), NOW_MS).unwrap();
    assert_eq!(fixture::get(&follower.reader(), b"key"), Some(b"active".to_vec()));
    flush(&mut follower);
    assert_eq!(fixture::get(&follower.reader(), b"key"), Some(b"active".to_vec()));
}

#[test]
fn records_below_the_checkpoint_that_damage_took_are_fetched_again() {
    let (_disk, mut leader) = fixture::new(options());
    let (disk, mut follower) = fixture::new(follower_options());
    for number in 0..30_u8 {
        fixture::put(&mut leader, &[number % 10], &[number; 4_000]);
    }
    commit(&mut leader);
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    flush(&mut follower);
    let expected = fixture::all(&leader.reader());
    drop(follower);
    let second = File::Segment(SegmentId(2), SegmentKind::Log);
    disk.damage("ns", second, Damage::FlipBit { offset: 20_000, bit: 3 }).unwrap();
    let mut follower = fixture::open(&disk, follower_options());
    assert!(follower.appended() < follower.stats().checkpoint);
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(follower.appended(), leader.appended());
    assert_eq!(fixture::all(&follower.reader()), expected);
    assert_eq!(follower.stats().replay_bytes, 0, "the tree knows them already");
    let disk = disk.crash(Cut::LOST, &mut Prng::new(1));
    let follower = fixture::open(&disk, follower_options());
    assert_eq!(fixture::all(&follower.reader()), expected);
}

#[test]
fn another_record_at_the_checkpoint_is_another_history() {
    let (run, frames) = one_run();
    let (disk, mut follower) = fixture::new(follower_options());
    follower.apply_run(run, &frames, NOW_MS).unwrap();
    flush(&mut follower);
    drop(follower);
    // The log is gone, the tree is not.
    disk.store("ns").remove(SegmentId(1), SegmentKind::Log).unwrap();
    let mut follower = fixture::open(&disk, follower_options());
    let (_disk, mut other) = fixture::new(options());
    for number in 0..4_u8 {
        fixture::put(&mut other, &[number], b"other");
    }
    commit(&mut other);
    let log = other.log();
    let step = log.cursor(Lsn(1), Bound::Durable).unwrap().next_run(1 << 20).unwrap().unwrap();
    assert_eq!(take(&mut follower, &step, true), Err(ApplyError::Diverged { lsn: Lsn(4) }));
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(4)));
}

#[test]
fn a_run_at_the_wrong_place_is_refused() {
    let (run, frames) = one_run();
    let (_disk, mut follower) = fixture::new(follower_options());
    let elsewhere = RunHeader { offset: 128, ..run };
    assert!(matches!(
        follower.apply_run(elsewhere, &frames, NOW_MS),
        Err(ApplyError::Run(RunError::Place { .. }))
    ));
    let miscounted = RunHeader { count: 3, ..run };
    assert_eq!(
        follower.apply_run(miscounted, &frames, NOW_MS),
        Err(ApplyError::Run(RunError::Header))
    );
    assert_eq!(follower.appended(), Lsn::ZERO);
}
