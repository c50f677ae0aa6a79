//! What is known of each segment before it is judged.

use crate::error::OpenError;
use crate::layout::{FIRST_FRAME, FRAME_BYTES_MIN, SegmentHeader};
use crate::survey::Survey;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{SegmentEntry, SegmentKind};

/// What is known of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) entry: SegmentEntry,
    pub(crate) survey: Survey,
    /// LSN of the first sound record behind damage; `Lsn::ZERO` when there is none.
    pub(crate) island: Lsn,
    /// Not scanned: the header of a sealed segment was taken at its word.
    pub(crate) trusted: bool,
}

impl Evidence {
    pub(crate) const fn has_records(&self) -> bool {
        self.survey.prefix.count > 0
            || self.survey.later.highest.0 > 0
            || self.survey.later.exhausted
    }

    /// A segment of a newer format is left alone, with the whole log.
    pub(crate) fn check_version(&self) -> Result<(), OpenError> {
        let error = self.survey.header.err();
        error.and_then(|error| OpenError::header(self.entry.id, error)).map_or(Ok(()), Err)
    }

    pub(crate) fn at(&self, offset: u64) -> Position {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Position { segment: self.entry.id, offset }
    }

    /// LSN of the first sound record.
    pub(crate) const fn first(&self) -> Lsn {
        if self.survey.prefix.count > 0 { self.survey.prefix.first } else { self.island }
    }

    /// The highest LSN that the segment is known to have held.
    pub(crate) fn reached(&self) -> Lsn {
        let said = self.survey.header.ok().filter(|header| header.is_plausible(self.entry.size));
        let said = said.map(|header| header.last_lsn()).unwrap_or_default();
        self.survey.highest().max(said)
    }

    /// How many records the segment may have held beside those that are known: where the search was
    /// given up, as many as there is room for.
    pub(crate) const fn unseen(&self) -> u64 {
        let room = self.entry.size.saturating_sub(self.survey.prefix.end);
        if self.survey.later.exhausted { room / FRAME_BYTES_MIN } else { 0 }
    }

    /// Whether the header proves that records of this segment had been synced.
    pub(crate) fn was_synced(&self) -> bool {
        self.trusted || self.survey.vouches(FIRST_FRAME)
    }

    /// Whether a segment set aside is no part of the log's history: marked so, or with LSNs that the
    /// log's own segments have. Asked from the newest segment down; `ceiling` is kept between them.
    pub(crate) fn is_stranger(&self, ceiling: &mut Lsn) -> bool {
        let own = self.entry.kind == SegmentKind::Log;
        if own && self.has_records() {
            *ceiling = self.first();
        }
        let history = self.is_history() && self.reached() < *ceiling;
        !own && !history
    }

    fn is_history(&self) -> bool {
        let discarded = |header: SegmentHeader| header.is_discarded();
        self.has_records() && !self.survey.header.is_ok_and(discarded)
    }
}

/// Which of the segments set aside may be history: damaged segments keep their number, so they lie
/// between the log's segments or right before them. Both lists are in order of number.
pub(crate) fn history<'a>(
    log: &'a [SegmentEntry],
    aside: &'a [SegmentEntry],
) -> impl Iterator<Item = SegmentEntry> + 'a {
    let last = log.last().map(|entry| entry.id).unwrap_or_default();
    let mut oldest: SegmentId = log.first().map(|entry| entry.id).unwrap_or_default();
    for entry in aside.iter().rev() {
        if entry.id.next() == oldest {
            oldest = entry.id;
        }
    }
    let taken = |id| log.binary_search_by_key(&id, |entry: &SegmentEntry| entry.id).is_ok();
    let inside = move |entry: &&SegmentEntry| entry.id >= oldest && entry.id < last;
    aside.iter().filter(inside).filter(move |entry| !taken(entry.id)).copied()
}
