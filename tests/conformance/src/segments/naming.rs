//! Which segments there are.

use super::{ID, SIZE, entries, entry, pattern, read, refused, written};
use crate::Medium;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// Every segment, each role of it once, with its size.
pub fn segments_are_listed_once_each<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    assert_eq!(entries(&store), []);
    for (id, size) in [(3, SIZE), (1, 2 * SIZE), (2, 3 * SIZE)] {
        store.create(SegmentId(id), size).expect("a creation");
    }
    store.set_kind(SegmentId(1), SegmentKind::Log, SegmentKind::Aside).expect("a change of role");
    store.set_log_id(LogId([1; 16])).expect("an identity");
    let expected = [
        entry(SegmentId(1), SegmentKind::Aside, 2 * SIZE),
        entry(SegmentId(2), SegmentKind::Log, 3 * SIZE),
        entry(SegmentId(3), SegmentKind::Log, SIZE),
    ];
    assert_eq!(entries(&store), expected);
    assert_eq!(entries(&medium.store()), expected, "another handle sees others");
}

/// Numbers are not limited to nine digits.
pub fn the_number_of_a_segment_may_be_any<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let ids = [1, 10, 999_999_999, 1_000_000_000, u32::MAX].map(SegmentId);
    for id in ids {
        drop(written(&store, id, &id.0.to_le_bytes()));
    }
    assert_eq!(entries(&store), ids.map(|id| entry(id, SegmentKind::Log, SIZE)));
    for id in ids {
        let file = store.open(id, SegmentKind::Log).expect("an open");
        assert_eq!(read(&file, 0, 4), id.0.to_le_bytes());
    }
}

/// One byte makes a segment worth keeping, wherever it is.
pub fn an_existing_segment_is_not_made_again<M: Medium>() {
    for at in [0, 4095, SIZE - 1] {
        let medium = M::fresh();
        let store = medium.store();
        let file = store.create(ID, SIZE).expect("a creation");
        file.write_at(at, &[1]).expect("a write");
        file.sync().expect("a sync");
        assert_eq!(refused(store.create(ID, SIZE)), IoError::Exists);
        assert_eq!(read(&file, at, 1), [1]);
    }
}

/// A5: zeros of any length, none included, are what a cut-off creation leaves.
pub fn a_leftover_of_a_creation_is_replaced<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    store.create(ID, 2 * SIZE).expect("a creation");
    assert_eq!(store.create(ID, SIZE).expect("a second creation").size(), SIZE);
    medium.leave_empty_segment(SegmentId(8));
    let listed = entries(&store);
    assert_eq!(listed.last(), Some(&entry(SegmentId(8), SegmentKind::Log, 0)));
    let empty = store.open(SegmentId(8), SegmentKind::Log).expect("an open of an empty file");
    assert_eq!(empty.size(), 0);
    assert_eq!(refused(empty.read_at(0, &mut [0])), IoError::OutOfBounds);
    assert_eq!(empty.view(0, 1), None);
    drop(empty);
    let file = store.create(SegmentId(8), SIZE).expect("a creation over an empty file");
    assert_eq!(read(&file, 0, SIZE as usize), vec![0; SIZE as usize]);
    let both = [ID, SegmentId(8)].map(|id| entry(id, SegmentKind::Log, SIZE));
    assert_eq!(entries(&store), both);
}

/// A missing segment is an error of its own, in every call that names one.
pub fn what_is_not_there_is_not_found<M: Medium>() {
    use SegmentKind::{Aside, Log, Values};
    let medium = M::fresh();
    let store = medium.store();
    drop(written(&store, ID, b"x"));
    for (id, kind) in [(SegmentId(8), Log), (ID, Values), (ID, Aside)] {
        assert_eq!(refused(store.open(id, kind)), IoError::NotFound);
        assert_eq!(refused(store.remove(id, kind)), IoError::NotFound);
        assert_eq!(refused(store.set_kind(id, kind, Aside)), IoError::NotFound);
    }
    store.remove(ID, Log).expect("a removal");
    assert_eq!(refused(store.open(ID, Log)), IoError::NotFound);
    assert_eq!(refused(store.remove(ID, Log)), IoError::NotFound);
    assert_eq!(entries(&store), []);
}

/// Size is a property of the file, never of today's configuration.
pub fn opening_changes_no_size<M: Medium>() {
    let medium = M::fresh();
    for (id, size) in [(1, 512), (2, SIZE), (3, 16 * SIZE)] {
        let id = SegmentId(id);
        medium.store().create(id, size).expect("a creation").write_at(0, b"x").expect("a write");
        let file = medium.store().open(id, SegmentKind::Log).expect("an open");
        assert_eq!(file.size(), size);
        file.write_at(size - 1, b"y").expect("a write of the last byte");
        assert_eq!(entries(&medium.store()).last(), Some(&entry(id, SegmentKind::Log, size)));
    }
}

/// The identity is none at first, then the last one stored.
pub fn the_identity_is_kept<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    assert_eq!(store.log_id(), Ok(None));
    for seed in 1..4 {
        let mut id = LogId::default();
        id.0.copy_from_slice(&pattern(16, seed));
        store.set_log_id(id).expect("an identity");
        assert_eq!(store.log_id(), Ok(Some(id)));
        assert_eq!(medium.store().log_id(), Ok(Some(id)));
    }
    assert_eq!(entries(&store), [], "the identity is no segment");
}
