//! Which segments leave the log, decided in this one place.

use crate::log::Log;
use crate::table::Extent;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentKind, SegmentStore};

/// What needs records of the log no more, and up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// All up to here is in the tree.
    pub checkpoint: Lsn,
    /// First record of the oldest open transaction.
    pub transactions: Option<Lsn>,
    /// All registered followers have acknowledged up to here.
    pub followers: Option<Lsn>,
    /// Bytes of log that are kept for followers at most; one that needs more must start over.
    pub follower_quota_bytes: Option<u64>,
}

/// How much log is wanted beyond what is covered. With no bound a segment goes as soon as it is
/// covered; with several, when one of them is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// A segment may go when this many bytes of log lie behind it.
    pub keep_bytes: Option<u64>,
    /// A segment may go when it was sealed this many milliseconds ago.
    pub keep_ms: Option<u64>,
    /// The time, Unix nanoseconds.
    pub now_ns: u64,
}

/// What became of a segment that left the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The segment.
    pub segment: SegmentId,
    /// Its last record.
    pub last: Lsn,
    /// Whether its file stays, for its values or because it is damaged.
    pub kept: bool,
}

impl RetentionPolicy {
    fn lets_go(&self, sealed_ns: u64, bytes_behind: u64) -> bool {
        let age_ms = self.now_ns.saturating_sub(sealed_ns) / 1_000_000;
        match (self.keep_bytes, self.keep_ms) {
            (None, None) => true,
            (bytes, ms) => {
                bytes.is_some_and(|keep| bytes_behind >= keep)
                    || ms.is_some_and(|keep| age_ms >= keep)
            }
        }
    }
}

impl Covered {
    fn covers(&self, last: Lsn, bytes_from: u64) -> bool {
        let past_quota = self.follower_quota_bytes.is_some_and(|quota| bytes_from > quota);
        last <= self.checkpoint
            && self.transactions.is_none_or(|begin| last < begin)
            && (past_quota || self.followers.is_none_or(|acknowledged| last <= acknowledged))
    }
}

impl<S: SegmentStore> Log<S> {
    /// Takes the oldest segments out of the log, as many as are covered, let go by the policy, and
    /// in no reader's hands. The newest segment with durable records stays, as its LSNs must be known
    /// after a crash.
    /// A segment in which `has_live_values` stays on the medium as a value file.
    ///
    /// # Errors
    /// The medium fails; segments before the one at fault have left the log.
    pub fn retire(
        &mut self,
        covered: Covered,
        policy: RetentionPolicy,
        has_live_values: &mut dyn FnMut(SegmentId) -> bool,
    ) -> Result<Vec<Retired>, IoError> {
        let mut retired = Vec::new();
        while let Some(oldest) = self.oldest_to_go(covered, policy) {
            retired.push(self.take_out(&oldest, has_live_values)?);
        }
        Ok(retired)
    }

    /// The extents of the oldest segment, if it may go.
    fn oldest_to_go(
        &self,
        covered: Covered,
        policy: RetentionPolicy,
    ) -> Option<Vec<Arc<Extent<S>>>> {
        let table = self.shared.table.load();
        let id = table.extents.first()?.segment.id;
        let until = table.extents.partition_point(|extent| extent.segment.id <= id);
        let (oldest, rest) = table.extents.split_at_checked(until)?;
        let newest = oldest.last()?;
        let last = newest.last();
        let bytes_behind = rest.iter().map(|extent| extent.end() - extent.start).sum::<u64>();
        let bytes_own = oldest.iter().map(|extent| extent.end() - extent.start).sum::<u64>();
        let keeps_lsns =
            |extent: &Arc<Extent<S>>| extent.count() > 0 && extent.first <= self.durable();
        let goes = rest.iter().any(keeps_lsns)
            && oldest.iter().all(|extent| extent.is_sealed() && !extent.is_pinned())
            && last <= self.durable()
            && covered.covers(last, bytes_behind + bytes_own)
            && policy.lets_go(newest.modified_ns(), bytes_behind);
        goes.then(|| oldest.to_vec())
    }

    /// The medium comes first: a segment that it could not give up stays in the log.
    fn take_out(
        &self,
        extents: &[Arc<Extent<S>>],
        has_live_values: &mut dyn FnMut(SegmentId) -> bool,
    ) -> Result<Retired, IoError> {
        let Some(newest) = extents.last() else { return Err(IoError::NotFound) };
        let (segment, last) = (&newest.segment, newest.last());
        let damaged = segment.kind() == SegmentKind::Aside;
        let live = !damaged && has_live_values(segment.id);
        if live {
            self.shared.store.set_kind(segment.id, SegmentKind::Log, SegmentKind::Values)?;
            segment.set_kind(SegmentKind::Values);
        } else if !damaged {
            self.shared.store.remove(segment.id, SegmentKind::Log)?;
        }
        self.shared.change(|table| {
            table.extents.retain(|extent| extent.segment.id != segment.id);
            if live {
                table.add_values(Arc::clone(segment));
            }
        });
        Ok(Retired { segment: segment.id, last, kept: live || damaged })
    }

    /// Removes a value file that holds no live value any more.
    ///
    /// # Errors
    /// [`IoError::NotFound`] when there is none of that number; the medium's own.
    pub fn remove_values(&mut self, segment: SegmentId) -> Result<(), IoError> {
        self.shared.store.remove(segment, SegmentKind::Values)?;
        self.shared.change(|table| table.values.retain(|values| values.id != segment));
        Ok(())
    }
}
