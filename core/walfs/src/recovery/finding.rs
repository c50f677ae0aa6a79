//! First pass: what each segment holds.

use super::evidence::{Evidence, history};
use crate::error::OpenError;
use crate::index::SparseIndex;
use crate::layout::{FIRST_FRAME, HEADER_BYTES, SegmentHeader};
use crate::options::{LogOptions, LogRole};
use crate::scan::{ScanError, SegmentScan, Stop};
use crate::survey::{Claims, Island, Later, Survey, Witness, survey};
use crate::table::Segment;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// Parts of a damaged segment that are remembered.
const ISLANDS_MAX: usize = 256;
/// Segments whose index from the scan is kept.
const INDEXED_MAX: usize = 64;

/// A segment, and what is in it.
pub(super) struct Finding<S: SegmentStore> {
    pub(super) evidence: Evidence,
    /// Closed again behind the survey: a log may have more segments than a process may open.
    pub(super) segment: Arc<Segment<S>>,
    pub(super) islands: Vec<Island>,
    pub(super) index: Option<SparseIndex>,
}

impl<S: SegmentStore> AsRef<Evidence> for Finding<S> {
    fn as_ref(&self) -> &Evidence {
        &self.evidence
    }
}

struct Collector {
    islands: Vec<Island>,
    index: SparseIndex,
    ordinal: u64,
}

impl Witness for Collector {
    fn frame(&mut self, offset: u64, _lsn: Lsn) {
        self.index.note(self.ordinal, offset);
        self.ordinal += 1;
    }

    fn island(&mut self, island: Island) {
        if self.islands.len() < ISLANDS_MAX {
            self.islands.push(island);
        }
    }
}

/// What the medium lists, by role and in order of number.
pub(super) struct Listing {
    pub(super) log: Vec<SegmentEntry>,
    pub(super) values: Vec<SegmentEntry>,
    pub(super) aside: Vec<SegmentEntry>,
}

impl Listing {
    /// The log's segments, and for a leader those set aside that may be part of its history.
    fn relevant(&self, role: LogRole) -> Vec<SegmentEntry> {
        let mut entries = self.log.clone();
        if role == LogRole::Leader {
            entries.extend(history(&self.log, &self.aside));
            entries.sort_unstable_by_key(|entry| entry.id);
        }
        entries
    }
}

pub(super) fn list<S: SegmentStore>(store: &S) -> Result<Listing, OpenError> {
    let mut listing = Listing { log: Vec::new(), values: Vec::new(), aside: Vec::new() };
    let listed = store.list(&mut |entry| match entry.kind {
        SegmentKind::Log => listing.log.push(entry),
        SegmentKind::Values => listing.values.push(entry),
        SegmentKind::Aside => listing.aside.push(entry),
    });
    listed.map_err(|cause| OpenError::io(SegmentId::default(), cause))?;
    for entries in [&mut listing.log, &mut listing.values, &mut listing.aside] {
        entries.sort_unstable();
        entries.dedup_by_key(|entry| entry.id);
    }
    Ok(listing)
}

/// Surveys the log's segments and those set aside that may still be part of its history.
pub(super) fn survey_all<S: SegmentStore>(
    store: &S,
    listing: &Listing,
    options: &LogOptions,
) -> Result<Vec<Finding<S>>, OpenError> {
    let mut findings: Vec<Finding<S>> = Vec::new();
    let mut expected = None;
    for entry in listing.relevant(options.role) {
        let finding = examine(store, entry, expected, options)
            .map_err(|cause| OpenError::io(entry.id, cause))?;
        finding.evidence.check_version()?;
        if finding.evidence.has_records() {
            expected = Some(finding.evidence.reached().next());
        }
        if let Some(old) = findings.len().checked_sub(INDEXED_MAX) {
            findings.get_mut(old).map(|finding| finding.index.take());
        }
        findings.push(finding);
    }
    let mut ceiling = Lsn::MAX;
    findings.reverse();
    findings.retain(|finding| !finding.evidence.is_stranger(&mut ceiling));
    findings.reverse();
    Ok(findings)
}

fn examine<S: SegmentStore>(
    store: &S,
    entry: SegmentEntry,
    expected: Option<Lsn>,
    options: &LogOptions,
) -> Result<Finding<S>, IoError> {
    let file = store.open(entry.id, entry.kind)?;
    let entry = SegmentEntry { size: file.size(), ..entry };
    let segment = Segment::new(entry.id, entry.kind, entry.size, None);
    if let Some(survey) = trusted(&file, entry, options)? {
        let evidence = Evidence { entry, survey, island: Lsn::ZERO, trusted: true };
        return Ok(Finding { evidence, segment, islands: Vec::new(), index: None });
    }
    let index = SparseIndex::new(entry.size);
    let mut collector = Collector { islands: Vec::new(), index, ordinal: 0 };
    let survey = match survey(SegmentScan::buffered(&file), expected, &mut collector) {
        Ok(survey) => survey,
        Err(ScanError::Io(error)) => return Err(error),
        // The buffer is the scan's own and grows.
        Err(ScanError::Buffer { .. }) => return Err(IoError::OutOfBounds),
    };
    let Collector { islands, index, .. } = collector;
    let island = islands.first().map(|island| island.first).unwrap_or_default();
    let evidence = Evidence { entry, survey, island, trusted: false };
    Ok(Finding { evidence, segment, islands, index: Some(index) })
}

/// The survey of a sealed segment below the LSN from which the caller wants proof.
fn trusted<F: SegmentFile>(
    file: &F,
    entry: SegmentEntry,
    options: &LogOptions,
) -> Result<Option<Survey>, IoError> {
    if entry.kind != SegmentKind::Log
        || entry.size < FIRST_FRAME
        || options.verify_from <= Lsn::FIRST
    {
        return Ok(None);
    }
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(0, &mut bytes)?;
    let Ok(header) = SegmentHeader::decode(&bytes) else { return Ok(None) };
    let sound = header.is_sealed() && header.is_plausible(entry.size) && header.entry_count > 0;
    if !sound || header.last_lsn() >= options.verify_from {
        return Ok(None);
    }
    let (first, count, end) = (header.first_lsn, header.entry_count, header.write_offset);
    Ok(Some(Survey {
        header: Ok(header),
        prefix: Island { start: FIRST_FRAME, end, first, count, anchored: true },
        claims: Claims::default(),
        stop: Stop::End,
        later: Later { dirty_to: end, ..Later::default() },
        blank: false,
    }))
}
