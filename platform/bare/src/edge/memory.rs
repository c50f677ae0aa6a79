//! Who may take how much of the heap. An allocation that does not fit ends the run, so everything that
//! a hub or a caller can make large is measured by what is free, at the moment it begins.
//!
//! ```text
//! | buffers, caches | memtables: a quarter | received run: an eighth | index of a run, answers: what is free,
//!                                                                      but for what others may need meanwhile
//! ```

use crate::board::{Board, HeapFigures};
use alloc::rc::Rc;

/// All memtables together are flushed at this part of the heap, whatever the configuration says.
const MEMTABLES_PART: usize = 4;
/// The smallest memtable that is worth a flush, bytes.
const MEMTABLE_BYTES_MIN: usize = 64 << 10;
/// The index of a run leaves this part of the heap to the flush that follows it and to the next run's
/// bytes.
const INDEX_RESERVE_PART: usize = 5;
/// What is taken of a run is in memory two and a half times: verified, in the index, and in buffers
/// that grow.
const INDEX_COPIES: (usize, usize) = (5, 2);
/// Answers leave this part of the heap to the records that come meanwhile.
const ANSWER_RESERVE_PART: usize = 3;
/// A value is in memory this often while it is answered: read, in the answer, and the answer's
/// buffer before it grew.
const ANSWER_COPIES: usize = 3;
/// A message takes as much as so many answers of its size: it is read, opened, unfolded, written as
/// base64, and again in JSON.
const MESSAGE_ANSWERS: usize = 3;
/// So much is answered however little is free: an answer is no more than what asks for it.
const ANSWER_BYTES_MIN: usize = 4 << 10;

/// A look at the board's heap.
#[derive(Clone)]
pub(crate) struct Heap(Rc<dyn Board>);

impl Heap {
    pub(crate) fn new(board: Rc<dyn Board>) -> Self {
        Self(board)
    }

    pub(crate) fn figures(&self) -> HeapFigures {
        self.0.heap()
    }

    /// Bytes that the versions of the next run may take in the index.
    pub(crate) fn index_room(&self) -> usize {
        let (copies, parts) = INDEX_COPIES;
        free_behind(self.figures(), INDEX_RESERVE_PART) / copies * parts
    }

    /// Bytes that the next answer may have.
    pub(crate) fn answer_room(&self) -> usize {
        let room = free_behind(self.figures(), ANSWER_RESERVE_PART) / ANSWER_COPIES;
        room.max(ANSWER_BYTES_MIN)
    }

    /// Bytes that a message may have that is answered now.
    pub(crate) fn message_room(&self) -> usize {
        self.answer_room() / MESSAGE_ANSWERS
    }

    /// What a memtable may hold when so many namespaces have one each, bytes.
    pub(crate) fn memtable_bytes(&self, configured: usize, namespaces: usize) -> usize {
        let share = self.figures().budget / MEMTABLES_PART / namespaces.max(1);
        configured.min(share.max(MEMTABLE_BYTES_MIN))
    }
}

/// What is free beside one part of so many of the heap.
const fn free_behind(heap: HeapFigures, part: usize) -> usize {
    heap.budget.saturating_sub(heap.used).saturating_sub(heap.budget / part)
}

#[cfg(test)]
mod tests;
