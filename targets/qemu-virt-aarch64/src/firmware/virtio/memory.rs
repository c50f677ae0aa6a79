//! What the queues need of memory: it is mapped one to one, and devices see what the processor sees.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Identity mapping, coherent devices.
pub(super) struct Identity;

// SAFETY: pages come from the heap, zeroed, aligned, and belong to the caller until they are freed;
// addresses of memory and devices are mapped one to one.
unsafe impl Hal for Identity {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let Some(layout) = layout(pages) else { return (0, NonNull::dangling()) };
        // SAFETY: `layout` is never of size zero.
        let begin = unsafe { alloc_zeroed(layout) };
        // Address 0 says that there is no memory.
        let begin_or_dangling = NonNull::new(begin).unwrap_or(NonNull::dangling());
        (begin.addr() as PhysAddr, begin_or_dangling)
    }

    unsafe fn dma_dealloc(_at: PhysAddr, begin: NonNull<u8>, pages: usize) -> i32 {
        if let Some(layout) = layout(pages) {
            // SAFETY: the caller hands back what `dma_alloc` gave for as many pages.
            unsafe { dealloc(begin.as_ptr(), layout) };
        }
        0
    }

    unsafe fn mmio_phys_to_virt(at: PhysAddr, _bytes: usize) -> NonNull<u8> {
        NonNull::new(at as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().addr().get() as PhysAddr
    }

    unsafe fn unshare(_at: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

fn layout(pages: usize) -> Option<Layout> {
    let bytes = pages.checked_mul(PAGE_SIZE).filter(|bytes| *bytes > 0)?;
    Layout::from_size_align(bytes, PAGE_SIZE).ok()
}

/// Tells the device of what was added to a queue, unless it says that it looks by itself. The fence
/// keeps that answer from being older than what was added: the device would stop looking in between,
/// and nobody would tell it.
pub(super) fn notify<const SIZE: usize>(
    queue: &VirtQueue<Identity, SIZE>,
    number: u16,
    transport: &mut MmioTransport<'static>,
) {
    fence(Ordering::SeqCst);
    if queue.should_notify() {
        transport.notify(number);
    }
}
