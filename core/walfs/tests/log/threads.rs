//! Readers on other threads, while the writer appends, rotates, retires and prepares.

use crate::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use unison_base::Lsn;
use unison_walfs::{Bound, Covered, LogReader, ReadError, RetentionPolicy, Step};

const RECORDS: u64 = 12_000;
const MOST: u64 = 300;

/// Follows the log to its end by records; every record must be the next one and whole.
fn follow<S: unison_ports::SegmentStore>(reader: &LogReader<S>, done: &AtomicBool) -> u64 {
    let mut cursor = reader.cursor(Lsn(1), Bound::Durable).unwrap();
    let mut seen = 0;
    loop {
        let finished = done.load(Ordering::Acquire);
        match cursor.next().unwrap() {
            Some(found) => {
                seen += 1;
                assert_eq!(found.lsn, Lsn(seen));
                assert_eq!(found.payload.len(), 56 + body_bytes(found.lsn, MOST));
            }
            None if finished => return seen,
            None => std::thread::yield_now(),
        }
    }
}

/// Follows by runs.
fn follow_runs<S: unison_ports::SegmentStore>(reader: &LogReader<S>, done: &AtomicBool) -> u64 {
    let mut cursor = reader.cursor(Lsn(1), Bound::Appended).unwrap();
    let mut seen = 0;
    loop {
        let finished = done.load(Ordering::Acquire);
        match cursor.next_run(20_000).unwrap() {
            Some(Step::Run { first, count, .. }) => {
                assert_eq!(first, Lsn(seen + 1));
                seen += u64::from(count);
            }
            Some(Step::Seal { .. }) => {}
            None if finished => return seen,
            None => std::thread::yield_now(),
        }
    }
}

/// Looks up records that were announced; those that retention took may be gone.
fn look_up<S: unison_ports::SegmentStore>(reader: &LogReader<S>, done: &AtomicBool) -> u64 {
    let mut prng = unison_base::prng::Prng::new(3);
    let mut found = 0;
    while !done.load(Ordering::Acquire) {
        let (first, last) = (reader.first(), reader.appended());
        if last < first {
            continue;
        }
        let lsn = Lsn(prng.between(first.0, last.0));
        match reader.locate(lsn) {
            Ok(_) => found += 1,
            Err(ReadError::BehindRetention { first: now }) => assert!(now > lsn),
            Err(ReadError::Io(unison_ports::IoError::NotFound)) => assert!(reader.first() > lsn),
            Err(error) => panic!("{lsn}: {error}"),
        }
    }
    found
}

#[test]
fn readers_see_every_record_in_order_while_the_log_moves() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    let done = Arc::new(AtomicBool::new(false));
    let looked_up = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let readers = [log.reader(), log.reader(), log.reader()];
        let [first, second, third] = readers;
        let (done, looked_up) = (&done, &looked_up);
        let one = scope.spawn(move || follow(&first, done));
        let two = scope.spawn(move || follow_runs(&second, done));
        scope.spawn(move || looked_up.store(look_up(&third, done), Ordering::Relaxed));
        while log.appended().0 < RECORDS {
            for _ in 0..16 {
                stage(&mut log, MOST);
            }
            log.append_staged().unwrap();
            let ticket = log.sync_ticket();
            let outcome = scope.spawn(|| ticket.run()).join().unwrap();
            log.completed(outcome).unwrap();
            if let Some(preparation) = log.preparation() {
                log.install(preparation.run());
                let covered = Covered {
                    checkpoint: Lsn(log.appended().0 / 2),
                    transactions: None,
                    followers: None,
                    follower_quota_bytes: None,
                };
                log.retire(covered, RetentionPolicy::default(), &mut |_| false).unwrap();
            }
        }
        done.store(true, Ordering::Release);
        assert_eq!((one.join().unwrap(), two.join().unwrap()), (RECORDS, RECORDS));
    });
    println!("{RECORDS} records, {} lookups beside", looked_up.load(Ordering::Relaxed));
}
