//! The passes of an opening, one after the other.

use super::build::Builder;
use super::finding;
use super::report::RecoveryReport;
use super::verdict::{Fate, judge};
use crate::error::OpenError;
use crate::log::Log;
use crate::options::LogOptions;
use crate::table::{Shared, Table};
use alloc::sync::Arc;
use alloc::vec;
use unison_base::atomic::{AtomicU64, Ordering};
use unison_base::{Lsn, Published};
use unison_ports::SegmentStore;

pub(crate) fn open<S: SegmentStore>(
    store: Arc<S>,
    options: LogOptions,
    now_ns: u64,
) -> Result<(Log<S>, RecoveryReport), OpenError> {
    let mut report = RecoveryReport::default();
    let listing = finding::list(&*store)?;
    let findings = finding::survey_all(&*store, &listing, &options)?;
    let mut fates = vec![Fate::Empty; findings.len()];
    let mut note = |rung, at| report.note(rung, at);
    let last = judge(&findings, &options, &mut fates, &mut note);
    let shared = Shared {
        store,
        table: Published::new(Table::empty()),
        appended: AtomicU64::new(last.0),
        durable: AtomicU64::new(last.0),
        cuts: AtomicU64::new(0),
    };
    let mut builder = Builder::new(Log::new(shared, options, now_ns), report);
    builder.add_listed(&listing);
    builder.add_findings(findings, &fates)?;
    let (log, mut report) = builder.finish()?;
    report.first = log.first();
    report.last = Lsn(log.shared.appended.load(Ordering::Acquire));
    Ok((log, report))
}
