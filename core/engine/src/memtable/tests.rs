//! The memtable against an ordered map of versions.

use super::arena::{Arena, NewEntry};
use super::{Direction, Entry, INDEX_BYTES, Location, Memtable, MemtableCursor, StorageKey};
use crate::expiry::Expiry;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Bound;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};

#[test]
fn an_entry_always_has_a_place_while_memory_may_grow() {
    let expiring = Entry::Value(Location::default(), Expiry(1));
    let longest = super::arena::entry_words(super::STORAGE_KEY_MAX, &expiring);
    let mut prng = Prng::new(1);
    for sizes in [[longest, longest], [longest - 1, 10], [longest, 1 << 13]] {
        let (mut end, mut bytes) = (0_u32, 0);
        while bytes < super::MEMTABLE_BYTES_END as u64 {
            let words = sizes[usize::from(prng.chance(1))];
            let word = super::arena::place(end, words).expect("a place");
            end = word + words;
            bytes += u64::from(words) * 4;
        }
    }
}

type Model = BTreeMap<(Vec<u8>, Reverse<Lsn>), Entry>;

fn entry(lsn: u64) -> Entry {
    let number = u32::try_from(lsn).unwrap();
    let location = Location { segment: SegmentId(1), offset: number, length: 1, crc: number };
    let expiry = Expiry(if lsn.is_multiple_of(3) { lsn << 33 | lsn } else { 0 });
    if lsn.is_multiple_of(5) { Entry::Tombstone } else { Entry::Value(location, expiry) }
}

fn filled(versions: u64, prng: &mut Prng) -> (Memtable, Model) {
    let (memtable, mut model) = (Memtable::new(0), Model::new());
    for lsn in 1..=versions {
        let key = vec![
            u8::try_from(prng.below(12)).unwrap();
            1 + usize::try_from(prng.below(2)).unwrap() * 30
        ];
        memtable.insert(&key, Lsn(lsn), entry(lsn));
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

fn scanned(
    memtable: &Memtable,
    start: Bound<&[u8]>,
    lsn: Lsn,
    direction: Direction,
) -> Vec<(Vec<u8>, Lsn, Entry)> {
    let mut cursor = MemtableCursor::new(memtable, start, lsn, direction);
    core::iter::from_fn(|| cursor.next())
        .map(|version| (version.key.as_bytes().to_vec(), version.lsn, version.entry))
        .collect()
}

#[test]
fn both_directions_show_the_visible_versions() {
    let mut prng = Prng::new(1);
    for round in 0..300 {
        let versions = if round % 30 == 0 { 5_000 } else { prng.below(90) };
        let (memtable, model) = filled(versions, &mut prng);
        let lsn = Lsn(prng.below(versions + 5));
        let mut expected = visible(&model, lsn);
        let all = Bound::Unbounded;
        assert_eq!(scanned(&memtable, all, lsn, Direction::Forward), expected, "round {round}");
        expected.reverse();
        assert_eq!(scanned(&memtable, all, lsn, Direction::Backward), expected, "round {round}");
    }
}

#[test]
fn a_cursor_begins_where_it_is_told() {
    let mut prng = Prng::new(2);
    for _ in 0..400 {
        let (memtable, model) = filled(100, &mut prng);
        let key = vec![u8::try_from(prng.below(13)).unwrap(); 1];
        let lsn = Lsn(prng.below(105));
        let expected = visible(&model, lsn);
        let check = |start, direction, keep: &dyn Fn(&[u8]) -> bool| {
            let mut found = scanned(&memtable, start, lsn, direction);
            if direction == Direction::Backward {
                found.reverse();
            }
            let kept: Vec<_> = expected.iter().filter(|(key, _, _)| keep(key)).cloned().collect();
            assert_eq!(found, kept);
        };
        let (included, excluded) = (Bound::Included(&key[..]), Bound::Excluded(&key[..]));
        check(included, Direction::Forward, &|other| other >= key.as_slice());
        check(excluded, Direction::Forward, &|other| other > key.as_slice());
        check(included, Direction::Backward, &|other| other <= key.as_slice());
        check(excluded, Direction::Backward, &|other| other < key.as_slice());
    }
}

#[test]
fn many_keys_of_all_lengths_are_found_and_in_order() {
    let mut prng = Prng::new(6);
    let (memtable, mut model) = (Memtable::new(0), BTreeMap::new());
    for lsn in 1..=30_000_u64 {
        let mut key = vec![0; usize::try_from(prng.below(40)).unwrap()];
        prng.fill(&mut key);
        // Few different bytes make many shared beginnings, zeros at the end among them.
        key.iter_mut().for_each(|byte| *byte = *byte % 3 * 127);
        memtable.insert(&key, Lsn(lsn), entry(lsn));
        model.insert(key, (Lsn(lsn), entry(lsn)));
    }
    for (key, newest) in &model {
        assert_eq!(memtable.find(key, Lsn::MAX), Some(*newest));
    }
    let expected: Vec<_> = model.into_iter().map(|(key, (lsn, entry))| (key, lsn, entry)).collect();
    assert_eq!(scanned(&memtable, Bound::Unbounded, Lsn::MAX, Direction::Forward), expected);
}

#[test]
fn keys_as_long_as_they_may_be_fit() {
    let memtable = Memtable::new(0);
    let long = |byte: u8| vec![byte; super::STORAGE_KEY_MAX];
    for number in 0..40 {
        memtable.insert(&long(number), Lsn(1), entry(u64::from(number)));
        memtable.insert(&[number], Lsn(1), entry(u64::from(number)));
    }
    for number in 0..40 {
        assert_eq!(memtable.find(&long(number), Lsn(1)), Some((Lsn(1), entry(u64::from(number)))));
        assert_eq!(memtable.find(&[number], Lsn(1)), Some((Lsn(1), entry(u64::from(number)))));
    }
}

#[test]
fn find_sees_the_newest_version_at_its_lsn() {
    let mut prng = Prng::new(3);
    let (memtable, model) = filled(200, &mut prng);
    for lsn in 0..=201 {
        let expected = visible(&model, Lsn(lsn));
        for (key, at, entry) in &expected {
            assert_eq!(memtable.find(key, Lsn(lsn)), Some((*at, *entry)));
        }
    }
    assert_eq!(memtable.find(b"absent", Lsn::MAX), None);
}

#[test]
fn what_a_failed_append_left_is_taken_out_again() {
    let mut prng = Prng::new(4);
    let (memtable, model) = filled(100, &mut prng);
    memtable.remove_above(Lsn(60));
    assert_eq!(
        scanned(&memtable, Bound::Unbounded, Lsn::MAX, Direction::Forward),
        visible(&model, Lsn(60))
    );
    // The LSNs are given out again.
    memtable.insert(b"again", Lsn(61), entry(61));
    assert_eq!(memtable.find(b"again", Lsn(61)), Some((Lsn(61), entry(61))));
    let copy = Memtable::new(0);
    memtable.copy_up_to(Lsn(30), &copy);
    assert_eq!(
        scanned(&copy, Bound::Unbounded, Lsn::MAX, Direction::Forward),
        visible(&model, Lsn(30))
    );
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

/// The table's hash keeps keys apart almost always, so this asks the entries themselves.
#[test]
fn an_entry_knows_its_own_key_from_every_other() {
    let (mut arena, mut keys) = (Arena::default(), Vec::new());
    arena.grow();
    for length in 0..=9 {
        let key: Vec<u8> = (1..=length).collect();
        let others = (0..key.len()).map(|at| {
            let mut other = key.clone();
            other[at] = 0;
            other
        });
        keys.extend(others.chain([key.clone()]));
    }
    let words: Vec<u32> = (0..).step_by(16).take(keys.len()).collect();
    for (&word, key) in words.iter().zip(&keys) {
        let new = NewEntry { key, hash: 0, older: 0, lsn: Lsn(1), entry: entry(1) };
        arena.write(word, &new);
    }
    let mut copy = Vec::new();
    for (&word, own) in words.iter().zip(&keys) {
        let entry = arena.entry(word).expect("written");
        entry.copy_key(&mut copy);
        assert_eq!(&copy, own);
        for key in &keys {
            assert_eq!(entry.has_key(key), key == own, "{own:?} and {key:?}");
        }
    }
}

#[test]
fn memory_is_counted_near_the_truth() {
    let memtable = Memtable::new(0);
    for lsn in 1..=1_000_u64 {
        memtable.insert(&lsn.to_be_bytes(), Lsn(lsn), Entry::Tombstone);
    }
    let entry = 9 * 4 + 8;
    assert_eq!(memtable.bytes(), 1_000 * (entry + INDEX_BYTES));
}

#[test]
fn what_is_not_full_yet_counts_as_taken() {
    let memtable = Memtable::new(0);
    memtable.insert(b"one", Lsn(1), Entry::Tombstone);
    assert!(memtable.memory() >= 4 << 10, "the first chunk of the arena");
    for lsn in 2..=20_000_u64 {
        memtable.insert(&lsn.to_be_bytes(), Lsn(lsn), Entry::Tombstone);
        let entries = usize::try_from(lsn).unwrap() * (9 * 4 + 8 + 24 + 2 * size_of::<usize>());
        assert!(memtable.memory() + 4 * (9 + 2) >= entries, "{lsn}");
    }
    assert!(memtable.memory() <= 2 * memtable.bytes());
}
