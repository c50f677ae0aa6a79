use super::Heap;
use crate::board::{Board, HeapFigures};
use alloc::rc::Rc;
use unison_base::limits::INDEX_BYTES_MAX;

const MIB: usize = 1 << 20;
const BUDGET: usize = 24 * MIB;

struct Used(usize);

impl Board for Used {
    fn monotonic_ms(&self) -> u64 {
        0
    }
    fn fill(&self, _: &mut [u8]) {}
    fn heap(&self) -> HeapFigures {
        HeapFigures { used: self.0, peak: self.0, budget: BUDGET }
    }
}

fn heap(used: usize) -> Heap {
    Heap::new(Rc::new(Used(used)))
}

#[test]
fn memtables_of_all_namespaces_share_a_part_of_the_heap() {
    for (namespaces, expected) in [(1, 4 * MIB), (2, 3 * MIB), (4, 3 * MIB / 2)] {
        assert_eq!(heap(0).memtable_bytes(4 * MIB, namespaces), expected);
    }
    assert_eq!(heap(0).memtable_bytes(64 << 10, 4), 64 << 10, "less was asked for");
}

#[test]
fn the_largest_write_has_room_once_the_memtable_is_flushed() {
    assert!(heap(4 * MIB).index_room() >= INDEX_BYTES_MAX);
}

#[test]
fn nothing_takes_more_than_is_free_beside_what_others_need() {
    for used in (0..=2 * BUDGET).step_by(MIB / 2) {
        let (free, heap) = (BUDGET.saturating_sub(used), heap(used));
        assert!(heap.index_room() == 0 || heap.index_room() * 5 / 2 + BUDGET / 5 <= free);
        let answer = heap.answer_room();
        assert!(answer == 4 << 10 || answer * 3 + BUDGET / 3 <= free);
    }
}
