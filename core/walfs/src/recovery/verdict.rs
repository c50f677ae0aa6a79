//! Second pass: what becomes of each segment, decided on the findings alone.

use super::evidence::Evidence;
use super::rung::Rung;
use crate::options::LogRole;
use crate::survey::Claims;
use unison_base::{Lsn, Position};
use unison_ports::SegmentKind;

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its prefix is part of the log.
    Whole,
    /// Set aside; its proved parts are still served.
    Damaged,
    /// Set aside, and no part of the log.
    Discarded,
    /// Holds no record.
    Empty,
}

/// Hears of each finding and its place.
type Note<'n> = &'n mut dyn FnMut(Rung, Position);

/// What a fault between two sound records is.
#[derive(PartialEq, Eq)]
enum Fault {
    /// The records behind it had never been durable.
    Torn,
    Rot,
}

/// Judges all segments, in their order. `fates` takes one fate for each; the highest LSN in use is
/// returned.
pub(crate) fn judge<E: AsRef<Evidence>>(
    findings: &[E],
    role: LogRole,
    fates: &mut [Fate],
    note: Note<'_>,
) -> Lsn {
    let fates = Fates { slots: fates, judged: 0 };
    let mut judge = Judge { findings, role, fates, expected: None, previous: None };
    while judge.fates.judged < findings.len() {
        let Some(finding) = findings.get(judge.fates.judged) else { break };
        judge.one(finding.as_ref(), note);
    }
    judge.expected.unwrap_or(Lsn::FIRST).prev()
}

/// The fates found so far.
struct Fates<'a> {
    slots: &'a mut [Fate],
    judged: usize,
}

impl Fates<'_> {
    fn push(&mut self, fate: Fate) {
        self.slots.get_mut(self.judged).into_iter().for_each(|slot| *slot = fate);
        self.judged += 1;
    }
}

struct Judge<'a, E> {
    findings: &'a [E],
    role: LogRole,
    fates: Fates<'a>,
    /// LSN that the next record must have; unknown before the first.
    expected: Option<Lsn>,
    /// The last segment that holds records of the log, and its place among the findings.
    previous: Option<(usize, &'a Evidence)>,
}

impl<'a, E: AsRef<Evidence>> Judge<'a, E> {
    /// Those from `at` on.
    fn rest(&self, at: usize) -> impl Iterator<Item = &'a Evidence> + Clone + use<'a, E> {
        self.findings.get(at..).unwrap_or_default().iter().map(AsRef::as_ref)
    }

    fn one(&mut self, finding: &'a Evidence, note: Note<'_>) {
        if !finding.has_records() {
            self.fates.push(Fate::Empty);
            self.begin_behind(finding);
            return;
        }
        let repeats = |expected| finding.survey.highest() < expected || finding.first() < expected;
        if self.expected.is_some_and(repeats) && !finding.survey.later.exhausted {
            self.stale(finding, note);
            return;
        }
        if finding.survey.prefix.count > 0 && !self.follows(finding, note) {
            return;
        }
        let later = finding.survey.later;
        if later.highest == Lsn::ZERO && !later.exhausted {
            self.keep(finding, Fate::Whole, finding.survey.prefix.last());
        } else {
            self.broken(finding, note);
        }
    }

    /// A log that begins with a segment whose records are all gone: where its first record was
    /// follows from what the records behind it say. If they say that it had been durable, it is not
    /// known, and the log begins with them.
    fn begin_behind(&mut self, finding: &Evidence) {
        let own = finding.entry.kind == SegmentKind::Log && !finding.survey.blank;
        if self.expected.is_some() || !own {
            return;
        }
        let rest = self.rest(self.fates.judged);
        let claims = claims_of(rest.clone(), Claims::default());
        let first = rest.map(Evidence::first).find(|&first| first > Lsn::ZERO);
        if first.is_some_and(|first| claims.never_durable(first.prev())) {
            self.expected = Some(claims.durable.next());
        }
    }

    fn keep(&mut self, finding: &'a Evidence, fate: Fate, last: Lsn) {
        self.previous = Some((self.fates.judged, finding));
        self.fates.push(fate);
        self.expected = Some(last.next());
    }

    /// Rung F.
    fn stale(&mut self, finding: &Evidence, note: Note<'_>) {
        if finding.entry.kind == SegmentKind::Log {
            note(Rung::StaleSegment, finding.at(finding.survey.prefix.start));
        }
        match self.role {
            LogRole::Leader => self.fates.push(Fate::Discarded),
            LogRole::Follower => self.discard_rest(note),
        }
    }

    /// Whether the first record follows the one before; rungs C, D and E otherwise.
    fn follows(&mut self, finding: &'a Evidence, note: Note<'_>) -> bool {
        let Some(expected) = self.expected.filter(|&expected| finding.first() > expected) else {
            return true;
        };
        let vouched =
            |(_, previous): (usize, &Evidence)| previous.survey.vouches(previous.survey.prefix.end);
        let vouched = self.previous.is_some_and(vouched);
        let fault = self.fault(expected, vouched, Claims::default(), self.fates.judged);
        if fault == Fault::Rot {
            self.missing(finding, note);
        }
        let goes_on = fault == Fault::Rot && self.role == LogRole::Leader;
        if !goes_on {
            self.discard_rest(note);
        }
        goes_on
    }

    /// The end of the segment before is damaged, or there was one in between that is missing.
    fn missing(&mut self, finding: &Evidence, note: Note<'_>) {
        let torn = |(_, previous): &(usize, &'a Evidence)| {
            let end = previous.survey.prefix.end;
            previous.survey.later.dirty_to > end || previous.survey.vouches(end)
        };
        let Some((at, previous)) = self.previous.filter(torn) else {
            note(Rung::Gap, finding.at(finding.survey.prefix.start));
            return;
        };
        let own = previous.entry.kind == SegmentKind::Log;
        if own && self.fates.slots.get(at) == Some(&Fate::Whole) {
            note(Rung::RotSegment, previous.at(previous.survey.prefix.end));
        }
        match self.role {
            LogRole::Leader => {
                self.fates.slots.get_mut(at).into_iter().for_each(|fate| *fate = Fate::Damaged);
            }
            LogRole::Follower => {
                self.fates.judged = at;
                self.expected = Some(previous.first());
            }
        }
    }

    /// A segment with sound records behind bytes that are none: rungs A with C, or D.
    fn broken(&mut self, finding: &'a Evidence, note: Note<'_>) {
        let survey = &finding.survey;
        let bad = survey.prefix.end;
        let first_bad = match survey.prefix.count {
            0 => self.expected.unwrap_or_else(|| finding.first().prev()),
            _ => survey.prefix.last().next(),
        };
        let untrue = survey.later.exhausted || finding.entry.kind != SegmentKind::Log;
        let vouched = untrue || survey.vouches(bad);
        let behind = self.fates.judged + 1;
        if self.fault(first_bad, vouched, survey.later.claims, behind) == Fault::Torn {
            if survey.prefix.count == 0 {
                self.fates.push(Fate::Empty);
            } else {
                self.keep(finding, Fate::Whole, survey.prefix.last());
            }
            self.discard_rest(note);
            return;
        }
        if finding.entry.kind == SegmentKind::Log {
            note(Rung::RotSegment, finding.at(bad));
        }
        match self.role {
            LogRole::Leader => self.keep(finding, Fate::Damaged, finding.reached()),
            LogRole::Follower => self.discard_rest(note),
        }
    }

    /// Torn only if every record behind the fault says that the first one missing had not been
    /// durable when it was written, and no header was written behind a sync that covered it. What
    /// records say is true of their leader's medium. A follower goes by the headers alone: what it cuts
    /// is fetched again, and what it had acknowledged lies before the cut.
    fn fault(&self, missing: Lsn, vouched: bool, claims: Claims, behind: usize) -> Fault {
        let claims = claims_of(self.rest(behind), claims);
        let synced = self.rest(behind).any(Evidence::was_synced);
        let unsynced = self.role == LogRole::Follower || claims.never_durable(missing);
        if !vouched && !synced && unsynced { Fault::Torn } else { Fault::Rot }
    }

    fn discard_rest(&mut self, note: Note<'_>) {
        for finding in self.rest(self.fates.judged) {
            if finding.has_records() {
                note(Rung::Discarded, finding.at(finding.survey.prefix.start));
                self.fates.push(Fate::Discarded);
            } else {
                self.fates.push(Fate::Empty);
            }
        }
    }
}

/// What the frames of all of them claim.
fn claims_of<'a>(all: impl Iterator<Item = &'a Evidence>, claims: Claims) -> Claims {
    all.fold(claims, |claims, finding| {
        claims.and(finding.survey.claims).and(finding.survey.later.claims)
    })
}
