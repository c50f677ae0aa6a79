//! The checks on a disk after a power cut.

use crate::record::record;
use crate::workload::{Expected, open};
use std::sync::Arc;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_sim::disk::{CrashDisk, Cut};
use unison_sim::planted::{Bug, PlantedStore};
use unison_walfs::{Bound, Log, OpenError, ReadError, RungCounts};

/// How the log broke its promise.
#[derive(Debug)]
#[expect(dead_code, reason = "read by people, through Debug")]
pub(crate) enum Violation {
    /// It does not open.
    Open(OpenError),
    /// Less is there than was acknowledged.
    Lost { acknowledged: Lsn, recovered: Lsn },
    /// More is there than was written.
    Invented { appended: Lsn, recovered: Lsn },
    /// A record is another than the one that was written.
    Wrong { lsn: Lsn },
    /// A record cannot be read.
    Hole { lsn: Lsn, error: Option<ReadError> },
    /// A power cut was taken for damage.
    TakenForRot(Box<RungCounts>),
    /// A second opening finds something else.
    Differs { first: Lsn, second: Lsn },
    /// The log does not take records any more.
    Stuck { at: Lsn },
    /// After a second cut something else is there than what was acknowledged behind the first.
    NotContinued { expected: Lsn, found: Lsn },
}

/// Bytes of the records that a log goes on with: as large as those of the even workload, so that
/// one ends where a stale one may begin.
const NEXT_BYTES: usize = 120;

/// Checks a disk after a cut; the newest record that was recovered.
pub(crate) fn verify(
    disk: &CrashDisk,
    bug: Bug,
    expected: Expected<'_>,
    prng: &mut Prng,
) -> Result<Lsn, Violation> {
    let (log, report) = open(disk, bug).map_err(Violation::Open)?;
    let recovered = log.appended();
    let Expected { acknowledged, .. } = expected;
    if recovered < acknowledged {
        return Err(Violation::Lost { acknowledged, recovered });
    }
    let rungs = report.rungs;
    if rungs.rot_segments + rungs.gaps + rungs.stale_segments + rungs.lost_tails > 0 {
        return Err(Violation::TakenForRot(Box::new(rungs)));
    }
    let records = matching(&log, expected)?;
    drop(log);
    let (log, _) = open(disk, bug).map_err(Violation::Open)?;
    let second = log.appended();
    if second != recovered || log.durable() != recovered || log.first() != Lsn::FIRST {
        return Err(Violation::Differs { first: recovered, second });
    }
    go_on(log, disk, bug, records, prng)?;
    Ok(recovered)
}

/// The records that are there: those of the run or, as a whole, those that a failed write left, as
/// long as no other was acknowledged in their place.
fn matching<'a>(
    log: &Log<PlantedStore>,
    expected: Expected<'a>,
) -> Result<&'a [Arc<[u8]>], Violation> {
    let count = usize::try_from(log.appended().0).unwrap();
    let acknowledged = usize::try_from(expected.acknowledged.0).unwrap();
    let (appended, recovered) = (expected.appended, log.appended());
    let possible = expected.records.get(..count).filter(|_| recovered <= appended);
    let known = possible.ok_or(Violation::Invented { appended, recovered });
    let violation = match known.and_then(|records| contents(log, records).map(|()| records)) {
        Ok(records) => return Ok(records),
        Err(violation) => violation,
    };
    let same = |older: &&Vec<_>| older.get(..acknowledged) == expected.records.get(..acknowledged);
    let left = expected.older.iter().filter(same).filter_map(|older| older.get(..count));
    let mut fitting = left.filter(|records| contents(log, records).is_ok());
    fitting.next().ok_or(violation)
}

/// All records are there, in order, as they were written, and nothing behind them.
pub(crate) fn contents(log: &Log<PlantedStore>, records: &[Arc<[u8]>]) -> Result<(), Violation> {
    let hole = |lsn, error| Violation::Hole { lsn, error };
    if records.is_empty() {
        return Ok(());
    }
    let mut cursor =
        log.reader().cursor(Lsn::FIRST, Bound::Appended).map_err(|e| hole(Lsn::FIRST, Some(e)))?;
    for (lsn, payload) in (1..).map(Lsn).zip(records) {
        let found = cursor.next().map_err(|error| hole(lsn, Some(error)))?;
        let found = found.ok_or(hole(lsn, None))?;
        if found.lsn != lsn || found.payload[..] != payload[..] {
            return Err(Violation::Wrong { lsn });
        }
    }
    let behind = cursor.next().map_err(|error| hole(Lsn::MAX, Some(error)))?;
    match behind {
        Some(record) => Err(Violation::Wrong { lsn: record.lsn }),
        None => Ok(()),
    }
}

/// One more group, synced, and a cut that loses everything else: exactly that is there.
fn go_on(
    mut log: Log<PlantedStore>,
    disk: &CrashDisk,
    bug: Bug,
    records: &[Arc<[u8]>],
    prng: &mut Prng,
) -> Result<(), Violation> {
    let stuck = |log: &Log<_>| Violation::Stuck { at: log.appended() };
    let mut records = records.to_vec();
    for _ in 0..prng.between(1, 2) {
        let payload = record(log.next_lsn(), log.durable(), 0xFFFF, NEXT_BYTES);
        if log.stage(&payload).is_err() {
            log.append_staged().map_err(|_| stuck(&log))?;
            log.rotate(0).map_err(|_| stuck(&log))?;
            log.stage(&payload).map_err(|_| stuck(&log))?;
        }
        records.push(payload.into());
    }
    log.append_staged().map_err(|_| stuck(&log))?;
    log.sync().map_err(|_| stuck(&log))?;
    drop(log);
    let left = disk.crash(Cut::LOST, prng);
    let (log, _) = open(&left, bug).map_err(Violation::Open)?;
    let (expected, found) = (Lsn(records.len() as u64), log.appended());
    if found != expected {
        return Err(Violation::NotContinued { expected, found });
    }
    contents(&log, &records)
}
