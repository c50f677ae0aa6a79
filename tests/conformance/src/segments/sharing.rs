//! Several handles, several threads.

use super::{ID, SIZE, entries, entry, pattern, read, written};
use crate::Medium;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use unison_base::SegmentId;
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};

/// One file, however many handles.
pub fn handles_see_each_others_writes<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let first = store.create(ID, SIZE).expect("a creation");
    let second = store.open(ID, SegmentKind::Log).expect("an open");
    first.write_at(0, b"from the first").expect("a write");
    assert_eq!(read(&second, 0, 14), b"from the first");
    second.write_at(100, b"from the second").expect("a write");
    assert_eq!(read(&first, 100, 15), b"from the second");
}

/// Readers keep what they read from, whether or not they have read it yet.
pub fn an_open_handle_outlives_the_removal<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let bytes = pattern(9000, 1);
    let writer = written(&store, ID, &bytes);
    let untouched = store.open(ID, SegmentKind::Log).expect("an open");
    let viewed = store.open(ID, SegmentKind::Log).expect("an open");
    let view = viewed.view(0, bytes.len());
    store.remove(ID, SegmentKind::Log).expect("a removal");
    let look = |file: &<M::Store as SegmentStore>::File| {
        assert!(read(file, 0, bytes.len()) == bytes);
        assert!(file.view(0, bytes.len()).is_none_or(|view| view == bytes));
        file.release(0, SIZE);
        assert!(read(file, 0, bytes.len()) == bytes);
    };
    [&writer, &untouched, &viewed].into_iter().for_each(look);
    let next = written(&store, ID, &pattern(9000, 9));
    [&writer, &untouched, &viewed].into_iter().for_each(look);
    assert!(view.is_none_or(|view| view == bytes));
    assert!(read(&next, 0, 9000) == pattern(9000, 9));
}

/// The writer's own handle goes on writing, and its writes are in the file under its new name.
pub fn an_open_handle_outlives_a_change_of_role<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let bytes = pattern(9000, 1);
    let writer = written(&store, ID, &bytes);
    let untouched = store.open(ID, SegmentKind::Log).expect("an open");
    store.set_kind(ID, SegmentKind::Log, SegmentKind::Values).expect("a change of role");
    drop(written(&store, ID, &pattern(9000, 9)));
    for file in [&writer, &untouched] {
        assert!(read(file, 0, bytes.len()) == bytes);
        assert!(file.view(0, bytes.len()).is_none_or(|view| view == bytes));
    }
    writer.write_at(20_000, b"late").expect("a write through the old handle");
    writer.sync().expect("a sync through the old handle");
    let moved = store.open(ID, SegmentKind::Values).expect("an open");
    assert_eq!(read(&moved, 20_000, 4), b"late");
}

/// A reader below the published offset sees the bytes that were published.
pub fn writers_and_readers_of_other_ranges_do_not_disturb_each_other<M: Medium>() {
    const RECORD: usize = 1000;
    const RECORDS: u64 = SIZE / RECORD as u64;
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    let published = AtomicU64::new(0);
    let look = || {
        while published.load(Ordering::Acquire) < RECORDS {
            let newest = published.load(Ordering::Acquire);
            for number in newest.saturating_sub(3)..newest {
                let (at, expected) = (number * RECORD as u64, pattern(RECORD, number as u8));
                assert!(read(&file, at, RECORD) == expected, "record {number}");
                assert!(file.view(at, RECORD).is_none_or(|view| view == expected));
            }
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(look), scope.spawn(look)];
        for number in 0..RECORDS {
            let bytes = pattern(RECORD, number as u8);
            let written = file.write_at(number * RECORD as u64, &bytes);
            let synced = if number % 8 == 0 { file.sync() } else { Ok(()) };
            // Before anything may panic, so that the readers end.
            published.store(number + 1, Ordering::Release);
            if written.and(synced).is_err() {
                published.store(RECORDS, Ordering::Release);
                panic!("a write or a sync failed");
            }
        }
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
    });
}

/// All methods of a store may be called at once.
pub fn the_store_is_called_from_several_threads<M: Medium>() {
    const EACH: u32 = 8;
    let medium = M::fresh();
    let store = &medium.store();
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..EACH {
                    let id = SegmentId(1 + thread * EACH + number);
                    drop(written(store, id, &id.0.to_le_bytes()));
                    store.list(&mut |_| ()).expect("a list");
                    match number % 3 {
                        0 => store.remove(id, SegmentKind::Log).expect("a removal"),
                        1 => store
                            .set_kind(id, SegmentKind::Log, SegmentKind::Values)
                            .expect("a change of role"),
                        _ => {}
                    }
                }
            });
        }
    });
    let left = |number: u32| match number % EACH % 3 {
        0 => None,
        1 => Some(entry(SegmentId(number + 1), SegmentKind::Values, SIZE)),
        _ => Some(entry(SegmentId(number + 1), SegmentKind::Log, SIZE)),
    };
    let found = entries(store);
    assert_eq!(found, (0..4 * EACH).filter_map(left).collect::<Vec<_>>());
    for entry in found {
        let file = store.open(entry.id, entry.kind).expect("an open");
        assert_eq!(read(&file, 0, 4), entry.id.0.to_le_bytes());
    }
}
