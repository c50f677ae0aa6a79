//! Third pass: the log is put together, and repairs are written.

use super::finding::{Finding, Listing};
use super::report::{RecoveryReport, Rung};
use super::verdict::{Fate, Verdict};
use crate::error::OpenError;
use crate::index::SparseIndex;
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE, FLAG_DISCARDED, FLAG_SEALED, MARKER, SegmentHeader};
use crate::log::{Active, Log, LogRole};
use crate::rotation::{Next, Prepared};
use crate::survey::Island;
use crate::table::{Extent, ExtentSource, Segment};
use crate::window::CHUNK_BYTES;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

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
        verdict: &Verdict,
    ) -> Result<(), OpenError> {
        let newest =
            verdict.fates.iter().rposition(|fate| matches!(fate, Fate::Whole | Fate::Damaged));
        let discarded = |(_, fate): &(&Finding<S>, &Fate)| **fate == Fate::Discarded;
        for (finding, _) in findings.iter().zip(&verdict.fates).filter(discarded).rev() {
            self.discard(finding)?;
        }
        let firsts: Vec<Lsn> = findings.iter().map(Finding::first).collect();
        for (at, (finding, fate)) in findings.into_iter().zip(&verdict.fates).enumerate() {
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
        if finding.entry.kind == SegmentKind::Aside {
            return Ok(());
        }
        let header = header_of(finding, finding.survey.prefix, FLAG_DISCARDED, self.log.now_ns);
        let file = self.file(finding)?;
        self.repair(&file, &header, finding.at(0));
        self.set_aside(&finding.segment)?;
        finding.segment.rest();
        Ok(())
    }

    fn file(&self, finding: &Finding<S>) -> Result<Arc<S::File>, OpenError> {
        let opened = finding.segment.file(&self.log.shared.store);
        opened.map_err(|cause| OpenError::io(finding.entry.id, cause))
    }

    /// What was read after a crash may be in a cache only, and after a failed sync a later one proves
    /// nothing about it (A3). So records that none behind them calls durable are written once more,
    /// as they are, before they are synced and anybody is told of them. Where that fails the log can
    /// be read, and takes no writes before it is opened again.
    fn make_durable(&mut self, finding: &Finding<S>, end: u64) -> Result<(), OpenError> {
        let file = self.file(finding)?;
        let (prefix, claims) = (finding.survey.prefix, finding.survey.claims);
        let known = if claims.silent == 0 { claims.durable.next().since(prefix.first) } else { 0 };
        let noted = finding.index.as_ref().and_then(|index| index.before(known));
        let start = noted.map_or(FIRST_FRAME, |(_, offset)| offset);
        if write_again(&*file, start, end).is_err() {
            self.log.poison();
            self.report.note(Rung::RepairFailed, finding.at(start));
        }
        file.sync().map_err(|cause| OpenError::io(finding.entry.id, cause))
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
        let own = finding.entry.kind == SegmentKind::Log;
        let prefix = finding.survey.prefix;
        let torn = self.note_tail(&finding, newest && own);
        let sealed_before = finding.survey.header.is_ok_and(|header| header.is_sealed());
        let continues = newest && own && prefix.last() == self.log.appended();
        let sealed = !continues || (sealed_before && !torn);
        if own && !finding.survey.vouches(prefix.end - 1) {
            self.make_durable(&finding, prefix.end)?;
        }
        let flags = if sealed { FLAG_SEALED } else { FLAG_ACTIVE };
        let header = header_of(&finding, prefix, flags, self.log.now_ns);
        let on_disk = self.mend_header(&finding, header, torn)?;
        let index = finding.index.take();
        let extent = self.extent(&finding, prefix, sealed, !own, index);
        self.log.last_id = self.log.last_id.max(finding.entry.id);
        if sealed && newest && own && sealed_before {
            self.report.note(Rung::SealedNewest, finding.at(0));
        }
        if !sealed {
            let dirty_to = finding.survey.later.dirty_to;
            let file = self.file(&finding)?;
            self.log.active = Some(Active { extent, file, dirty_to, header: on_disk });
        } else {
            finding.segment.rest();
        }
        Ok(())
    }

    /// Rungs A and B: whether the newest segment was cut.
    fn note_tail(&mut self, finding: &Finding<S>, newest: bool) -> bool {
        let survey = &finding.survey;
        let end = survey.prefix.end;
        let lost = survey.vouches(end);
        let exact = |header: SegmentHeader| header.is_sealed() && header.write_offset == end;
        let dirty = survey.later.dirty_to > end && !survey.header.is_ok_and(exact);
        let torn = newest && (lost || dirty);
        if torn {
            self.report.note(if lost { Rung::LostTail } else { Rung::TornTail }, finding.at(end));
        }
        torn
    }

    /// Rung G, and the seal that a crash kept from being written. Returns the header on the medium.
    fn mend_header(
        &mut self,
        finding: &Finding<S>,
        wanted: SegmentHeader,
        torn: bool,
    ) -> Result<Option<SegmentHeader>, OpenError> {
        let found = finding.survey.header.ok();
        let fit = found.map_or(Fit::Wrong, |found| Fit::of(found, wanted, finding.entry.size));
        let left_alone = match fit {
            Fit::Right => true,
            Fit::Behind => wanted.flags == FLAG_ACTIVE,
            Fit::Wrong => false,
        };
        if left_alone || finding.entry.kind != SegmentKind::Log {
            return Ok(found);
        }
        if fit == Fit::Wrong && !torn {
            self.report.note(Rung::HeaderRebuilt, finding.at(0));
        }
        let file = self.file(finding)?;
        self.repair(&file, &wanted, finding.at(0));
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
        let header = finding.survey.header.ok();
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
        let survey = finding.survey;
        if finding.entry.kind == SegmentKind::Log {
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
        self.log.last_id = self.log.last_id.max(finding.entry.id);
        if finding.entry.kind == SegmentKind::Log {
            finding.segment.rest();
            self.damaged.push(finding.segment);
        }
        Ok(())
    }

    /// Segments without records: rung H, one made ahead, or what is left of a write.
    fn empty(&mut self, finding: &Finding<S>, behind: bool) -> Result<(), OpenError> {
        let id = finding.entry.id;
        if finding.survey.blank {
            self.report.note(Rung::EmptySegment, finding.at(0));
            return Ok(());
        }
        let sound = finding.survey.header.ok().filter(|header| header.entry_count == 0);
        let dirty = finding.survey.later.dirty_to > FIRST_FRAME;
        if dirty && behind {
            self.report.note(Rung::TornTail, finding.at(FIRST_FRAME));
        }
        match sound {
            Some(header) if behind && self.is_usable(finding, header) => {
                let (file, dirty_to) = (self.file(finding)?, finding.survey.later.dirty_to);
                self.log.next = Next::ready(Prepared::found(id, header, file, dirty_to));
                self.log.last_id = SegmentId(id.0.saturating_sub(1));
                Ok(())
            }
            Some(_) if !dirty => self.remove_unused(id),
            // Marked, so that the next opening does not take its stray frames for history.
            _ if behind => self.discard(finding),
            _ => {
                self.report.note(Rung::RotSegment, finding.at(0));
                self.set_aside(&finding.segment)
            }
        }
    }

    fn is_usable(&self, finding: &Finding<S>, header: SegmentHeader) -> bool {
        self.log.options.role == LogRole::Leader
            && self.log.next.size().is_none()
            && !header.is_sealed()
            && finding.entry.size >= self.log.options.segment_bytes
    }

    /// A segment that never held a record.
    fn remove_unused(&mut self, id: SegmentId) -> Result<(), OpenError> {
        match self.log.shared.store.remove(id, SegmentKind::Log) {
            Ok(()) | Err(IoError::NotFound) => Ok(()),
            Err(cause) => Err(OpenError::io(id, cause)),
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

/// Reads bytes and writes them where they are.
fn write_again<F: SegmentFile>(file: &F, mut offset: u64, end: u64) -> Result<(), IoError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while offset < end {
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let chunk = left.min(buffer.len());
        let bytes = buffer.get_mut(..chunk).unwrap_or_default();
        file.read_at(offset, bytes)?;
        file.write_at(offset, bytes)?;
        offset = offset.saturating_add(bytes.len() as u64);
    }
    Ok(())
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
    fn of(found: SegmentHeader, wanted: SegmentHeader, size: u64) -> Self {
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
            (true, _) => Self::Right,
            (false, true) => Self::Behind,
            (false, false) => Self::Wrong,
        }
    }
}

/// The header that fits the frames.
fn header_of<S: SegmentStore>(
    finding: &Finding<S>,
    prefix: Island,
    flags: u32,
    now_ns: u64,
) -> SegmentHeader {
    let found = finding.survey.header.ok();
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
