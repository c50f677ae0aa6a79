//! Roles: log, values, aside.

use super::{ID, SIZE, entries, entry, pattern, read, refused, written};
use crate::Medium;
use unison_base::SegmentId;
use unison_ports::SegmentKind::{Aside, Log, Values};
use unison_ports::{IoError, SegmentFile, SegmentStore};

/// The bytes and the size stay; the old name is free.
pub fn a_role_changes_and_the_bytes_stay<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let bytes = pattern(9000, 1);
    drop(written(&store, ID, &bytes));
    for (from, to) in [(Log, Values), (Values, Aside), (Aside, Log)] {
        store.set_kind(ID, from, to).expect("a change of role");
        assert_eq!(entries(&store), [entry(ID, to, SIZE)]);
        let file = store.open(ID, to).expect("an open");
        assert!(read(&file, 0, bytes.len()) == bytes);
        assert_eq!(refused(store.open(ID, from)), IoError::NotFound);
    }
    store.set_kind(ID, Log, Log).expect("a change to the same role");
    assert_eq!(entries(&store), [entry(ID, Log, SIZE)]);
}

/// Three files may have one number.
pub fn the_roles_of_a_number_are_different_files<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    for (seed, to) in [(1, Aside), (2, Values), (3, Log)] {
        drop(written(&store, ID, &pattern(100, seed)));
        store.set_kind(ID, Log, to).expect("a change of role");
    }
    assert_eq!(entries(&store), [Log, Values, Aside].map(|kind| entry(ID, kind, SIZE)));
    for (seed, kind) in [(1, Aside), (2, Values), (3, Log)] {
        let file = store.open(ID, kind).expect("an open");
        assert_eq!(read(&file, 0, 100), pattern(100, seed));
    }
    store.remove(ID, Values).expect("a removal");
    assert_eq!(entries(&store), [Log, Aside].map(|kind| entry(ID, kind, SIZE)));
}

/// Values and evidence do not change any more.
pub fn only_a_segment_of_the_log_is_written<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    for kind in [Values, Aside] {
        drop(written(&store, ID, b"kept"));
        store.set_kind(ID, Log, kind).expect("a change of role");
        let file = store.open(ID, kind).expect("an open");
        assert_eq!(refused(file.write_at(0, b"gone")), IoError::ReadOnly);
        assert_eq!(read(&file, 0, 4), b"kept");
    }
}

/// What was set aside first is not overwritten by what is set aside later.
pub fn a_taken_role_keeps_both_and_the_newer_answers<M: Medium>() {
    for kind in [Aside, Values] {
        let medium = M::fresh();
        let store = medium.store();
        let mut older = Vec::new();
        for seed in 1..5 {
            drop(written(&store, ID, &pattern(100, seed)));
            store.set_kind(ID, Log, kind).expect("a change of role");
            older.push(store.open(ID, kind).expect("an open"));
            for (file, seed) in older.iter().zip(1..) {
                assert_eq!(read(file, 0, 100), pattern(100, seed), "an older one changed");
            }
        }
        assert_eq!(entries(&medium.store()), [entry(ID, kind, SIZE)]);
        let newest = medium.store().open(ID, kind).expect("an open after a restart");
        assert_eq!(read(&newest, 0, 100), pattern(100, 4));
    }
}

/// A number is free again once its segment has another role.
pub fn a_retired_number_can_be_made_again<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    drop(written(&store, SegmentId(1), b"old"));
    store.set_kind(SegmentId(1), Log, Aside).expect("a change of role");
    let file = store.create(SegmentId(1), SIZE).expect("a creation");
    assert_eq!(read(&file, 0, 3), [0; 3]);
    let old = store.open(SegmentId(1), Aside).expect("an open");
    assert_eq!(read(&old, 0, 3), b"old");
}
