//! What opening a log does with what it finds.
//!
//! | | found | done |
//! |---|---|---|
//! | A | bad frame, and no sound frame with a higher LSN behind it, in this or a later segment | torn tail: cut there, clear the rest before the first append |
//! | B | as A, and the header, written behind a sync, covers the bad frame | as A, reported as a lost tail |
//! | C | bad or missing frame, sound higher LSNs behind it, all of which say that it had not been durable (record field 9), and no header that says otherwise | a torn group: as A; later segments are set aside |
//! | D | as C without that proof | rot: the segment is set aside; its proved parts are served, a cursor reports the rest as a gap. A follower sets aside everything from the segment on, to fetch it again |
//! | E | LSNs missing between two segments, or below what the caller knows to be durable | as D, with nothing to set aside |
//! | F | a segment that repeats LSNs of an earlier one | set aside |
//! | G | wrong header, sound frames | header rebuilt |
//! | H | zero-length or all-zero segment | treated as absent |
//! | I | newest segment sealed | the next one is begun at the first append |
//! | J | a repair cannot be written | counted; the next opening tries again |
//!
//! A leader goes on above the highest LSN it saw, so none is given out twice. Opening twice gives
//! the same log.

mod build;
mod finding;
mod report;
mod verdict;

pub use report::{RecoveryEvent, RecoveryReport, Rung, RungCounts};

use crate::error::OpenError;
use crate::log::{Log, LogOptions, LogRole};
use crate::table::{Shared, Table};
use alloc::sync::Arc;
use build::Builder;
use unison_base::atomic::{AtomicU64, Ordering};
use unison_base::{Lsn, Position, Published};
use unison_ports::SegmentStore;

pub(crate) fn open<S: SegmentStore>(
    store: Arc<S>,
    options: LogOptions,
    now_ns: u64,
) -> Result<(Log<S>, RecoveryReport), OpenError> {
    let mut report = RecoveryReport::default();
    let listing = finding::list(&*store)?;
    let findings = finding::survey_all(&*store, &listing, &options)?;
    let verdict = verdict::judge(&findings, options.role, &mut report);
    let mut last = verdict.last;
    if options.role == LogRole::Leader && last < options.verify_from.prev() {
        last = options.verify_from.prev();
        report.note(Rung::Gap, Position::default());
    }
    let shared = Shared {
        store,
        table: Published::new(Table::empty()),
        appended: AtomicU64::new(last.0),
        durable: AtomicU64::new(last.0),
        cuts: AtomicU64::new(0),
    };
    let mut builder = Builder::new(Log::new(shared, options, now_ns), report);
    builder.add_listed(&listing);
    builder.add_findings(findings, &verdict)?;
    let (log, mut report) = builder.finish()?;
    report.first = log.first();
    report.last = Lsn(log.shared.appended.load(Ordering::Acquire));
    Ok((log, report))
}
