//! Bytes over sectors, against a vector; and what they cost.

use crate::support::{fresh, open};
use unison_base::SegmentId;
use unison_base::prng::Prng;
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};

const SIZE: usize = (192 << 10) + 77;

/// A range within the segment: short ones mostly, and of all alignments.
fn range(prng: &mut Prng) -> (usize, usize) {
    let below = |prng: &mut Prng, bound: usize| prng.below(bound as u64) as usize;
    let longest = [16, 600, 5_000, 70_000][below(prng, 4)];
    let length = below(prng, longest);
    let start = below(prng, SIZE - length + 1);
    let aligned = prng.chance(30);
    (if aligned { start & !511 } else { start }, length)
}

#[test]
fn a_segment_is_a_vector_whatever_is_written_and_however_often_it_is_opened() {
    let (disk, mut volume) = fresh();
    let mut prng = Prng::new(3);
    let mut model = vec![0; SIZE];
    let mut file = volume.segments().create(SegmentId(1), SIZE as u64).unwrap();
    for round in 0..6_000 {
        let (start, length) = range(&mut prng);
        if prng.chance(50) {
            let mut bytes = vec![0; length];
            prng.fill(&mut bytes);
            file.write_at(start as u64, &bytes).unwrap();
            model[start..start + length].copy_from_slice(&bytes);
        } else {
            let mut bytes = vec![1; length];
            file.read_at(start as u64, &mut bytes).unwrap();
            assert!(bytes == model[start..start + length], "{length} at {start}, round {round}");
        }
        match round % 500 {
            100 => file = volume.segments().open(SegmentId(1), SegmentKind::Log).unwrap(),
            300 => {
                drop((file, volume));
                volume = open(&disk).unwrap().0;
                file = volume.segments().open(SegmentId(1), SegmentKind::Log).unwrap();
            }
            _ => {}
        }
    }
    let mut bytes = vec![1; SIZE];
    file.read_at(0, &mut bytes).unwrap();
    assert!(bytes == model);
}

#[test]
fn appending_to_a_new_segment_hardly_reads_and_writes_once_a_group() {
    let (disk, volume) = fresh();
    let file = volume.segments().create(SegmentId(1), 1 << 20).unwrap();
    let before = disk.disk().counters();
    let mut offset = 64;
    for number in 0..200_u64 {
        let group = vec![0xAB; 200 + (number as usize * 37) % 3_000];
        file.write_at(offset, &group).unwrap();
        file.sync().unwrap();
        offset += group.len() as u64 - 16;
    }
    let after = disk.disk().counters();
    // Only where the 16 zeros that the next group overwrites lie across two sectors.
    assert!(after.reads - before.reads < 10, "{} reads", after.reads - before.reads);
    assert_eq!(after.writes - before.writes, 200);
    assert_eq!(after.syncs - before.syncs, 200);
    // Sectors that are written twice: one a group.
    assert!(after.tree_bytes - before.tree_bytes < offset + 200 * 1_100);
}

#[test]
fn a_sync_without_writes_costs_nothing() {
    let (disk, volume) = fresh();
    let file = volume.segments().create(SegmentId(1), 1 << 20).unwrap();
    file.sync().unwrap();
    let before = disk.disk().counters();
    file.sync().unwrap();
    assert_eq!(disk.disk().counters(), before);
}

#[test]
fn making_a_segment_writes_only_what_is_not_zero() {
    let (disk, volume) = fresh();
    let store = volume.segments();
    let written = |make: &dyn Fn()| {
        let before = disk.disk().counters().tree_bytes;
        make();
        disk.disk().counters().tree_bytes - before
    };
    let tables = 2 * 512;
    assert_eq!(written(&|| drop(store.create(SegmentId(1), 1 << 20).unwrap())), tables);
    let file = store.open(SegmentId(1), SegmentKind::Log).unwrap();
    file.write_at(300_000, &[1; 1000]).unwrap();
    drop(file);
    store.remove(SegmentId(1), SegmentKind::Log).unwrap();
    let again = written(&|| drop(store.create(SegmentId(2), 1 << 20).unwrap()));
    assert!(again > tables && again <= tables + 3 * 512, "{again}");
}
