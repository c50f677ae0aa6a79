//! Beside the other log: each opens what the other wrote, and both judge damage alike.

use crate::support::*;
use std::sync::Arc;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::{Bound, Log as LargeLog, LogRole, ReadError, RecoveryReport};

fn large(disk: &CrashDisk, role: LogRole) -> (LargeLog<SimStore>, RecoveryReport) {
    LargeLog::open(Arc::new(disk.store("wal")), options(role), NOW_NS).unwrap()
}

/// Every record that the other log serves.
fn read_large(log: &LargeLog<SimStore>) -> Records {
    let (reader, mut records, mut from) = (log.reader(), Vec::new(), log.first());
    while from <= log.appended() {
        let error = match reader.cursor(from, Bound::Appended) {
            Err(error) => error,
            Ok(mut cursor) => loop {
                match cursor.next() {
                    Ok(Some(record)) => records.push((record.lsn.0, record.payload.to_vec())),
                    Ok(None) => return records,
                    Err(error) => break error,
                }
            },
        };
        let ReadError::Gap { to, .. } = error else { panic!("{error}") };
        from = to.next();
    }
    records
}

fn fill_large(log: &mut LargeLog<SimStore>, count: u64) {
    while log.appended().0 < count {
        let bytes = record(log.next_lsn(), log.durable());
        if log.stage(&bytes).is_err() {
            log.rotate(NOW_NS).unwrap();
            log.stage(&bytes).unwrap();
        }
        log.append_staged().unwrap();
        if log.appended().0.is_multiple_of(5) {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
}

#[test]
fn each_opens_what_the_other_wrote() {
    for role in [LogRole::Leader, LogRole::Follower] {
        let disk = disk();
        with_log(&disk.store("wal"), LogRole::Leader, |log, _| fill(log, 120));
        let (mut log, report) = large(&disk, LogRole::Leader);
        assert_eq!((report.last, report.events.as_slice()), (Lsn(120), [].as_slice()));
        fill_large(&mut log, 200);
        if role == LogRole::Leader {
            // A segment made ahead is part of what the other log leaves behind.
            log.preparation().into_iter().for_each(|work| log.install(work.run()));
        }
        let records = read_large(&log);
        drop(log);
        with_log(&disk.store("wal"), role, |log, report| {
            assert_eq!((log.appended(), report.last), (Lsn(200), Lsn(200)), "{report:?}");
            assert!(read_all(log).0 == records);
            if role == LogRole::Leader {
                fill(log, 260);
            }
        });
        let (log, _) = large(&disk, role);
        assert_eq!(log.appended(), if role == LogRole::Leader { Lsn(260) } else { Lsn(200) });
        assert!(read_large(&log)[..200] == records);
    }
}

#[test]
fn a_log_made_by_both_in_turns_equals_one_made_by_one() {
    let (turns, one) = (disk(), disk());
    fill_large(&mut large(&one, LogRole::Leader).0, 240);
    for count in (40..=240).step_by(40) {
        if count % 80 == 0 {
            // Both say of each record what was durable when it was staged; so the syncs must agree.
            fill_large(&mut large(&turns, LogRole::Leader).0, count);
        } else {
            with_log(&turns.store("wal"), LogRole::Leader, |log, _| {
                while log.appended().0 < count {
                    stage(log);
                    log.append_staged(NOW_NS).unwrap();
                    if log.appended().0.is_multiple_of(5) {
                        log.sync().unwrap();
                    }
                }
                log.sync().unwrap();
            });
        }
    }
    let (turns, one) = (large(&turns, LogRole::Leader).0, large(&one, LogRole::Leader).0);
    let bodies = |records: Records| -> Records {
        records.into_iter().map(|(lsn, bytes)| (lsn, bytes[56..].to_vec())).collect()
    };
    assert_eq!(turns.appended(), one.appended());
    assert!(bodies(read_large(&turns)) == bodies(read_large(&one)));
}

/// Damage of several kinds: bits, zeros, blocks that appear elsewhere, segments that are missing.
fn damage(store: &SimStore, prng: &mut Prng) {
    let id = SegmentId(prng.between(1, 4) as u32);
    if prng.chance(10) {
        // Gone already is as good.
        let _ = store.remove(id, SegmentKind::Log);
        return;
    }
    let Ok(file) = store.open(id, SegmentKind::Log) else { return };
    let at = prng.between(0, SEGMENT_BYTES - 1);
    let length = prng.between(1, 3_000.min(SEGMENT_BYTES - at)) as usize;
    let mut bytes = vec![0; length];
    match prng.between(0, 3) {
        0 => {
            file.read_at(at, &mut bytes[..1]).unwrap();
            bytes[0] ^= 1 << prng.between(0, 7);
            bytes.truncate(1);
        }
        1 => {}
        2 => bytes.fill_with(|| prng.between(0, 255) as u8),
        _ => file.read_at((at / 2) & !7, &mut bytes).unwrap(),
    }
    file.write_at(at & !7, &bytes).unwrap();
}

#[test]
fn both_judge_damage_alike() {
    let written = disk();
    with_log(&written.store("wal"), LogRole::Leader, |log, _| {
        fill(log, 300);
        assert_eq!(log.segments(), 4);
    });
    let mut prng = Prng::new(11);
    let (mut rots, mut torn) = (0, 0);
    for round in 0..400 {
        let role = if round % 2 == 0 { LogRole::Leader } else { LogRole::Follower };
        let ours = written.copy();
        for _ in 0..prng.between(1, 3) {
            damage(&ours.store("wal"), &mut prng);
        }
        let theirs = ours.copy();
        for _ in 0..2 {
            let (log, expected) = large(&theirs, role);
            with_log(&ours.store("wal"), role, |small, report| {
                assert_eq!(report.rungs, expected.rungs, "round {round}");
                assert_eq!(small.appended(), log.appended(), "round {round}: {report:?}");
                let (records, more) = (read_all(small).0, read_large(&log));
                // Proved parts behind damage are served by the other log only.
                let mut rest = more.iter();
                let served = records.iter().all(|record| rest.any(|other| other == record));
                assert!(served, "round {round}: {report:?}");
                if role == LogRole::Follower {
                    assert_eq!(records.len(), more.len(), "round {round}");
                }
                rots += report.rungs.rot_segments;
                torn += report.rungs.torn_tails + report.rungs.lost_tails;
            });
        }
    }
    println!("{rots} segments with rot, {torn} cut tails");
    assert!(rots > 100 && torn > 20);
}
