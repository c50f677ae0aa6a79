//! What a segment file does with its bytes.

use super::{ID, SIZE, pattern, read, refused};
use crate::Medium;
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

const LENGTH: usize = SIZE as usize;

/// A6, A5: all of the space is there, and it is zeros, even where something was before.
pub fn a_new_segment_is_zeros_of_its_whole_size<M: Medium>() {
    let medium = M::fresh();
    let store = medium.store();
    let file = store.create(ID, SIZE).expect("a creation");
    assert_eq!(file.size(), SIZE);
    assert_eq!(read(&file, 0, LENGTH), vec![0; LENGTH]);
    file.write_at(0, &pattern(LENGTH, 1)).expect("a write of everything");
    file.sync().expect("a sync");
    drop(file);
    store.remove(ID, SegmentKind::Log).expect("a removal");
    let again = store.create(ID, SIZE).expect("a second creation");
    assert_eq!(read(&again, 0, LENGTH), vec![0; LENGTH]);
}

/// Writes of all lengths at all alignments arrive whole, the last byte included.
pub fn every_byte_that_is_written_is_read_back<M: Medium>() {
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    let mut model = vec![0; LENGTH];
    let lengths = [1, 7, 8, 511, 512, 513, 4095, 4096, 4097, 9000];
    for (round, length) in lengths.into_iter().enumerate() {
        for start in [0, 1, 511, 4090, 4096, LENGTH - length] {
            let bytes = pattern(length, round as u8);
            file.write_at(start as u64, &bytes).expect("a write");
            model[start..start + length].copy_from_slice(&bytes);
            assert_eq!(read(&file, start as u64, length), bytes, "{length} bytes at {start}");
        }
    }
    assert!(read(&file, 0, LENGTH) == model);
}

/// A2: bytes outside the written range keep what they had.
pub fn a_write_leaves_its_neighbours_alone<M: Medium>() {
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    let mut model = pattern(LENGTH, 2);
    file.write_at(0, &model).expect("a write");
    for (start, length) in [(100, 1), (511, 2), (4095, 2), (8192, 512), (10_000, 0)] {
        file.write_at(start as u64, &vec![0; length]).expect("a write");
        model[start..start + length].fill(0);
        assert!(read(&file, 0, LENGTH) == model, "{length} bytes at {start}");
    }
}

/// Past the end there is nothing, and no arithmetic overflows on the way there.
pub fn nothing_outside_a_segment_is_read_or_written<M: Medium>() {
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    for (offset, length) in [(SIZE - 1, 2), (SIZE, 1), (SIZE + 1, 0), (u64::MAX, 1), (u64::MAX, 2)]
    {
        assert_eq!(refused(file.read_at(offset, &mut vec![0; length])), IoError::OutOfBounds);
        assert_eq!(refused(file.write_at(offset, &vec![1; length])), IoError::OutOfBounds);
        assert_eq!(file.view(offset, length), None, "{length} bytes at {offset}");
    }
    file.write_at(SIZE, &[]).expect("nothing at the end");
    file.read_at(SIZE, &mut []).expect("nothing at the end");
    assert_eq!(read(&file, 0, LENGTH), vec![0; LENGTH], "a refused write left bytes");
}

/// Where there are views they agree with reads, also for what is written after the first view.
pub fn a_view_shows_what_a_read_shows<M: Medium>() {
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    for round in 0..20_u8 {
        let (offset, bytes) = (u64::from(round) * 3000, pattern(3000, round));
        file.write_at(offset, &bytes).expect("a write");
        if let Some(view) = file.view(offset, bytes.len()) {
            assert_eq!(view, bytes, "round {round}");
        }
    }
    let start = file.view(0, 3000);
    assert!(start.is_none_or(|start| start == pattern(3000, 0)), "an old view changed");
    assert_eq!(file.view(SIZE, 0).is_some(), start.is_some());
}

/// `release` is only a hint, whatever range it names.
pub fn hints_change_nothing<M: Medium>() {
    let medium = M::fresh();
    let file = medium.store().create(ID, SIZE).expect("a creation");
    let bytes = pattern(LENGTH, 3);
    file.write_at(0, &bytes).expect("a write");
    let view = file.view(0, LENGTH);
    for (offset, length) in [(0, SIZE), (1, 4096), (4096, 8192), (SIZE, 1), (u64::MAX, u64::MAX)] {
        file.release(offset, length);
        assert!(read(&file, 0, LENGTH) == bytes);
        assert!(view.is_none_or(|view| view == bytes));
    }
    file.write_at(0, &[0xEE]).expect("a write after a release");
    assert_eq!(read(&file, 0, 1), [0xEE]);
}
