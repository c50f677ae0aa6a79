//! What firmware and host have to agree on.

/// Bytes of the emulated medium.
pub(crate) const MEDIUM_BYTES: usize = 1_280 << 10;
/// Bytes of a slot, and of a segment.
pub(crate) const SLOT_BYTES: u64 = 64 << 10;
/// Most slots of the medium.
pub(crate) const SLOTS: usize = 18;
/// Volume and segments of the node's own log.
pub(crate) const JOURNAL: usize = 0;
/// Segments of the node's own log.
pub(crate) const JOURNAL_SEGMENTS: usize = 4;
/// Volume of the copy of the hub's log.
pub(crate) const TAIL: usize = 1;
/// Segments of the copy of the hub's log.
pub(crate) const TAIL_SEGMENTS: usize = 10;
/// The namespace that is followed.
pub(crate) const NAMESPACE: &str = "default";

const _: () = assert!(JOURNAL_SEGMENTS + TAIL_SEGMENTS <= SLOTS);
const _: () = assert!(MEDIUM_BYTES as u64 >= SLOTS as u64 * SLOT_BYTES + (64 << 10));
