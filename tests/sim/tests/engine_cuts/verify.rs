//! The checks on a disk after a power cut.

use crate::model::{Content, History, change};
use crate::run::{Expected, open, stage};
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{Engine, RowScanRequest, ScanRequest};
use unison_sim::disk::{CrashDisk, Cut};
use unison_sim::planted::{Bug, PlantedStore};

/// Checks a disk after a cut, without the bug that led there; the newest record that was recovered. Panics when a promise is broken.
pub(crate) fn verify(disk: &CrashDisk, expected: Expected<'_>, prng: &mut Prng) -> Lsn {
    let (engine, report) = open(disk, Bug::None).expect("an engine after a cut");
    let rungs = report.recovery.rungs;
    let taken_for_rot = rungs.rot_segments + rungs.gaps + rungs.stale_segments + rungs.lost_tails;
    assert_eq!((taken_for_rot, report.missing, report.invalid), (0, 0, 0), "{report:?}");
    let recovered = engine.applied();
    let allowed = expected.acknowledged..=expected.appended;
    assert!(allowed.contains(&recovered), "{recovered} recovered, expected {allowed:?}");
    let content = expected.history.content(recovered);
    compare(&engine, &content);
    drop(engine);
    let (engine, _) = open(disk, Bug::None).expect("a second opening");
    assert_eq!(engine.applied(), recovered, "the second opening differs");
    let mut history = expected.history.clone();
    history.truncate(recovered);
    go_on(engine, disk, history, prng);
    recovered
}

/// Every key by scan and by get, and no other; and the same of rows.
fn compare(engine: &Engine<PlantedStore>, content: &Content) {
    let reader = engine.reader();
    let snapshot = reader.snapshot();
    let mut scan = snapshot.scan(ScanRequest::default()).expect("a scan");
    for (key, value) in &content.keys {
        let item = scan.next().expect("a key is missing").expect("a key");
        assert_eq!(&item.key, key);
        assert_eq!(item.value.bytes().expect("a value")[..], value[..]);
        let got = reader.get(key).expect("a get").expect("a key is missing");
        assert_eq!(got.bytes().expect("a value")[..], value[..]);
    }
    assert!(scan.next().is_none(), "a key is there that nobody wrote or somebody deleted");
    compare_rows(engine, content);
    assert_eq!(reader.count().expect("a count"), content.keys.len() as u64);
}

/// Every column by scan and by row, and no other.
fn compare_rows(engine: &Engine<PlantedStore>, content: &Content) {
    let reader = engine.reader();
    let snapshot = reader.snapshot();
    let mut scan = snapshot.rows(RowScanRequest::default()).expect("a scan of rows");
    for (key, columns) in &content.rows {
        let row = snapshot.row(key).expect("a look at a row").expect("a row is missing");
        for (name, value) in columns {
            let cell = scan.next().expect("a column is missing").expect("a column");
            assert_eq!((&cell.row.key, &cell.column.name), (key, name));
            assert_eq!(cell.column.value.bytes().expect("a value")[..], value[..]);
            let got = row.column(name).expect("a look at a column").expect("a column is missing");
            assert_eq!(got.bytes().expect("a value")[..], value[..]);
        }
    }
    assert!(scan.next().is_none(), "a column is there that nobody wrote or somebody deleted");
}

/// Some more records, synced, every second time flushed, and a cut that loses everything else.
fn go_on(
    mut engine: Engine<PlantedStore>,
    disk: &CrashDisk,
    mut history: History,
    prng: &mut Prng,
) {
    for _ in 0..2 {
        let change = change(prng);
        let lsn = stage(&mut engine, &change);
        history.push(change);
        assert_eq!(lsn, history.last(), "an LSN is not dense");
    }
    engine.append(0).expect("an append");
    let durable = engine.synced(engine.sync_ticket().run()).expect("a sync");
    engine.publish(durable);
    if prng.chance(50)
        && let Some(job) = engine.flush_now()
    {
        drop(engine.flushed(job.run()).expect("a flush"));
    }
    drop(engine);
    let left = disk.crash(Cut::LOST, prng);
    let (engine, _) = open(&left, Bug::None).expect("an engine after a second cut");
    assert_eq!(engine.applied(), history.last());
    compare(&engine, &history.content(history.last()));
}
