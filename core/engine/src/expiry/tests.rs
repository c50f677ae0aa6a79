//! Times, their index, and what is due.

use super::{Due, Expiry, index_end, index_start, indexed, put_index_key};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use unison_base::prng::Prng;

fn index_key(expiry: Expiry, key: &[u8]) -> Vec<u8> {
    let mut index_key = Vec::new();
    put_index_key(&mut index_key, expiry, key);
    index_key
}

#[test]
fn never_is_never_past() {
    assert!(!Expiry::NEVER.is_past(u64::MAX) && !Expiry::NEVER.is_set());
    assert!(Expiry(5).is_past(5) && Expiry(5).is_past(6) && !Expiry(5).is_past(4));
}

#[test]
fn the_index_is_in_the_order_of_time_and_gives_back_what_it_was_given() {
    let (early, late) = (index_key(Expiry(255), b"\xFEz"), index_key(Expiry(256), b"\xFEa"));
    assert!(index_start(255).as_slice() < early.as_slice() && early < late);
    assert!(index_end(255).as_slice() < late.as_slice() && late.as_slice() < &index_end(256));
    assert!(index_start(u64::MAX) < index_end(u64::MAX));
    assert_eq!(indexed(&early), Some((Expiry(255), b"\xFEz".as_slice())));
    assert_eq!(indexed(&late[..9]), Some((Expiry(256), b"".as_slice())));
    assert_eq!(indexed(&late[..8]), None);
    assert_eq!(indexed(b"\xFE12345678key"), None);
}

#[test]
fn what_is_due_is_never_said_too_late() {
    let mut prng = Prng::new(1);
    for _ in 0..20 {
        let (mut due, mut model, mut watermark) = (Due::new(), BTreeSet::new(), 0);
        for _ in 0..10_000 {
            if prng.chance(95) {
                let reach = 1 << prng.below(40);
                let ms = watermark + 1 + prng.below(reach);
                due.add(ms);
                model.insert(ms);
            } else {
                let reach = 1 << prng.below(20);
                watermark += prng.below(reach);
                due.pass(watermark);
                model = model.split_off(&(watermark + 1));
            }
            match (due.next(watermark), model.first()) {
                (Some(next), Some(&earliest)) => assert!(watermark < next && next <= earliest),
                (None, Some(earliest)) => panic!("{earliest} is due and not known"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_few_times_are_known_exactly_and_forgotten_when_they_are_over() {
    let mut due = Due::new();
    for ms in [30, 10, 20] {
        due.add(ms);
    }
    assert_eq!(due.next(0), Some(10));
    due.pass(10);
    assert_eq!(due.next(10), Some(20));
    due.pass(1_000);
    assert_eq!(due.next(1_000), None);
}
