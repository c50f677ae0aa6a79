//! First pass: what each segment holds, in a table of a fixed size.

use super::{SmallOpenError, io};
use crate::options::LogRole;
use crate::recovery::evidence::{Evidence, history};
use crate::scan::{ScanError, SegmentScan};
use crate::survey::{Island, Witness, survey};
use heapless::Vec;
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// A segment, and what is in it.
#[derive(Clone, Copy)]
pub(super) struct Finding {
    pub(super) evidence: Evidence,
    /// Where the last frame of the prefix starts.
    pub(super) newest_at: u64,
}

impl AsRef<Evidence> for Finding {
    fn as_ref(&self) -> &Evidence {
        &self.evidence
    }
}

#[derive(Default)]
struct Noted {
    newest_at: u64,
    island: Lsn,
}

impl Witness for Noted {
    fn frame(&mut self, offset: u64, _lsn: Lsn) {
        self.newest_at = offset;
    }

    fn island(&mut self, island: Island) {
        if self.island == Lsn::ZERO {
            self.island = island.first;
        }
    }
}

/// Surveys the log's segments and, as far as the table has room, those set aside that may still be
/// part of its history.
pub(super) fn survey_all<S: SegmentStore, const N: usize>(
    store: &S,
    role: LogRole,
    buffer: &mut [u8],
) -> Result<Vec<Finding, N>, SmallOpenError> {
    let mut findings: Vec<Finding, N> = Vec::new();
    let mut expected = None;
    for entry in list::<S, N>(store, role)? {
        let finding = examine(store, entry, expected, buffer)?;
        let evidence = &finding.evidence;
        evidence.check_version()?;
        if evidence.has_records() {
            expected = Some(evidence.reached().next());
        }
        findings.push(finding).map_err(|_| SmallOpenError::Segments { most: N })?;
    }
    let mut ceiling = Lsn::MAX;
    findings.reverse();
    findings.retain(|finding| !finding.evidence.is_stranger(&mut ceiling));
    findings.reverse();
    Ok(findings)
}

fn list<S: SegmentStore, const N: usize>(
    store: &S,
    role: LogRole,
) -> Result<Vec<SegmentEntry, N>, SmallOpenError> {
    let (mut log, mut aside) = (Vec::<_, N>::new(), Vec::<_, N>::new());
    let mut full = false;
    store
        .list(&mut |entry| match entry.kind {
            SegmentKind::Log => full |= log.push(entry).is_err(),
            // Those for which there is no room read as a gap.
            SegmentKind::Aside => {
                let _ = aside.push(entry);
            }
            SegmentKind::Values => {}
        })
        .map_err(io(SegmentId::default()))?;
    if full {
        return Err(SmallOpenError::Segments { most: N });
    }
    log.sort_unstable();
    aside.sort_unstable();
    let mut all = log.clone();
    for entry in history(&log, &aside).filter(|_| role == LogRole::Leader) {
        let _ = all.push(entry);
    }
    all.sort_unstable_by_key(|entry| entry.id);
    Ok(all)
}

fn examine<S: SegmentStore>(
    store: &S,
    entry: SegmentEntry,
    expected: Option<Lsn>,
    buffer: &mut [u8],
) -> Result<Finding, SmallOpenError> {
    let file = store.open(entry.id, entry.kind).map_err(io(entry.id))?;
    let entry = SegmentEntry { size: file.size(), ..entry };
    let mut noted = Noted::default();
    let survey = survey(SegmentScan::new(&file, buffer), expected, &mut noted).map_err(
        |error| match error {
            ScanError::Io(cause) => io(entry.id)(cause).into(),
            ScanError::Buffer { needed } => SmallOpenError::Buffer { segment: entry.id, needed },
        },
    )?;
    let evidence = Evidence { entry, survey, island: noted.island, trusted: false };
    Ok(Finding { evidence, newest_at: noted.newest_at })
}
