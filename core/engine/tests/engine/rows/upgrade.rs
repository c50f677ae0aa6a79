//! A tree from before rows: records of rows in the log, counted as not understood.

use super::model::{Change, State, check_all};
use crate::fixture::{self, NOW_MS, Sim, commit, flush, options};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use std::sync::Arc;
use unison_base::{Lsn, SegmentId};
use unison_engine::{Condition, Engine, EngineOpenError};
use unison_ports::{IoError, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Cut, Damage, Fault, File};

const DATA: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("data");
const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");
/// The first version's checkpoint ended here.
const CHECKPOINT_BYTES: usize = 48;

fn changes() -> Vec<Change> {
    let row = |row: &str, name: &str, value: &[u8]| {
        Change::Put(vec![(row.into(), vec![(name.into(), value.into())])])
    };
    let mut changes = vec![
        row("one", "a", b"1"),
        row("one", "b", &[2; 3_000]),
        Change::Key(b"key".to_vec(), Some(vec![3; 3_000])),
        row("two", "a", b"gone"),
        Change::Delete(vec![(b"two".to_vec(), vec!["a".into()])]),
        row("three", "a", b"gone too"),
        Change::DeleteRows(vec![b"three".to_vec()]),
    ];
    changes.extend((0..40).map(|number| row("wide", &format!("{number:02}"), &[number; 2_000])));
    changes
}

/// A disk whose tree is what the version before rows would have left, and the state of the log.
fn old_disk(skipped: u64) -> (CrashDisk, State) {
    let (disk, mut engine) = fixture::new(options());
    let mut state = State::default();
    for (lsn, change) in (1..).map(Lsn).zip(changes()) {
        let staged = change.stage(&mut engine, Condition::Always, false);
        if staged.is_err() {
            flush(&mut engine);
            change.stage(&mut engine, Condition::Always, false).unwrap();
        }
        commit(&mut engine);
        state = state.changed(&change, lsn);
    }
    flush(&mut engine);
    engine.close().unwrap();
    make_old(&disk, skipped);
    (disk, state)
}

fn make_old(disk: &CrashDisk, skipped: u64) {
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let write = tree.begin_write().unwrap();
    {
        let mut data = write.open_table(DATA).unwrap();
        data.retain(|key, _| key[0] != 0xFD).unwrap();
        let mut meta = write.open_table(META).unwrap();
        let mut checkpoint = meta.get("checkpoint").unwrap().unwrap().value().to_vec();
        checkpoint.truncate(CHECKPOINT_BYTES);
        checkpoint[0] = 1;
        checkpoint[40..].copy_from_slice(&skipped.to_le_bytes());
        meta.insert("checkpoint", checkpoint.as_slice()).unwrap();
    }
    write.commit().unwrap();
}

fn version(disk: &CrashDisk) -> u8 {
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let read = tree.begin_read().unwrap();
    read.open_table(META).unwrap().get("checkpoint").unwrap().unwrap().value()[0]
}

fn check(engine: &Sim, state: &State) {
    check_all(&engine.reader().snapshot(), state);
    assert_eq!(engine.stats().skipped_records, 0);
}

#[test]
fn a_tree_that_passed_over_rows_is_made_anew_from_the_log() {
    let (disk, state) = old_disk(46);
    let (mut engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert!(report.tree_made_anew);
    assert_eq!(report.replayed, changes().len() as u64);
    check(&engine, &state);
    flush(&mut engine);
    check(&engine, &state);
    assert_eq!(engine.stats().tree_rows, state.rows.len() as u64);
    engine.close().unwrap();
    assert_eq!(version(&disk), 5);
    let (engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert!(!report.tree_made_anew);
    assert_eq!(report.replayed, 0);
    check(&engine, &state);
}

#[test]
fn a_cut_while_it_is_made_anew_is_made_up_for() {
    let mut prng = unison_base::prng::Prng::new(1);
    let (disk, state) = old_disk(46);
    disk.record_moments();
    drop(fixture::open(&disk, options()));
    for moment in disk.take_moments() {
        for cut in Cut::ALL {
            let disk = moment.cut(cut, &mut prng);
            check(&fixture::open(&disk, options()), &state);
        }
    }
}

#[test]
fn a_tree_that_passed_over_nothing_is_taken_as_it_is() {
    let (disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"key", b"value");
    commit(&mut engine);
    flush(&mut engine);
    engine.close().unwrap();
    make_old(&disk, 0);
    let (mut engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert!(!report.tree_made_anew);
    assert_eq!((report.checkpoint, report.replayed), (Lsn(1), 0));
    assert_eq!(fixture::get(&engine.reader(), b"key"), Some(b"value".to_vec()));
    Change::Put(vec![(b"row".to_vec(), vec![("a".into(), vec![1])])])
        .stage(&mut engine, Condition::Always, false)
        .unwrap();
    commit(&mut engine);
    flush(&mut engine);
    assert_eq!((engine.stats().tree_keys, engine.stats().tree_rows), (1, 1));
    engine.close().unwrap();
    assert_eq!(version(&disk), 5);
}

/// Only a read that shows the log's bytes to be gone may say so.
#[test]
fn a_medium_that_cannot_be_read_says_nothing_of_the_log() {
    let (disk, state) = old_disk(46);
    let (error, mut seen) = (IoError::Device(5), Vec::new());
    for nth in 1.. {
        let attempt = disk.copy();
        // redb reads the tree before.
        let mut builder = redb::Database::builder();
        let tree = builder.set_cache_size(1 << 20).create_with_backend(attempt.tree("ns")).unwrap();
        attempt.inject(Fault::for_ever(Calls::Reads, nth, error));
        let opened = Engine::open(Arc::new(attempt.store("ns")), tree, options(), NOW_MS);
        attempt.heal();
        match opened {
            Err(error) => seen.push(error),
            Ok((engine, _)) => {
                check(&engine, &state);
                break;
            }
        }
        check(&fixture::open(&attempt, options()), &state);
    }
    assert!(seen.len() > 5, "{seen:?}");
    let outdated = |error: &&EngineOpenError| matches!(error, EngineOpenError::TreeOutdated { .. });
    assert_eq!(seen.iter().find(outdated), None);
    assert!(seen.contains(&EngineOpenError::Replay(unison_walfs::ReadError::Io(error))));
}

/// The log lost its end: what the checkpoint says was durable is not given out a second time.
#[test]
fn without_the_log_s_end_it_is_refused_too() {
    let (disk, _) = old_disk(46);
    let store = disk.store("ns");
    let mut last = SegmentId::default();
    store.list(&mut |entry| last = last.max(entry.id)).unwrap();
    store.remove(last, SegmentKind::Log).unwrap();
    for _ in 0..2 {
        let refused = fixture::try_open(&disk, options()).unwrap_err();
        assert!(matches!(refused, EngineOpenError::TreeOutdated { checkpoint: Lsn(47), .. }));
        assert_eq!(version(&disk), 1);
    }
}

#[test]
fn without_the_whole_log_it_is_refused_and_nothing_is_changed() {
    let (disk, _) = old_disk(46);
    let second = File::Segment(SegmentId(2), SegmentKind::Log);
    disk.damage("ns", second, Damage::FlipBit { offset: 20_000, bit: 3 }).unwrap();
    for _ in 0..2 {
        let refused = fixture::try_open(&disk, options()).unwrap_err();
        let EngineOpenError::TreeOutdated { checkpoint, missing } = refused else {
            panic!("{refused}")
        };
        assert!(checkpoint == Lsn(47) && missing > Lsn(7) && missing < checkpoint, "{missing}");
        assert_eq!(version(&disk), 1);
    }
    let (disk, _) = old_disk(46);
    disk.store("ns").remove(SegmentId(1), SegmentKind::Log).unwrap();
    let refused = fixture::try_open(&disk, options()).unwrap_err();
    assert_eq!(refused, EngineOpenError::TreeOutdated { checkpoint: Lsn(47), missing: Lsn(1) });
}
