//! The memtable against an ordered map of versions.

use super::{Direction, Entry, Location, Memtable, StorageKey, Version, VersionedKey};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Bound;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};

type Model = BTreeMap<(Vec<u8>, Reverse<Lsn>), Entry>;

fn entry(lsn: u64) -> Entry {
    let number = u32::try_from(lsn).unwrap();
    let location = Location { segment: SegmentId(1), offset: number, length: 1, crc: number };
    if lsn.is_multiple_of(5) { Entry::Tombstone } else { Entry::Value(location) }
}

fn filled(versions: u64, prng: &mut Prng) -> (Memtable, Model) {
    let (memtable, mut model) = (Memtable::new(), Model::new());
    for lsn in 1..=versions {
        let key = vec![
            u8::try_from(prng.below(12)).unwrap();
            1 + usize::try_from(prng.below(2)).unwrap() * 30
        ];
        let versioned = VersionedKey { key: StorageKey::from_storage(&key), lsn: Lsn(lsn) };
        memtable.insert(versioned, entry(lsn));
        model.insert((key, Reverse(Lsn(lsn))), entry(lsn));
    }
    (memtable, model)
}

/// The visible version of every key.
fn visible(model: &Model, lsn: Lsn) -> Vec<(Vec<u8>, Lsn, Entry)> {
    let mut keys: Vec<(Vec<u8>, Lsn, Entry)> = Vec::new();
    for ((key, Reverse(at)), &entry) in model {
        let known = keys.last().is_some_and(|(last, _, _)| last == key);
        if *at <= lsn && !known {
            keys.push((key.clone(), *at, entry));
        }
    }
    keys
}

fn all_pages(memtable: &Memtable, lsn: Lsn, direction: Direction, limit: usize) -> Vec<Version> {
    let (mut all, mut page) = (Vec::new(), Vec::new());
    let mut start = Bound::Unbounded;
    loop {
        memtable.page(start.as_ref(), lsn, direction, limit, &mut page);
        let ended = page.len() < limit;
        if let Some(last) = page.last() {
            start = Bound::Excluded(last.key.clone());
        }
        all.append(&mut page);
        if ended {
            return all;
        }
    }
}

fn plain(versions: Vec<Version>) -> Vec<(Vec<u8>, Lsn, Entry)> {
    versions.into_iter().map(|v| (v.key.as_bytes().to_vec(), v.lsn, v.entry)).collect()
}

#[test]
fn pages_in_both_directions_are_the_visible_versions() {
    let mut prng = Prng::new(1);
    for round in 0..400 {
        let (memtable, model) = filled(prng.below(60), &mut prng);
        let lsn = Lsn(prng.below(65));
        let limit = 1 + usize::try_from(prng.below(20)).unwrap();
        let mut expected = visible(&model, lsn);
        let forward = plain(all_pages(&memtable, lsn, Direction::Forward, limit));
        assert_eq!(forward, expected, "round {round}");
        expected.reverse();
        let backward = plain(all_pages(&memtable, lsn, Direction::Backward, limit));
        assert_eq!(backward, expected, "round {round}");
    }
}

#[test]
fn a_page_begins_where_it_is_told() {
    let mut prng = Prng::new(2);
    for _ in 0..400 {
        let (memtable, model) = filled(40, &mut prng);
        let key = vec![u8::try_from(prng.below(13)).unwrap(); 1];
        let stored = StorageKey::from_storage(&key);
        let lsn = Lsn(prng.below(45));
        let expected = visible(&model, lsn);
        let mut page = Vec::new();
        let mut check = |start, direction, keep: &dyn Fn(&[u8]) -> bool| {
            memtable.page(start, lsn, direction, 100, &mut page);
            let mut found = plain(core::mem::take(&mut page));
            if direction == Direction::Backward {
                found.reverse();
            }
            let kept: Vec<_> = expected.iter().filter(|(key, _, _)| keep(key)).cloned().collect();
            assert_eq!(found, kept);
        };
        let included = Bound::Included(&stored);
        let excluded = Bound::Excluded(&stored);
        check(included, Direction::Forward, &|other| other >= key.as_slice());
        check(excluded, Direction::Forward, &|other| other > key.as_slice());
        check(included, Direction::Backward, &|other| other <= key.as_slice());
        check(excluded, Direction::Backward, &|other| other < key.as_slice());
    }
}

#[test]
fn find_sees_the_newest_version_at_its_lsn() {
    let mut prng = Prng::new(3);
    let (memtable, model) = filled(200, &mut prng);
    for lsn in 0..=201 {
        let expected = visible(&model, Lsn(lsn));
        for (key, at, entry) in &expected {
            let probe = VersionedKey { key: StorageKey::from_storage(key), lsn: Lsn(lsn) };
            assert_eq!(memtable.find(&probe), Some((*at, *entry)));
        }
    }
    let absent = VersionedKey { key: StorageKey::from_storage(b"absent"), lsn: Lsn::MAX };
    assert_eq!(memtable.find(&absent), None);
}

#[test]
fn what_a_failed_append_left_is_taken_out_again() {
    let mut prng = Prng::new(4);
    let (memtable, model) = filled(100, &mut prng);
    memtable.remove_above(Lsn(60));
    assert_eq!(
        plain(all_pages(&memtable, Lsn::MAX, Direction::Forward, 7)),
        visible(&model, Lsn(60))
    );
    // The LSNs are given out again.
    let again = VersionedKey { key: StorageKey::from_storage(b"again"), lsn: Lsn(61) };
    memtable.insert(again.clone(), entry(61));
    assert_eq!(memtable.find(&again), Some((Lsn(61), entry(61))));
}

#[test]
fn keys_of_every_length_come_back() {
    for length in [0, 1, 20, 21, 22, 23, 100, 4_096] {
        let user = vec![7; length];
        let stored = [&[0xFE], user.as_slice()].concat();
        assert_eq!(StorageKey::prefixed(0xFE, &user).as_bytes(), stored);
        assert_eq!(StorageKey::from_storage(&stored).as_bytes(), stored);
    }
}

#[test]
fn memory_is_counted_near_the_truth() {
    let memtable = Memtable::new();
    for lsn in 1..=1_000_u64 {
        let key = StorageKey::from_storage(&lsn.to_be_bytes());
        memtable.insert(VersionedKey { key, lsn: Lsn(lsn) }, Entry::Tombstone);
    }
    assert_eq!(memtable.bytes(), 1_000 * super::NODE_BYTES);
    memtable.remove_above(Lsn(400));
    assert_eq!(memtable.bytes(), 400 * super::NODE_BYTES);
}
