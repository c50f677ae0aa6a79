//! Third pass: the log is put together, and repairs are written.

use super::finding::{Finding, Listing};
use super::mend::{self, Course, Leftover, Mend};
use super::report::RecoveryReport;
use super::rung::Rung;
use super::verdict::Fate;
use crate::error::OpenError;
use crate::index::SparseIndex;
use crate::layout::{FIRST_FRAME, FLAG_DISCARDED, SegmentHeader};
use crate::log::{Active, Log};
use crate::options::LogRole;
use crate::rotation::{Next, Prepared};
use crate::survey::Island;
use crate::table::{Extent, ExtentSource, Segment};
use crate::tail;
use crate::window::CHUNK_BYTES;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};

pub(super) struct Builder<S: SegmentStore> {
    log: Log<S>,
    report: RecoveryReport,
    extents: Vec<Arc<Extent<S>>>,
    /// Damaged segments that are still to be set aside.
    damaged: Vec<Arc<Segment<S>>>,
}

impl<S: SegmentStore> Builder<S> {
    pub(super) const fn new(log: Log<S>, report: RecoveryReport) -> Self {
        Self { log, report, extents: Vec::new(), damaged: Vec::new() }
    }

    pub(super) fn add_listed(&mut self, listing: &Listing) {
        let segment = |entry: &unison_ports::SegmentEntry| {
            Segment::new(entry.id, entry.kind, entry.size, None)
        };
        self.log.shared.change(|table| {
            table.values = listing.values.iter().map(segment).collect();
            table.aside = listing.aside.iter().map(segment).collect();
        });
    }

    /// Discarded segments go first and from the newest down, so that a power cut in the middle
    /// leaves what the same judgement fits.
    pub(super) fn add_findings(
        &mut self,
        findings: Vec<Finding<S>>,
        fates: &[Fate],
    ) -> Result<(), OpenError> {
        let newest = fates.iter().rposition(|fate| matches!(fate, Fate::Whole | Fate::Damaged));
        let discarded = |(_, fate): &(&Finding<S>, &Fate)| **fate == Fate::Discarded;
        for (finding, _) in findings.iter().zip(fates).filter(discarded).rev() {
            self.discard(finding)?;
        }
        let firsts: Vec<Lsn> = findings.iter().map(|finding| finding.evidence.first()).collect();
        for (at, (finding, fate)) in findings.into_iter().zip(fates).enumerate() {
            match fate {
                Fate::Whole => self.whole(finding, newest == Some(at))?,
                Fate::Damaged => {
                    let next = firsts.get(at + 1..).unwrap_or_default();
                    let next = next.iter().copied().find(|&first| first > Lsn::ZERO);
                    self.damaged(finding, next)?;
                }
                Fate::Empty => self.empty(&finding, newest.is_none_or(|newest| at > newest))?,
                Fate::Discarded => {}
            }
        }
        Ok(())
    }

    fn discard(&mut self, finding: &Finding<S>) -> Result<(), OpenError> {
        if finding.evidence.entry.kind == SegmentKind::Aside {
            return Ok(());
        }
        let header = mend::header_of(&finding.evidence, FLAG_DISCARDED, self.log.now_ns);
        let file = self.file(finding)?;
        self.repair(&file, &header, finding.evidence.at(0));
        self.set_aside(&finding.segment)?;
        finding.segment.rest();
        Ok(())
    }

    fn file(&self, finding: &Finding<S>) -> Result<Arc<S::File>, OpenError> {
        let opened = finding.segment.file(&self.log.shared.store);
        opened.map_err(|cause| OpenError::io(finding.evidence.entry.id, cause))
    }

    /// What was read after a crash may be in a cache only, and after a failed sync a later one proves
    /// nothing about it (A3). So records that neither the header nor any behind them calls durable are
    /// written once more, as they are, before they are synced and anybody is told of them. Where that
    /// fails nobody can say what is durable, and the log is not opened.
    fn make_durable(&mut self, finding: &Finding<S>, end: u64) -> Result<(), OpenError> {
        let file = self.file(finding)?;
        let known = mend::known_durable(&finding.evidence.survey, self.log.options.role);
        let noted = finding.index.as_ref().and_then(|index| index.before(known));
        let start = noted.map_or(FIRST_FRAME, |(_, offset)| offset);
        let start = start.max(finding.evidence.survey.synced_to());
        tail::copy(&*file, &*file, start, end, &mut vec![0; CHUNK_BYTES])
            .and_then(|()| file.sync())
            .map_err(|cause| OpenError::io(finding.evidence.entry.id, cause))
    }

    fn set_aside(&mut self, segment: &Arc<Segment<S>>) -> Result<(), OpenError> {
        let store = &self.log.shared.store;
        store
            .set_kind(segment.id, SegmentKind::Log, SegmentKind::Aside)
            .map_err(|cause| OpenError::io(segment.id, cause))?;
        segment.set_kind(SegmentKind::Aside);
        self.log.shared.change(|table| table.add_aside(Arc::clone(segment)));
        Ok(())
    }

    /// Writes a header; that it could not be written is no reason not to start.
    fn repair(&mut self, file: &S::File, header: &SegmentHeader, at: Position) {
        let written = file.write_at(0, &header.encode()).and_then(|()| file.sync());
        if written.is_err() {
            self.report.note(Rung::RepairFailed, at);
        }
    }

    fn whole(&mut self, mut finding: Finding<S>, newest: bool) -> Result<(), OpenError> {
        let evidence = finding.evidence;
        let (prefix, own) = (evidence.survey.prefix, evidence.entry.kind == SegmentKind::Log);
        let course = Course::of(&evidence, newest, self.log.appended());
        if let Some(rung) = course.torn {
            self.report.note(rung, evidence.at(prefix.end));
        }
        if course.unproved {
            self.make_durable(&finding, prefix.end)?;
        }
        let header = mend::header_of(&evidence, course.flags(), self.log.now_ns);
        let on_disk = self.mend_header(&finding, header, course.torn.is_some())?;
        let index = finding.index.take();
        let extent = self.extent(&finding, prefix, course.sealed, !own, index);
        self.log.last_id = self.log.last_id.max(evidence.entry.id);
        if course.was_sealed {
            self.report.note(Rung::SealedNewest, evidence.at(0));
        }
        if course.sealed {
            finding.segment.rest();
        } else {
            let (file, dirty_to) = (self.file(&finding)?, evidence.survey.later.dirty_to);
            self.log.active = Some(Active { extent, file, dirty_to, header: on_disk });
        }
        Ok(())
    }

    /// Rung G, and what a crash kept from being written. Returns the header on the medium.
    fn mend_header(
        &mut self,
        finding: &Finding<S>,
        wanted: SegmentHeader,
        torn: bool,
    ) -> Result<Option<SegmentHeader>, OpenError> {
        let mend = mend::header(&finding.evidence, &wanted, self.log.options.role);
        if mend == Mend::Nothing {
            return Ok(finding.evidence.survey.header.ok());
        }
        if mend == Mend::Rebuild && !torn {
            self.report.note(Rung::HeaderRebuilt, finding.evidence.at(0));
        }
        let file = self.file(finding)?;
        if mend == Mend::Advance {
            return Ok(file.write_at(0, &wanted.encode()).ok().map(|()| wanted));
        }
        self.repair(&file, &wanted, finding.evidence.at(0));
        Ok(Some(wanted))
    }

    fn extent(
        &mut self,
        finding: &Finding<S>,
        island: Island,
        sealed: bool,
        damaged: bool,
        index: Option<SparseIndex>,
    ) -> Arc<Extent<S>> {
        let header = finding.evidence.survey.header.ok();
        let source = ExtentSource {
            island,
            sealed,
            damaged,
            created_ns: header.map_or(self.log.now_ns, |header| header.created_ns),
            modified_ns: header.map_or(self.log.now_ns, |header| header.modified_ns),
            index,
        };
        let extent = Extent::new(Arc::clone(&finding.segment), source);
        self.extents.push(Arc::clone(&extent));
        extent
    }

    /// Rung D. What is served: the prefix; what follows a frame whose length and trailer are sound;
    /// and the end, when it meets the next segment or what the header says.
    fn damaged(&mut self, mut finding: Finding<S>, next: Option<Lsn>) -> Result<(), OpenError> {
        let survey = finding.evidence.survey;
        if finding.evidence.entry.kind == SegmentKind::Log {
            self.make_durable(&finding, survey.later.dirty_to)?;
        }
        let meets = |island: &Island| {
            let said = survey.header.is_ok_and(|header| {
                header.write_offset == island.end && header.last_lsn() == island.last()
            });
            said || next == Some(island.last().next())
        };
        let proved = |island: &Island| island.anchored || meets(island);
        let islands: Vec<Island> = finding.islands.iter().filter(|i| proved(i)).copied().collect();
        let index = finding.index.take();
        if survey.prefix.count > 0 {
            self.extent(&finding, survey.prefix, true, true, index);
        }
        for island in islands {
            self.extent(&finding, island, true, true, None);
        }
        self.log.last_id = self.log.last_id.max(finding.evidence.entry.id);
        if finding.evidence.entry.kind == SegmentKind::Log {
            finding.segment.rest();
            self.damaged.push(finding.segment);
        }
        Ok(())
    }

    /// Segments without records: rung H, one made ahead, or what is left of a write.
    fn empty(&mut self, finding: &Finding<S>, behind: bool) -> Result<(), OpenError> {
        let (id, survey) = (finding.evidence.entry.id, &finding.evidence.survey);
        if survey.later.dirty_to > FIRST_FRAME && behind && !survey.blank {
            self.report.note(Rung::TornTail, finding.evidence.at(FIRST_FRAME));
        }
        let usable = self.log.options.role == LogRole::Leader && self.log.next.size().is_none();
        match mend::leftover(&finding.evidence, behind, usable, self.log.options.segment_bytes) {
            Leftover::Absent => {
                self.report.note(Rung::EmptySegment, finding.evidence.at(0));
                Ok(())
            }
            Leftover::Next(header) => {
                let (file, dirty_to) = (self.file(finding)?, survey.later.dirty_to);
                self.log.next = Next::ready(Prepared::found(id, header, file, dirty_to));
                self.log.last_id = SegmentId(id.0.saturating_sub(1));
                Ok(())
            }
            Leftover::Unused => tail::remove_unused(&*self.log.shared.store, id),
            Leftover::Stray => self.discard(finding),
            Leftover::Rot => {
                self.report.note(Rung::RotSegment, finding.evidence.at(0));
                self.set_aside(&finding.segment)
            }
        }
    }

    /// A damaged segment is set aside only when the log has a later one, from whose number the next
    /// opening sees that it is part of the history. If none can be made now, the next append does.
    pub(super) fn finish(mut self) -> Result<(Log<S>, RecoveryReport), OpenError> {
        let extents = core::mem::take(&mut self.extents);
        self.log.shared.change(|table| table.extents = extents);
        let newest = self.damaged.last().is_some_and(|segment| segment.id == self.log.last_id);
        if newest && self.log.create_first(self.log.now_ns).is_err() {
            self.report.note(Rung::RepairFailed, Position::default());
            return Ok((self.log, self.report));
        }
        for segment in core::mem::take(&mut self.damaged) {
            self.set_aside(&segment)?;
        }
        Ok((self.log, self.report))
    }
}
