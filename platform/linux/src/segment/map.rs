//! The read-only map of a segment file: one of the places in this workspace with `unsafe`.
//!
//! A device error under a map is a signal (SIGBUS) that ends the process, not an error: whoever
//! wants to survive a bad sector reads with `read_at`. Where no map can be made, because of the
//! limit on their number or of address space, the segment has no views and is read.

use memmap2::{Mmap, MmapOptions, UncheckedAdvice};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A shared, read-only map of a whole file.
#[derive(Debug)]
pub(super) struct Map(Mmap);

impl Map {
    /// Maps the first `size` bytes; `None` where the system has no room for it.
    #[expect(unsafe_code)]
    pub(super) fn of(file: BorrowedFd<'_>, size: u64) -> Option<Self> {
        let length = usize::try_from(size).ok().filter(|&length| length > 0)?;
        let mut options = MmapOptions::new();
        options.len(length);
        // SAFETY: a map is sound while nobody shortens the file or changes bytes that are borrowed.
        // The data directory's lock keeps other processes of ours out; this process never shortens
        // a segment; its writer changes no byte below the published write offset, and readers
        // borrow none above it (contract of `SegmentFile`). The space behind the map is reserved
        // (A6), so a read never faults for want of it.
        let map = unsafe { options.map(file.as_raw_fd()) }.ok()?;
        Some(Self(map))
    }

    /// A range of the file; `None` outside it.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.0.get(start..start.checked_add(length)?)
    }

    /// Gives back the memory of the whole pages inside the range.
    #[expect(unsafe_code)]
    pub(super) fn release(&self, offset: u64, length: u64) {
        let page = rustix::param::page_size();
        let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        let end = end.min(self.0.len()) / page * page;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).div_ceil(page);
        let Some(start) = start.checked_mul(page).filter(|&start| start < end) else { return };
        // SAFETY: the map is shared, read-only and backed by a file, so a page that was given back
        // is read from the file again at the next access: borrowed bytes do not change.
        let advised =
            unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        // Only a hint: a refusal costs memory, nothing else.
        let _ = advised;
    }
}
