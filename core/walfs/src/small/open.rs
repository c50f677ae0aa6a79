//! The later passes of an opening: judged as any log is, then put together and repaired.

use super::list::{Finding, survey_all};
use super::segments::{Active, Stretch};
use super::{SmallLog, SmallOpenError, SmallReport, io};
use crate::error::OpenError;
use crate::group::Group;
use crate::layout::{FIRST_FRAME, FLAG_DISCARDED, SegmentHeader};
use crate::options::{LogOptions, LogRole};
use crate::recovery::Rung;
use crate::recovery::evidence::Evidence;
use crate::recovery::mend::{self, Course, Leftover, Mend};
use crate::recovery::verdict::{Fate, judge};
use crate::run::Located;
use crate::scan::SegmentScan;
use crate::tail;
use heapless::Vec;
use unison_base::bytes::u32_at;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

pub(super) fn open<'m, S: SegmentStore, const N: usize>(
    store: &'m S,
    options: LogOptions,
    buffer: &'m mut [u8],
    now_ns: u64,
) -> Result<(SmallLog<'m, S, N>, SmallReport), SmallOpenError> {
    let mut report = SmallReport::default();
    let findings = survey_all::<S, N>(store, options.role, buffer)?;
    let mut fates = [Fate::Empty; N];
    let mut note = |rung, at| report.note(rung, at);
    let last = judge(&findings, &options, &mut fates, &mut note);
    let log = SmallLog {
        store,
        options,
        sealed: Vec::new(),
        active: None,
        last_id: SegmentId::default(),
        group: Group::over(buffer),
        appended: last,
        durable: last,
        newest: None,
        poisoned: false,
    };
    let mut builder = Builder { log, report, damaged: Vec::new(), leftover: None, now_ns };
    builder.add(&findings, &fates)?;
    builder.finish()
}

struct Builder<'m, S: SegmentStore, const N: usize> {
    log: SmallLog<'m, S, N>,
    report: SmallReport,
    /// Damaged segments that are still to be set aside.
    damaged: Vec<SegmentId, N>,
    /// A segment that takes the next records.
    leftover: Option<Active<S::File>>,
    now_ns: u64,
}

impl<'m, S: SegmentStore, const N: usize> Builder<'m, S, N> {
    /// Discarded segments go first and from the newest down, so that a power cut in the middle
    /// leaves what the same judgement fits.
    fn add(&mut self, findings: &[Finding], fates: &[Fate]) -> Result<(), OpenError> {
        let judged = || findings.iter().zip(fates);
        let newest = judged().rposition(|(_, fate)| matches!(fate, Fate::Whole | Fate::Damaged));
        for (finding, _) in judged().rev().filter(|(_, fate)| **fate == Fate::Discarded) {
            self.discard(&finding.evidence)?;
        }
        for (at, (finding, fate)) in judged().enumerate() {
            let behind = newest.is_none_or(|newest| at > newest);
            match fate {
                Fate::Whole => self.whole(finding, newest == Some(at))?,
                Fate::Damaged => self.damaged(&finding.evidence)?,
                Fate::Empty => self.empty(&finding.evidence, behind)?,
                Fate::Discarded => {}
            }
        }
        Ok(())
    }

    fn file(&self, evidence: &Evidence) -> Result<S::File, OpenError> {
        let (id, kind) = (evidence.entry.id, evidence.entry.kind);
        self.log.store.open(id, kind).map_err(io(id))
    }

    fn whole(&mut self, finding: &Finding, newest: bool) -> Result<(), OpenError> {
        let evidence = &finding.evidence;
        let (prefix, own) = (evidence.survey.prefix, evidence.entry.kind == SegmentKind::Log);
        let course = Course::of(evidence, newest, self.log.appended);
        if let Some(rung) = course.torn {
            self.report.note(rung, evidence.at(prefix.end));
        }
        let file = self.file(evidence)?;
        if course.unproved {
            self.make_durable(&file, evidence, prefix.end)?;
        }
        let header = mend::header_of(evidence, course.flags(), self.now_ns);
        self.mend_header(&file, evidence, &header, course.torn.is_some());
        if course.was_sealed {
            self.report.note(Rung::SealedNewest, evidence.at(0));
        }
        let stretch = self.stretch(evidence);
        if newest && prefix.last() == self.log.appended {
            self.log.newest = Some(located(&file, &stretch, finding.newest_at)?);
        }
        if course.sealed || !own {
            self.push(stretch)
        } else {
            let (created_ns, dirty_to) = (header.created_ns, evidence.survey.later.dirty_to);
            self.log.active = Some(Active { stretch, file, created_ns, dirty_to });
            Ok(())
        }
    }

    fn stretch(&mut self, evidence: &Evidence) -> Stretch {
        let (entry, prefix) = (evidence.entry, evidence.survey.prefix);
        self.log.last_id = self.log.last_id.max(entry.id);
        let (first, count, end) = (prefix.first, prefix.count, prefix.end);
        let (id, kind, size) = (entry.id, entry.kind, entry.size);
        Stretch { id, kind, size, first, count, end, damaged: false }
    }

    fn push(&mut self, stretch: Stretch) -> Result<(), OpenError> {
        // There are at most as many findings as places.
        self.log.sealed.push(stretch).map_err(|stretch| io(stretch.id)(IoError::NoSpace))
    }

    /// Rung D: of a damaged segment the prefix is served, and the rest reads as a gap.
    fn damaged(&mut self, evidence: &Evidence) -> Result<(), OpenError> {
        let own = evidence.entry.kind == SegmentKind::Log;
        if own {
            let file = self.file(evidence)?;
            self.make_durable(&file, evidence, evidence.survey.later.dirty_to)?;
        }
        let damaged = evidence.reached() > Lsn::ZERO;
        let stretch = Stretch { damaged, ..self.stretch(evidence) };
        if own {
            let full = |id| io(id)(IoError::NoSpace);
            self.damaged.push(stretch.id).map_err(full)?;
        }
        // One of the log takes a place in the table as long as it is one, whatever it holds.
        if own || stretch.count > 0 { self.push(stretch) } else { Ok(()) }
    }

    /// Segments without records: rung H, one made ahead, or what is left of a write.
    fn empty(&mut self, evidence: &Evidence, behind: bool) -> Result<(), OpenError> {
        let (id, survey) = (evidence.entry.id, &evidence.survey);
        if survey.later.dirty_to > FIRST_FRAME && behind && !survey.blank {
            self.report.note(Rung::TornTail, evidence.at(FIRST_FRAME));
        }
        let options = self.log.options;
        let usable = options.role == LogRole::Leader && self.leftover.is_none();
        match mend::leftover(evidence, behind, usable, options.segment_bytes) {
            Leftover::Absent => {
                self.report.note(Rung::EmptySegment, evidence.at(0));
                Ok(())
            }
            Leftover::Next(header) => self.take_up(evidence, &header),
            Leftover::Unused => tail::remove_unused(self.log.store, id),
            Leftover::Stray => self.discard(evidence),
            Leftover::Rot => {
                self.report.note(Rung::RotSegment, evidence.at(0));
                self.set_aside(id)
            }
        }
    }

    fn take_up(&mut self, evidence: &Evidence, header: &SegmentHeader) -> Result<(), OpenError> {
        let (entry, dirty_to) = (evidence.entry, evidence.survey.later.dirty_to);
        let (id, kind, size, end) = (entry.id, entry.kind, entry.size, FIRST_FRAME);
        let (first, count, damaged) = (Lsn::ZERO, 0, false);
        let stretch = Stretch { id, kind, size, first, count, end, damaged };
        let (file, created_ns) = (self.file(evidence)?, header.created_ns);
        self.leftover = Some(Active { stretch, file, created_ns, dirty_to });
        Ok(())
    }

    fn discard(&mut self, evidence: &Evidence) -> Result<(), OpenError> {
        if evidence.entry.kind == SegmentKind::Aside {
            return Ok(());
        }
        let header = mend::header_of(evidence, FLAG_DISCARDED, self.now_ns);
        let file = self.file(evidence)?;
        self.repair(&file, &header, evidence.at(0));
        self.set_aside(evidence.entry.id)
    }

    fn set_aside(&self, id: SegmentId) -> Result<(), OpenError> {
        self.log.store.set_kind(id, SegmentKind::Log, SegmentKind::Aside).map_err(io(id))
    }

    /// Rung G, and what a crash kept from being written.
    fn mend_header(
        &mut self,
        file: &S::File,
        evidence: &Evidence,
        wanted: &SegmentHeader,
        torn: bool,
    ) {
        let mend = mend::header(evidence, wanted, self.log.options.role);
        if mend == Mend::Rebuild && !torn {
            self.report.note(Rung::HeaderRebuilt, evidence.at(0));
        }
        match mend {
            Mend::Nothing => {}
            Mend::Advance => drop(file.write_at(0, &wanted.encode())),
            Mend::Seal | Mend::Rebuild => self.repair(file, wanted, evidence.at(0)),
        }
    }

    /// Writes a header; that it could not be written is no reason not to start.
    fn repair(&mut self, file: &S::File, header: &SegmentHeader, at: Position) {
        if file.write_at(0, &header.encode()).and_then(|()| file.sync()).is_err() {
            self.report.note(Rung::RepairFailed, at);
        }
    }

    /// Records that neither the header nor any behind them calls durable are written once more, as they
    /// are, before they are synced: after a failed sync a later one proves nothing about what was read
    /// (A3). Where that fails nobody can say what is durable, and the log is not opened.
    fn make_durable(
        &mut self,
        file: &S::File,
        evidence: &Evidence,
        end: u64,
    ) -> Result<(), OpenError> {
        let id = evidence.entry.id;
        let known = mend::known_durable(&evidence.survey, self.log.options.role);
        let buffer = self.log.group.memory();
        let start = offset_of(file, known.min(evidence.survey.prefix.count), buffer);
        let start = start.max(evidence.survey.synced_to());
        tail::copy(file, file, start, end, buffer).and_then(|()| file.sync()).map_err(io(id))
    }

    /// A damaged segment is set aside only when the log has a later one, from whose number the next
    /// opening sees that it is part of the history. If none can be made now, the next opening tries;
    /// until then it keeps its place in the table, so that the medium never has more of them.
    fn finish(mut self) -> Result<(SmallLog<'m, S, N>, SmallReport), SmallOpenError> {
        self.activate_leftover()?;
        let newest = self.damaged.last().is_some_and(|&id| id == self.log.last_id);
        if newest && self.log.begin_next(self.now_ns).is_err() {
            self.report.note(Rung::RepairFailed, Position::default());
        } else {
            for id in core::mem::take(&mut self.damaged) {
                self.set_aside(id)?;
                self.log.sealed.retain(|stretch| stretch.id != id || stretch.count > 0);
                let aside = self.log.sealed.iter_mut().filter(|stretch| stretch.id == id);
                aside.for_each(|stretch| stretch.kind = SegmentKind::Aside);
            }
        }
        (self.report.first, self.report.last) = (self.log.first(), self.log.appended);
        Ok((self.log, self.report))
    }

    /// A segment made ahead takes the next records, or goes when another one still does.
    fn activate_leftover(&mut self) -> Result<(), OpenError> {
        let Some(mut leftover) = self.leftover.take() else { return Ok(()) };
        let id = leftover.stretch.id;
        if self.log.active.is_some() {
            drop(leftover);
            return tail::remove_unused(self.log.store, id);
        }
        leftover.stretch.first = self.log.appended.next();
        self.log.last_id = id;
        self.log.active = Some(leftover);
        Ok(())
    }
}

fn located<F: SegmentFile>(file: &F, stretch: &Stretch, at: u64) -> Result<Located, OpenError> {
    let mut word = [0; 4];
    file.read_at(at, &mut word).map_err(io(stretch.id))?;
    Ok(Located { position: stretch.position(at), crc: u32_at(&word, 0).unwrap_or_default() })
}

/// Where the frame behind the first `count` starts; the first frame when that cannot be found out.
fn offset_of<F: SegmentFile>(file: &F, count: u64, buffer: &mut [u8]) -> u64 {
    let mut scan = SegmentScan::new(file, buffer);
    for _ in 0..count {
        if !scan.step().is_ok_and(|step| step.is_some()) {
            return FIRST_FRAME;
        }
    }
    scan.offset()
}
