//! Second pass: what becomes of each segment, decided on the findings alone.

use super::finding::Finding;
use super::report::{RecoveryReport, Rung};
use crate::log::LogRole;
use crate::survey::Claims;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::{SegmentKind, SegmentStore};

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its prefix is part of the log.
    Whole,
    /// Set aside; its proved parts are still served.
    Damaged,
    /// Set aside, and no part of the log.
    Discarded,
    /// Holds no record.
    Empty,
}

/// The judgement on all segments.
pub(super) struct Verdict {
    pub(super) fates: Vec<Fate>,
    /// The highest LSN in use.
    pub(super) last: Lsn,
}

/// What a fault between two sound records is.
#[derive(PartialEq, Eq)]
enum Fault {
    /// The records behind it had never been durable.
    Torn,
    Rot,
}

/// Judges all segments, in their order.
pub(super) fn judge<S: SegmentStore>(
    findings: &[Finding<S>],
    role: LogRole,
    report: &mut RecoveryReport,
) -> Verdict {
    let mut judge = Judge { findings, role, fates: Vec::new(), expected: None, previous: None };
    while judge.fates.len() < findings.len() {
        let Some(finding) = findings.get(judge.fates.len()) else { break };
        judge.one(finding, report);
    }
    Verdict { fates: judge.fates, last: judge.expected.unwrap_or(Lsn::FIRST).prev() }
}

struct Judge<'a, S: SegmentStore> {
    findings: &'a [Finding<S>],
    role: LogRole,
    fates: Vec<Fate>,
    /// LSN that the next record must have; unknown before the first.
    expected: Option<Lsn>,
    /// The last segment that holds records of the log, and its place among the findings.
    previous: Option<(usize, &'a Finding<S>)>,
}

impl<'a, S: SegmentStore> Judge<'a, S> {
    fn one(&mut self, finding: &'a Finding<S>, report: &mut RecoveryReport) {
        if !finding.has_records() {
            self.fates.push(Fate::Empty);
            self.begin_behind(finding);
            return;
        }
        let repeats = |expected| finding.survey.highest() < expected || finding.first() < expected;
        if self.expected.is_some_and(repeats) && !finding.survey.later.exhausted {
            self.stale(finding, report);
            return;
        }
        if finding.survey.prefix.count > 0 && !self.follows(finding, report) {
            return;
        }
        let later = finding.survey.later;
        if later.highest == Lsn::ZERO && !later.exhausted {
            self.keep(finding, Fate::Whole, finding.survey.prefix.last());
        } else {
            self.broken(finding, report);
        }
    }

    /// A log that begins with a segment whose records are all gone: where its first record was
    /// follows from what the records behind it say. If they say that it had been durable, it is not
    /// known, and the log begins with them.
    fn begin_behind(&mut self, finding: &Finding<S>) {
        let own = finding.entry.kind == SegmentKind::Log && !finding.survey.blank;
        if self.expected.is_some() || !own {
            return;
        }
        let rest = self.findings.get(self.fates.len()..).unwrap_or_default();
        let with = |claims: Claims, finding: &Finding<S>| {
            claims.and(finding.survey.claims).and(finding.survey.later.claims)
        };
        let claims = rest.iter().fold(Claims::default(), with);
        let first = rest.iter().map(Finding::first).find(|&first| first > Lsn::ZERO);
        if first.is_some_and(|first| claims.never_durable(first.prev())) {
            self.expected = Some(claims.durable.next());
        }
    }

    fn keep(&mut self, finding: &'a Finding<S>, fate: Fate, last: Lsn) {
        self.previous = Some((self.fates.len(), finding));
        self.fates.push(fate);
        self.expected = Some(last.next());
    }

    /// Rung F.
    fn stale(&mut self, finding: &Finding<S>, report: &mut RecoveryReport) {
        if finding.entry.kind == SegmentKind::Log {
            report.note(Rung::StaleSegment, finding.at(finding.survey.prefix.start));
        }
        match self.role {
            LogRole::Leader => self.fates.push(Fate::Discarded),
            LogRole::Follower => self.discard_rest(report),
        }
    }

    /// Whether the first record follows the one before; rungs C, D and E otherwise.
    fn follows(&mut self, finding: &'a Finding<S>, report: &mut RecoveryReport) -> bool {
        let Some(expected) = self.expected.filter(|&expected| finding.first() > expected) else {
            return true;
        };
        let vouched = |(_, previous): (usize, &Finding<S>)| {
            previous.survey.vouches(previous.survey.prefix.end)
        };
        let vouched = self.previous.is_some_and(vouched);
        let fault = self.fault(expected, vouched, Claims::default(), self.fates.len());
        if fault == Fault::Rot {
            self.missing(finding, report);
        }
        let goes_on = fault == Fault::Rot && self.role == LogRole::Leader;
        if !goes_on {
            self.discard_rest(report);
        }
        goes_on
    }

    /// The end of the segment before is damaged, or there was one in between that is missing.
    fn missing(&mut self, finding: &Finding<S>, report: &mut RecoveryReport) {
        let torn = |(_, previous): &(usize, &'a Finding<S>)| {
            let end = previous.survey.prefix.end;
            previous.survey.later.dirty_to > end || previous.survey.vouches(end)
        };
        let Some((at, previous)) = self.previous.filter(torn) else {
            report.note(Rung::Gap, finding.at(finding.survey.prefix.start));
            return;
        };
        let own = previous.entry.kind == SegmentKind::Log;
        if own && self.fates.get(at) == Some(&Fate::Whole) {
            report.note(Rung::RotSegment, previous.at(previous.survey.prefix.end));
        }
        match self.role {
            LogRole::Leader => {
                self.fates.get_mut(at).into_iter().for_each(|fate| *fate = Fate::Damaged)
            }
            LogRole::Follower => {
                self.fates.truncate(at);
                self.expected = Some(previous.first());
            }
        }
    }

    /// A segment with sound records behind bytes that are none: rungs A with C, or D.
    fn broken(&mut self, finding: &'a Finding<S>, report: &mut RecoveryReport) {
        let survey = &finding.survey;
        let bad = survey.prefix.end;
        let first_bad = match survey.prefix.count {
            0 => self.expected.unwrap_or_else(|| finding.first().prev()),
            _ => survey.prefix.last().next(),
        };
        let untrue = survey.later.exhausted || finding.entry.kind != SegmentKind::Log;
        let vouched = untrue || survey.vouches(bad);
        let behind = self.fates.len() + 1;
        if self.fault(first_bad, vouched, survey.later.claims, behind) == Fault::Torn {
            if survey.prefix.count == 0 {
                self.fates.push(Fate::Empty);
            } else {
                self.keep(finding, Fate::Whole, survey.prefix.last());
            }
            self.discard_rest(report);
            return;
        }
        if finding.entry.kind == SegmentKind::Log {
            report.note(Rung::RotSegment, finding.at(bad));
        }
        match self.role {
            LogRole::Leader => self.keep(finding, Fate::Damaged, finding.reached()),
            LogRole::Follower => self.discard_rest(report),
        }
    }

    /// Torn only if every record behind the fault says that the first one missing had not been
    /// durable when it was written, and no header was written behind a sync that covered it.
    fn fault(&self, missing: Lsn, vouched: bool, claims: Claims, behind: usize) -> Fault {
        let rest = self.findings.get(behind..).unwrap_or_default();
        let with = |claims: Claims, finding: &Finding<S>| {
            claims.and(finding.survey.claims).and(finding.survey.later.claims)
        };
        let claims = rest.iter().fold(claims, with);
        if !vouched && claims.never_durable(missing) && !rest.iter().any(Finding::was_synced) {
            Fault::Torn
        } else {
            Fault::Rot
        }
    }

    fn discard_rest(&mut self, report: &mut RecoveryReport) {
        for finding in self.findings.get(self.fates.len()..).unwrap_or_default() {
            if finding.has_records() {
                report.note(Rung::Discarded, finding.at(finding.survey.prefix.start));
                self.fates.push(Fate::Discarded);
            } else {
                self.fates.push(Fate::Empty);
            }
        }
    }
}
