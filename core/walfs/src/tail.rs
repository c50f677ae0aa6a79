//! Writing to segments of either log: what fits, the one write of a group, clearing behind it, copies.

use crate::error::{OpenError, StageError};
use crate::layout::SegmentHeader;
use unison_base::SegmentId;
use unison_base::frame::{self, TERMINATOR_BYTES};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

static TERMINATOR: [u8; TERMINATOR_BYTES] = [0; TERMINATOR_BYTES];

/// Bytes of the frame that a payload needs at `offset` of a segment of `size` bytes; `limit` is the
/// largest frame that a new segment could hold.
pub(crate) fn fit(
    payload_bytes: usize,
    offset: u64,
    size: u64,
    limit: u64,
) -> Result<usize, StageError> {
    let frame_bytes = frame::frame_bytes(payload_bytes).ok_or(too_large(limit))?;
    if offset.saturating_add(frame_bytes as u64) <= size {
        return Ok(frame_bytes);
    }
    let fits_another = frame_bytes as u64 <= limit;
    Err(if fits_another { StageError::SegmentFull } else { too_large(limit) })
}

/// The error of a record whose frame is larger than `limit`.
pub(crate) const fn too_large(limit: u64) -> StageError {
    StageError::TooLarge { limit: limit.saturating_sub(frame::OVERHEAD_BYTES as u64) }
}

/// Writes frames and their terminator. Where that fails, `dirty_to` moves behind what may be there.
pub(crate) fn append<F: SegmentFile>(
    file: &F,
    offset: u64,
    bytes: &[u8],
    dirty_to: &mut u64,
) -> Result<(), IoError> {
    file.write_at(offset, bytes).inspect_err(|_| {
        *dirty_to = (*dirty_to).max(offset.saturating_add(bytes.len() as u64));
        // Only a first aid against a kill; what counts is the clearing before the next append.
        let first_aid = bytes.len().min(TERMINATOR_BYTES);
        let _ = file.write_at(offset, TERMINATOR.get(..first_aid).unwrap_or_default());
    })
}

/// Makes a segment without records, durably.
pub(crate) fn create<S: SegmentStore>(
    store: &S,
    id: SegmentId,
    size: u64,
    header: &SegmentHeader,
) -> Result<S::File, IoError> {
    let file = store.create(id, size)?;
    if let Err(error) = file.write_at(0, &header.encode()).and_then(|()| file.sync()) {
        // Half-made and without records. If it cannot go, recovery passes over it.
        drop(file);
        let _ = store.remove(id, SegmentKind::Log);
        return Err(error);
    }
    Ok(file)
}

/// Writes zeros from `offset` to `end`, in pieces of `zeros`.
pub(crate) fn clear<F: SegmentFile>(
    file: &F,
    mut offset: u64,
    end: u64,
    zeros: &[u8],
) -> Result<(), IoError> {
    while offset < end && !zeros.is_empty() {
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let piece = zeros.get(..left.min(zeros.len())).unwrap_or(zeros);
        file.write_at(offset, piece)?;
        offset = offset.saturating_add(piece.len() as u64);
    }
    Ok(())
}

/// Copies the bytes from `offset` to `end` to the same place, in pieces of `buffer`. From a file to
/// itself it writes them once more.
pub(crate) fn copy<F: SegmentFile>(
    source: &F,
    target: &F,
    mut offset: u64,
    end: u64,
    buffer: &mut [u8],
) -> Result<(), IoError> {
    while offset < end && !buffer.is_empty() {
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let chunk = left.min(buffer.len());
        let bytes = buffer.get_mut(..chunk).unwrap_or_default();
        source.read_at(offset, bytes)?;
        target.write_at(offset, bytes)?;
        offset = offset.saturating_add(bytes.len() as u64);
    }
    Ok(())
}

/// Removes a segment of the log that never held a record, if it is there.
pub(crate) fn remove_unused<S: SegmentStore>(store: &S, id: SegmentId) -> Result<(), OpenError> {
    match store.remove(id, SegmentKind::Log) {
        Ok(()) | Err(IoError::NotFound) => Ok(()),
        Err(cause) => Err(OpenError::io(id, cause)),
    }
}
