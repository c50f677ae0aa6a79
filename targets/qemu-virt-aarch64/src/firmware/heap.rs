//! The heap: a fixed budget behind the image, two-level segregated fit, so that every request takes
//! a bounded time. A request that does not fit ends in a panic that names its size.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use rlsf::Tlsf;
use spin::Mutex;
use unison_bare::board::HeapFigures;

/// Bytes that the heap has, of which nothing is taken from the rest of memory later.
pub(crate) const HEAP_BYTES: usize = 24 << 20;

/// What the allocator puts in front of a block, and the step that sizes grow in.
const BLOCK_HEADER_BYTES: usize = 16;
const BLOCK_STEP_BYTES: usize = 32;

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Blocks { free: Tlsf::new(), used: 0, peak: 0, budget: 0 }));

/// Locked for the length of a call only; one core without interrupt handlers never waits for it.
struct Heap(Mutex<Blocks>);

/// 24 size classes, 32 blocks to 512 MiB, each in 32 steps.
struct Blocks {
    free: Tlsf<'static, u32, u32, 24, 32>,
    used: usize,
    peak: usize,
    budget: usize,
}

/// Gives the heap its memory.
///
/// # Safety
/// `HEAP_BYTES` from `begin` on must be mapped memory that nothing else uses from now on.
pub(crate) unsafe fn open(begin: NonNull<u8>) {
    let mut blocks = HEAP.0.lock();
    let region = NonNull::slice_from_raw_parts(begin, HEAP_BYTES);
    // SAFETY: the caller gives the region away for good.
    let usable = unsafe { blocks.free.insert_free_block_ptr(region) };
    blocks.budget = usable.map_or(0, Into::into);
}

/// What the heap holds now, what it held at most, and what it can hold; bytes, blocks' headers
/// counted.
pub(crate) fn figures() -> HeapFigures {
    let blocks = HEAP.0.lock();
    HeapFigures { used: blocks.used, peak: blocks.peak, budget: blocks.budget }
}

impl Blocks {
    fn count(&mut self, taken: usize, given_back: usize) {
        self.used = (self.used + taken).saturating_sub(given_back);
        self.peak = self.peak.max(self.used);
    }
}

/// Bytes of the block that serves a request of `size`.
fn block_bytes(size: usize) -> usize {
    size.saturating_add(BLOCK_HEADER_BYTES).next_multiple_of(BLOCK_STEP_BYTES)
}

// SAFETY: blocks come from the allocator under the lock, are aligned as asked, and are handed back
// with the layout they were asked for; nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut blocks = self.0.lock();
        let Some(block) = blocks.free.allocate(layout) else { return ptr::null_mut() };
        blocks.count(block_bytes(layout.size()), 0);
        block.as_ptr()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(pointer) else { return };
        let mut blocks = self.0.lock();
        // SAFETY: the caller promises that the block is one of ours, with this layout.
        unsafe { blocks.free.deallocate(block, layout.align()) };
        blocks.count(0, block_bytes(layout.size()));
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(pointer) else { return ptr::null_mut() };
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        let mut blocks = self.0.lock();
        // SAFETY: the caller promises that the block is one of ours, with this alignment.
        let Some(moved) = (unsafe { blocks.free.reallocate(block, wanted) }) else {
            return ptr::null_mut();
        };
        blocks.count(block_bytes(size), block_bytes(layout.size()));
        moved.as_ptr()
    }
}
