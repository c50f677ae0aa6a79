//! A log of the microcontroller's own.

use crate::record::{Head, put_record};
use unison_base::{Hlc, Lsn};
use unison_ports::{IoError, SegmentStore};
use unison_walfs::{
    AppendError, LogOptions, LogRole, SmallLog, SmallOpenError, SmallReport, StageError, SyncError,
};

/// Why a value was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Key and value are larger than the buffer.
    #[error("the record does not fit the buffer")]
    TooLarge,
    /// The log does not take it.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The log could not append it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not make it durable.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// A log that this node leads. When it is full, its oldest segment goes, damaged or not.
pub struct Journal<'m, S: SegmentStore, const N: usize> {
    log: SmallLog<'m, S, N>,
    record: &'m mut [u8],
}

impl<'m, S: SegmentStore, const N: usize> Journal<'m, S, N> {
    /// Opens the log in `store`. `group` is the log's buffer, `record` holds one record.
    ///
    /// # Errors
    /// As [`SmallLog::open`].
    pub fn open(
        store: &'m S,
        segment_bytes: u64,
        group: &'m mut [u8],
        record: &'m mut [u8],
        now_ms: u64,
    ) -> Result<(Self, SmallReport), SmallOpenError> {
        let role = LogRole::Leader;
        let options = LogOptions { segment_bytes, verify_from: Lsn::ZERO, role };
        let (log, report) =
            SmallLog::open(store, options, group, now_ms.saturating_mul(1_000_000))?;
        Ok((Self { log, record }, report))
    }

    /// Records that `key` has `value`. Durable when it returns.
    ///
    /// # Errors
    /// See [`JournalError`]; no LSN is taken, unless only the sync failed.
    pub fn put(&mut self, key: &[u8], value: &[u8], now_ms: u64) -> Result<Lsn, JournalError> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let head =
            Head { lsn: self.log.next_lsn(), hlc: Hlc(now_ms << 16), durable: self.log.durable() };
        let bytes = put_record(self.record, &head, key, value).ok_or(JournalError::TooLarge)?;
        let record = self.record.get(..bytes).ok_or(JournalError::TooLarge)?;
        match self.log.stage(record) {
            Err(StageError::SegmentFull) => {
                rotate(&mut self.log, now_ns)?;
                self.log.stage(record)?;
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        while let Err(error) = self.log.append_staged(now_ns) {
            if !is_full(&error) || !make_room(&mut self.log)? {
                return Err(error.into());
            }
            self.log.stage(record)?;
        }
        Ok(self.log.sync()?)
    }

    /// The log.
    pub const fn log(&self) -> &SmallLog<'m, S, N> {
        &self.log
    }
}

fn rotate<S: SegmentStore, const N: usize>(
    log: &mut SmallLog<'_, S, N>,
    now_ns: u64,
) -> Result<(), AppendError> {
    loop {
        match log.rotate(now_ns) {
            Err(error) if is_full(&error) && make_room(log)? => {}
            rotated => return rotated,
        }
    }
}

const fn is_full(error: &AppendError) -> bool {
    matches!(error, AppendError::Io(IoError::NoSpace))
}

/// Lets the oldest records go, or what was set aside. Whether there is more room now.
fn make_room<S: SegmentStore, const N: usize>(
    log: &mut SmallLog<'_, S, N>,
) -> Result<bool, AppendError> {
    Ok(log.retire_first()?.is_some() || log.remove_aside()? > 0)
}
