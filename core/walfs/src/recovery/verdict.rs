//! Second pass: what becomes of each segment, decided on the findings alone.

use super::evidence::Evidence;
use super::rung::Rung;
use crate::layout::FIRST_FRAME;
use crate::options::{LogOptions, LogRole};
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The records behind it had never been durable.
    Torn,
    /// A follower's: either.
    Unproved,
    Rot,
}

/// Judges all segments, in their order. `fates` takes one fate for each; the highest LSN in use is
/// returned.
pub(crate) fn judge<E: AsRef<Evidence>>(
    findings: &[E],
    options: &LogOptions,
    fates: &mut [Fate],
    note: Note<'_>,
) -> Lsn {
    let fates = Fates { slots: fates, judged: 0 };
    let role = options.role;
    let mut judge = Judge { findings, role, fates, expected: None, previous: None };
    while judge.fates.judged < findings.len() {
        let Some(finding) = findings.get(judge.fates.judged) else { break };
        judge.one(finding.as_ref(), note);
    }
    let known = options.verify_from.prev();
    if role == LogRole::Leader && judge.last() < known {
        note(Rung::Gap, Position::default());
        return known;
    }
    judge.last()
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

    /// The highest LSN in use. Of a segment that ends the log and was not searched to its end more may
    /// have been acknowledged than is seen.
    fn last(&self) -> Lsn {
        let next = self.expected.unwrap_or(Lsn::FIRST);
        let newest = self.previous.filter(|_| self.role == LogRole::Leader);
        next.prev().plus(newest.map_or(0, |(_, newest)| newest.unseen()))
    }

    fn one(&mut self, finding: &'a Evidence, note: Note<'_>) {
        if !finding.has_records() {
            self.fates.push(Fate::Empty);
            self.begin_behind(finding, note);
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

    /// A log that begins with a segment whose records are all gone.
    fn begin_behind(&mut self, finding: &Evidence, note: Note<'_>) {
        let own = finding.entry.kind == SegmentKind::Log && !finding.survey.blank;
        if self.expected.is_some() || !own {
            return;
        }
        match self.role {
            LogRole::Leader => self.find_first(),
            LogRole::Follower => self.first_is_gone(finding, note),
        }
    }

    /// Where its first record was follows from what the records behind it say. If they say that it
    /// had been durable, it is not known, and the log begins with them.
    fn find_first(&mut self) {
        let rest = self.rest(self.fates.judged);
        let claims = claims_of(rest.clone(), Claims::default());
        let first = rest.map(Evidence::first).find(|&first| first > Lsn::ZERO);
        if first.is_some_and(|first| claims.never_durable(first.prev())) {
            self.expected = Some(claims.durable.next());
        }
    }

    /// A follower makes a segment for records that it has, so some were there.
    fn first_is_gone(&mut self, finding: &Evidence, note: Note<'_>) {
        let behind = self.fates.judged;
        if !self.rest(behind).any(Evidence::has_records) {
            return;
        }
        let vouched = finding.survey.vouches(FIRST_FRAME);
        let rung = match self.fault(Lsn::FIRST, vouched, Claims::default(), behind) {
            Fault::Rot => Rung::RotSegment,
            Fault::Torn | Fault::Unproved => Rung::UnprovedHole,
        };
        note(rung, finding.at(FIRST_FRAME));
        self.discard_rest(note);
    }

    fn keep(&mut self, finding: &'a Evidence, fate: Fate, last: Lsn) {
        self.previous = Some((self.fates.judged, finding));
        self.fates.push(fate);
        self.expected = self.expected.max(Some(last.next()));
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

    /// Whether the first record follows the one before; rungs C, D, E and K otherwise.
    fn follows(&mut self, finding: &'a Evidence, note: Note<'_>) -> bool {
        let Some(expected) = self.expected.filter(|&expected| finding.first() > expected) else {
            return true;
        };
        let vouched = self.previous.is_some_and(|(at, previous)| {
            let between = self.rest(at + 1).take(self.fates.judged - at - 1);
            previous.survey.vouches(previous.survey.prefix.end)
                || between.into_iter().any(Evidence::was_synced)
        });
        let fault = self.fault(expected, vouched, Claims::default(), self.fates.judged);
        match fault {
            Fault::Torn => {}
            Fault::Unproved => self.hole_before(finding, note),
            Fault::Rot => self.missing(finding, note),
        }
        let goes_on = fault == Fault::Rot && self.role == LogRole::Leader;
        if !goes_on {
            self.discard_rest(note);
        }
        goes_on
    }

    /// Rung K, or E where a segment is not there at all: making one is durable before it is written to.
    fn hole_before(&self, finding: &Evidence, note: Note<'_>) {
        let start = finding.at(finding.survey.prefix.start);
        let Some((at, previous)) = self.previous else { return note(Rung::UnprovedHole, start) };
        let numbers = finding.entry.id.0.saturating_sub(previous.entry.id.0);
        if usize::try_from(numbers) == Ok(self.fates.judged - at) {
            note(Rung::UnprovedHole, previous.at(previous.survey.prefix.end));
        } else {
            note(Rung::Gap, start);
        }
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

    /// A segment with sound records behind bytes that are none: rungs A with C, D or K.
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
        let fault = self.fault(first_bad, vouched, survey.later.claims, behind);
        if fault == Fault::Unproved {
            note(Rung::UnprovedHole, finding.at(bad));
        }
        if fault != Fault::Rot {
            return self.cut_before(finding, note);
        }
        if finding.entry.kind == SegmentKind::Log {
            note(Rung::RotSegment, finding.at(bad));
        }
        match self.role {
            LogRole::Leader => self.keep(finding, Fate::Damaged, finding.reached()),
            LogRole::Follower => self.discard_rest(note),
        }
    }

    /// The log ends with the prefix.
    fn cut_before(&mut self, finding: &'a Evidence, note: Note<'_>) {
        if finding.survey.prefix.count == 0 {
            self.fates.push(Fate::Empty);
        } else {
            self.keep(finding, Fate::Whole, finding.survey.prefix.last());
        }
        self.discard_rest(note);
    }

    /// Torn only if every record behind the fault says that the first one missing had not been
    /// durable when it was written, and no header was written behind a sync that covered it. What
    /// records say is true of their leader's medium. A follower goes by the headers alone: what it cuts
    /// is fetched again, and what it had acknowledged lies before the cut.
    fn fault(&self, missing: Lsn, vouched: bool, claims: Claims, behind: usize) -> Fault {
        let claims = claims_of(self.rest(behind), claims);
        let synced = self.rest(behind).any(Evidence::was_synced);
        match self.role {
            _ if vouched || synced => Fault::Rot,
            LogRole::Follower => Fault::Unproved,
            LogRole::Leader if claims.never_durable(missing) => Fault::Torn,
            LogRole::Leader => Fault::Rot,
        }
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
