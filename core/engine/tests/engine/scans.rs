//! Scans in pages, over memory and tree.

use crate::fixture::{self, commit, flush, options, put, scan};
use std::ops::Bound;
use unison_engine::{EngineOptions, ScanRequest};

fn filled() -> (unison_sim::disk::CrashDisk, fixture::Sim) {
    let (disk, mut engine) = fixture::new(EngineOptions { memtable_bytes: 1 << 20, ..options() });
    for number in (0..1_000_u16).step_by(2) {
        put(&mut engine, &number.to_be_bytes(), b"tree");
    }
    commit(&mut engine);
    flush(&mut engine);
    for number in (0..1_000_u16).step_by(3) {
        put(&mut engine, &number.to_be_bytes(), b"memory");
    }
    for number in (0..1_000_u16).step_by(7) {
        fixture::delete(&mut engine, &number.to_be_bytes());
    }
    commit(&mut engine);
    (disk, engine)
}

fn expected() -> Vec<(u16, &'static [u8])> {
    let there = (0..1_000).filter(|number| number % 7 != 0);
    let there = there.filter(|number| number % 2 == 0 || number % 3 == 0);
    there.map(|number| (number, if number % 3 == 0 { &b"memory"[..] } else { b"tree" })).collect()
}

fn numbers(pairs: &fixture::Pairs) -> Vec<(u16, &[u8])> {
    let number = |key: &[u8]| u16::from_be_bytes(key.try_into().unwrap());
    pairs.iter().map(|(key, value, _)| (number(key), value.as_slice())).collect()
}

#[test]
fn pages_put_together_are_the_whole() {
    let (_disk, engine) = filled();
    for page in [1, 7, 16, 100, 2_000] {
        let mut pairs = fixture::Pairs::new();
        loop {
            let last = pairs.last().map(|(key, _, _)| key.clone());
            let start = last.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
            // Each page from a snapshot of its own, as a client with a cursor does it.
            let snapshot = engine.reader().snapshot();
            let request = ScanRequest { start, ..ScanRequest::default() };
            let items = snapshot.scan(request).unwrap().take(page);
            let before = pairs.len();
            pairs.extend(items.map(|item| {
                let item = item.unwrap();
                (item.key, item.value.bytes().unwrap().to_vec(), item.lsn)
            }));
            if pairs.len() == before {
                break;
            }
        }
        assert_eq!(numbers(&pairs), expected());
    }
}

#[test]
fn backwards_is_the_same_turned_around() {
    let (_disk, engine) = filled();
    let snapshot = engine.reader().snapshot();
    let mut pairs = scan(&snapshot, ScanRequest { reverse: true, ..ScanRequest::default() });
    pairs.reverse();
    assert_eq!(numbers(&pairs), expected());
}

#[test]
fn bounds_that_exclude_each_other_yield_nothing() {
    let (_disk, engine) = filled();
    let snapshot = engine.reader().snapshot();
    let (low, high) = ([0, 10], [0, 20]);
    let empty = [
        (Bound::Included(&high[..]), Bound::Included(&low[..])),
        (Bound::Excluded(&low[..]), Bound::Excluded(&low[..])),
        (Bound::Included(&low[..]), Bound::Excluded(&low[..])),
    ];
    for (start, end) in empty {
        for reverse in [false, true] {
            let request = ScanRequest { start, end, reverse, ..ScanRequest::default() };
            assert_eq!(scan(&snapshot, request), []);
        }
    }
}
