//! The tape of a hub, played in pieces of any size, with openings in between.

use crate::hub::{Hub, record};
use crate::image::Image;
use crate::plan::{NAMESPACE, SLOT_BYTES, SLOTS, TAIL, TAIL_SEGMENTS};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_cortex_m::medium::{Medium, Store};
use unison_cortex_m::record::{Kind, decode};
use unison_cortex_m::{Buffers, KEYS_MAX, LastValues, RUN_BYTES, Tail, Told, VALUE_BYTES_MAX};
use unison_walfs::Bound;

type Copy<'m> = Tail<'m, Store<Image, SLOTS>, TAIL_SEGMENTS>;

fn tape() -> &'static [u8] {
    static TAPE: OnceLock<Vec<u8>> = OnceLock::new();
    TAPE.get_or_init(make_tape)
}

fn make_tape() -> Vec<u8> {
    let path = std::env::temp_dir().join(format!("unison-tape-{}", std::process::id()));
    record(path.to_str().unwrap()).unwrap();
    let tape = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    tape
}

fn store() -> Store<Image, SLOTS> {
    let medium = Medium::mount(Image::of(Vec::new()), SLOT_BYTES).unwrap();
    Box::leak(Box::new(medium)).volume(TAIL).unwrap()
}

/// Opens the copy, and lets `work` have it.
fn with_tail<T>(store: &Store<Image, SLOTS>, work: impl FnOnce(&mut Copy<'_>) -> T) -> T {
    let (mut inbox, mut group) = ([0; Buffers::INBOX_BYTES], [0; Buffers::GROUP_BYTES]);
    let (mut frame, mut values) = ([0; Buffers::GROUP_BYTES], LastValues::new());
    let (inbox, group, frame, values) = (&mut inbox, &mut group, &mut frame, &mut values);
    let buffers = Buffers { inbox, group, frame, values };
    let (mut tail, report) = Copy::open(store, NAMESPACE, buffers, 1, 0).unwrap();
    assert!(report.events.iter().all(|event| event.rung == unison_walfs::Rung::SealedNewest));
    work(&mut tail)
}

/// Plays the tape until `most` bytes were played, in pieces.
fn play(tail: &mut Copy<'_>, tape: &[u8], most: usize, prng: &mut Prng) -> Vec<Told> {
    let (mut told, mut out) = (Vec::new(), [0; unison_link::TRANSMIT_BYTES_MIN]);
    tail.link().connected(0);
    let mut left = &tape[..most.min(tape.len())];
    while !left.is_empty() {
        while tail.link().poll_transmit(0, &mut out) > 0 {}
        let piece = (prng.between(1, 3_000) as usize).min(left.len());
        let taken = tail.link().handle_bytes(&left[..piece], 0);
        left = &left[taken..];
        tail.step(0, &mut |event| told.push(event)).unwrap();
    }
    told
}

/// What a table that had room for everything would hold.
fn last_values() -> BTreeMap<Vec<u8>, (Lsn, Vec<u8>)> {
    let hub = Hub::new().unwrap();
    let mut cursor = hub.engine.log().cursor(Lsn(1), Bound::Appended).unwrap();
    let mut values = BTreeMap::new();
    while let Some(record) = cursor.next().unwrap() {
        let decoded = decode(&record.payload).unwrap();
        for entry in decoded.entries() {
            let key = entry.key[1..].to_vec();
            match decoded.kind {
                Kind::Put => drop(values.insert(key, (record.lsn, entry.value.to_vec()))),
                _ => drop(values.remove(&key)),
            }
        }
    }
    values
}

#[test]
fn a_tape_in_pieces_with_openings_in_between_leaves_the_hubs_records_and_values() {
    let (tape, expected) = (tape(), last_values());
    let mut prng = Prng::new(3);
    for round in 0..12 {
        let store = store();
        for _ in 0..round {
            let most = prng.between(0, tape.len() as u64) as usize;
            with_tail(&store, |tail| play(tail, tape, most, &mut prng));
        }
        with_tail(&store, |tail| {
            assert_eq!(play(tail, tape, tape.len(), &mut prng), [Told::Serving]);
            assert_eq!(tail.log().durable(), Lsn(2_000));
            assert_eq!(tail.lag(0).unwrap().records_behind, 0);
            assert_eq!(tail.values().len(), KEYS_MAX);
            let mut found = 0;
            for (key, (lsn, value)) in &expected {
                let Some(last) = tail.values().get(key) else { continue };
                assert_eq!((last.lsn, last.length as usize), (*lsn, value.len()));
                assert_eq!(last.bytes, value[..value.len().min(VALUE_BYTES_MAX)]);
                found += 1;
            }
            assert_eq!(found, KEYS_MAX, "no key is left that the hub has not");
        });
    }
}

#[test]
fn a_flipped_bit_on_the_line_never_reaches_the_log() {
    let (tape, hub) = (tape(), Hub::new().unwrap());
    let mut prng = Prng::new(8);
    let mut refused = 0;
    for _ in 0..150 {
        let store = store();
        let mut damaged = tape[..60_000].to_vec();
        let at = prng.between(0, damaged.len() as u64 - 1) as usize;
        damaged[at] ^= 1 << prng.between(0, 7);
        let told = with_tail(&store, |tail| play(tail, &damaged, damaged.len(), &mut prng));
        refused += usize::from(told != [Told::Serving]);
        with_tail(&store, |tail| {
            play(tail, tape, 100_000, &mut prng);
            let mut cursor = hub.engine.log().cursor(Lsn(1), Bound::Appended).unwrap();
            let (mut count, mut frame) = (0, [0; RUN_BYTES]);
            let show = &mut |record: unison_walfs::SmallRecord<'_>| {
                let expected = cursor.next().unwrap().unwrap();
                assert_eq!(record.lsn, expected.lsn);
                assert!(*record.payload == expected.payload[..], "record {}", record.lsn);
                count += 1;
            };
            tail.log().visit(Lsn(1), &mut frame, show).unwrap();
            assert!(count > 0 && tail.log().durable() == Lsn(count), "{count} records");
        });
    }
    assert!(refused > 100, "{refused} of 150 noticed");
}
