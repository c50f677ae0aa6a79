//! What a power cut leaves, and what a full medium refuses.

use super::{ID, SIZE, entries, entry, pattern, read, refused, written};
use crate::Medium;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// A1.
pub fn synced_writes_survive_a_power_cut<M: Medium>() {
    let medium = M::fresh();
    let bytes = pattern(9000, 1);
    let file = written(&medium.store(), ID, &bytes);
    file.write_at(9000, &[0xEE; 5000]).expect("a write that is not synced");
    drop(file);
    let Some(medium) = medium.after_power_cut() else { return };
    let file = medium.store().open(ID, SegmentKind::Log).expect("a segment after the cut");
    assert!(read(&file, 0, 9000) == bytes);
}

/// A1: not only the newest write, and whichever handle wrote.
pub fn every_sync_covers_all_writes_before_it<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let file = store.create(ID, SIZE).expect("a creation");
    let other = store.open(ID, SegmentKind::Log).expect("an open");
    for round in 0..10 {
        for part in 0..4 {
            let (at, writer) = (round * 4000 + part * 1000, [&file, &other][part as usize % 2]);
            writer.write_at(at, &pattern(1000, part as u8)).expect("a write");
        }
        file.sync().expect("a sync");
    }
    drop((file, other, store));
    let Some(medium) = medium.after_power_cut() else { return };
    let file = medium.store().open(ID, SegmentKind::Log).expect("a segment after the cut");
    for at in (0..40_000).step_by(1000) {
        let part = at / 1000 % 4;
        assert!(read(&file, at, 1000) == pattern(1000, part as u8), "the write at {at} is gone");
    }
}

/// Without a power cut nothing is lost, synced or not: the process may come and go.
pub fn a_restart_keeps_everything<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let file = store.create(ID, SIZE).expect("a creation");
    file.write_at(5, b"not synced").expect("a write");
    drop((file, store));
    let file = medium.store().open(ID, SegmentKind::Log).expect("a segment after a restart");
    assert_eq!(read(&file, 5, 10), b"not synced");
    assert_eq!(file.size(), SIZE);
}

/// A5: for each operation, right after it returned; a later one could make an earlier one durable.
pub fn directory_operations_are_durable_when_they_return<M: Medium>() {
    use SegmentKind::{Log, Values};
    const NEW: SegmentId = SegmentId(8);
    let (old, identity) = (entry(ID, Log, SIZE), LogId([9; 16]));
    after::<M>(|_| (), |store| assert_eq!((entries(store), store.log_id()), (vec![old], Ok(None))));
    after::<M>(
        |store| drop(store.create(NEW, SIZE).expect("a creation")),
        |store| assert_eq!(entries(store), [old, entry(NEW, Log, SIZE)]),
    );
    after::<M>(
        |store| store.remove(ID, Log).expect("a removal"),
        |store| assert_eq!(entries(store), []),
    );
    after::<M>(
        |store| store.set_kind(ID, Log, Values).expect("a change of role"),
        |store| {
            assert_eq!(entries(store), [entry(ID, Values, SIZE)]);
            let moved = store.open(ID, Values).expect("the moved segment");
            assert_eq!(read(&moved, 0, 100), pattern(100, 2));
        },
    );
    after::<M>(
        |store| store.set_log_id(identity).expect("an identity"),
        |store| assert_eq!((entries(store), store.log_id()), (vec![old], Ok(Some(identity)))),
    );
}

/// Looks at a store of one segment after one operation and a power cut.
fn after<M: Medium>(operation: impl FnOnce(&M::Store), look: impl FnOnce(&M::Store)) {
    let medium = M::fresh();
    let store = medium.store();
    drop(written(&store, ID, &pattern(100, 2)));
    operation(&store);
    drop(store);
    if let Some(medium) = medium.after_power_cut() {
        look(&medium.store());
    }
}

/// A6: the space of a segment is its own; a refused creation leaves no trace.
pub fn a_full_medium_refuses_creation_and_nothing_else<M: Medium>() {
    let Some(medium) = M::with_room(SIZE + SIZE / 2) else { return };
    let store = medium.store();
    let file = store.create(ID, SIZE).expect("a creation that fits");
    assert_eq!(refused(store.create(SegmentId(8), SIZE)), IoError::NoSpace);
    assert_eq!(entries(&store), [entry(ID, SegmentKind::Log, SIZE)]);
    let bytes = pattern(SIZE as usize, 1);
    file.write_at(0, &bytes).expect("a write into reserved space");
    file.sync().expect("a sync");
    assert!(read(&file, 0, bytes.len()) == bytes);
    drop(file);
    store.remove(ID, SegmentKind::Log).expect("a removal");
    store.create(SegmentId(8), SIZE).expect("a creation after space came back");
}
