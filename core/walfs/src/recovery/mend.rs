//! What is to be repaired, decided on the findings alone.

use super::evidence::Evidence;
use super::rung::Rung;
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE, FLAG_SEALED, MARKER, SegmentHeader};
use crate::options::LogRole;
use crate::survey::Survey;
use unison_base::Lsn;
use unison_ports::SegmentKind;

/// What becomes of the header of a segment that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// It is right, true of an earlier time, or not to be written.
    Nothing,
    /// It is written anew, since what it does not count yet was made durable. Only a hint.
    Advance,
    /// It is written anew: a crash kept the seal from being written.
    Seal,
    /// Rung G: it is wrong and is written anew.
    Rebuild,
}

/// What becomes of a segment without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Rung H.
    Absent,
    /// It was made ahead, and takes the next records.
    Next(SegmentHeader),
    /// It never held a record and goes.
    Unused,
    /// It is set aside and marked, so that the next opening does not take its stray frames for history.
    Stray,
    /// Its records are gone, and there are later ones: it is set aside.
    Rot,
}

/// How a segment goes on whose prefix is part of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Rungs A and B.
    pub(crate) torn: Option<Rung>,
    /// It takes no more records.
    pub(crate) sealed: bool,
    /// Rung I.
    pub(crate) was_sealed: bool,
    /// Its records may not be durable yet.
    pub(crate) unproved: bool,
}

impl Course {
    /// `newest`: no later segment has records of the log, which ends with `last`.
    pub(crate) fn of(evidence: &Evidence, newest: bool, last: Lsn) -> Self {
        let (own, survey) = (evidence.entry.kind == SegmentKind::Log, &evidence.survey);
        let torn = tail(survey).filter(|_| newest && own);
        let sealed_before = survey.header.is_ok_and(|header| header.is_sealed());
        let continues = newest && own && survey.prefix.last() == last;
        let sealed = !continues || (sealed_before && torn.is_none());
        Self {
            torn,
            sealed,
            was_sealed: sealed && newest && own && sealed_before,
            unproved: own && !survey.vouches(survey.prefix.end - 1),
        }
    }

    pub(crate) const fn flags(&self) -> u32 {
        if self.sealed { FLAG_SEALED } else { FLAG_ACTIVE }
    }
}

/// Rungs A and B: whether a segment that ends the log was cut.
fn tail(survey: &Survey) -> Option<Rung> {
    let end = survey.prefix.end;
    if survey.vouches(end) {
        return Some(Rung::LostTail);
    }
    let exact = |header: SegmentHeader| header.is_sealed() && header.write_offset == end;
    let dirty = survey.later.dirty_to > end && !survey.header.is_ok_and(exact);
    dirty.then_some(Rung::TornTail)
}

/// The header that fits the frames of the prefix.
pub(crate) fn header_of(evidence: &Evidence, flags: u32, now_ns: u64) -> SegmentHeader {
    let (found, prefix) = (evidence.survey.header.ok(), evidence.survey.prefix);
    SegmentHeader {
        created_ns: found.map_or(now_ns, |header| header.created_ns),
        modified_ns: found.map_or(now_ns, |header| header.modified_ns),
        write_offset: prefix.end,
        entry_count: prefix.count,
        flags,
        first_lsn: prefix.first,
        marker: found.map_or(MARKER, |header| header.marker),
    }
}

/// How the header that was found has to be mended to be `wanted`, whose frames are durable. A leader's
/// records say so themselves.
pub(crate) fn header(evidence: &Evidence, wanted: &SegmentHeader, role: LogRole) -> Mend {
    let found = evidence.survey.header.ok();
    let fit = found.map_or(Fit::Wrong, |found| Fit::of(&found, wanted, evidence.entry.size));
    match fit {
        _ if evidence.entry.kind != SegmentKind::Log => Mend::Nothing,
        Fit::Right => Mend::Nothing,
        Fit::Behind if wanted.is_sealed() => Mend::Seal,
        Fit::Behind => match role {
            LogRole::Leader => Mend::Nothing,
            LogRole::Follower => Mend::Advance,
        },
        Fit::Wrong => Mend::Rebuild,
    }
}

/// What becomes of a segment without records. `behind`: no later one has any. `usable`: the log could
/// take a segment made ahead, of at least `segment_bytes`.
pub(crate) fn leftover(
    evidence: &Evidence,
    behind: bool,
    usable: bool,
    segment_bytes: u64,
) -> Leftover {
    let survey = &evidence.survey;
    if survey.blank {
        return Leftover::Absent;
    }
    let large_enough = evidence.entry.size >= segment_bytes;
    let fresh = |header: &SegmentHeader| !header.is_sealed() && !header.is_discarded();
    match survey.header.ok().filter(|header| header.entry_count == 0) {
        Some(header) if behind && usable && large_enough && fresh(&header) => {
            Leftover::Next(header)
        }
        Some(_) if survey.later.dirty_to <= FIRST_FRAME => Leftover::Unused,
        _ if behind => Leftover::Stray,
        _ => Leftover::Rot,
    }
}

/// How many records of the prefix are called durable by records behind them. What a leader says in
/// its records is true of its own medium, not of a follower's.
pub(crate) fn known_durable(survey: &Survey, role: LogRole) -> u64 {
    if survey.claims.silent > 0 || role == LogRole::Follower {
        return 0;
    }
    survey.claims.durable.next().since(survey.prefix.first)
}

/// How a header fits the frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Right,
    /// True of an earlier time: it is not written at every append.
    Behind,
    Wrong,
}

impl Fit {
    fn of(found: &SegmentHeader, wanted: &SegmentHeader, size: u64) -> Self {
        // A foreign header has no first LSN; its marker is 0.
        let first = if found.marker == 0 { wanted.first_lsn } else { found.first_lsn };
        let right = found.write_offset == wanted.write_offset
            && found.entry_count == wanted.entry_count
            && first == wanted.first_lsn
            && found.is_sealed() == wanted.is_sealed();
        let behind = !found.is_sealed()
            && found.write_offset <= wanted.write_offset
            && found.is_plausible(size);
        match (right, behind) {
            // A power cut came between the mark and the setting aside.
            _ if found.is_discarded() => Self::Wrong,
            (true, _) => Self::Right,
            (false, true) => Self::Behind,
            (false, false) => Self::Wrong,
        }
    }
}
