//! The log alone: framing, checksum, append and publish, beside bare writes of the same bytes.

use crate::floor::{RawLog, group};
use crate::measure::{Setting, seconds};
use crate::report::{Report, human};
use crate::workload::{VALUE_BYTES, Workload};
use std::sync::Arc;
use unison_base::Lsn;
use unison_linux::FileStore;
use unison_walfs::{Log, LogOptions, LogRole, StageError};

const RECORDS: usize = 100_000;
const GROUP: usize = 64;
const SEGMENT_BYTES: u64 = 256 << 20;

/// Appends without a sync, in groups.
pub(crate) fn append(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let ours = setting.median(|| ours(setting))?;
    let floor = setting.median(|| floor(setting))?;
    let per_record = |rate: f64| format!("{:.0} ns", 1e9 / rate);
    let what = format!("append 1 KiB unsynced, groups of {GROUP} ({})", per_record(ours));
    let reference = format!("bare pwrite {} ({})", human(floor), per_record(floor));
    report.row(&what, human(ours), reference, format!("{:.2}x", ours / floor));
    Ok(())
}

/// A payload that carries its LSN where a record does: a table with one field, then the bytes.
fn payload(value: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(24 + value.len());
    payload.extend(12_u32.to_le_bytes());
    payload.extend(6_u16.to_le_bytes());
    payload.extend(12_u16.to_le_bytes());
    payload.extend(4_u16.to_le_bytes());
    payload.extend([0; 2]);
    payload.extend(8_i32.to_le_bytes());
    payload.extend([0; 8]);
    payload.extend(value);
    payload
}

fn ours(setting: &Setting<'_>) -> anyhow::Result<f64> {
    let dir = setting.dir()?;
    let store = Arc::new(FileStore::open(dir.path(), true)?);
    let options =
        LogOptions { segment_bytes: SEGMENT_BYTES, verify_from: Lsn::ZERO, role: LogRole::Leader };
    let (mut log, _) = Log::open(store, options, 0)?;
    log.create_first(0)?;
    let mut payload = payload(Workload::new(1, 1).value());
    let elapsed = seconds(|| {
        for record in 0..RECORDS {
            payload[16..24].copy_from_slice(&log.next_lsn().0.to_le_bytes());
            if log.stage(&payload) == Err(StageError::SegmentFull) {
                log.append_staged()?;
                log.rotate(0)?;
                log.stage(&payload)?;
            }
            if record % GROUP == GROUP - 1 {
                log.append_staged()?;
            }
        }
        log.append_staged()?;
        Ok(())
    })?;
    Ok(RECORDS as f64 / elapsed)
}

fn floor(setting: &Setting<'_>) -> anyhow::Result<f64> {
    let dir = setting.dir()?;
    let mut raw = RawLog::create(&dir.path().join("raw"), SEGMENT_BYTES)?;
    let group = group(GROUP, 24 + VALUE_BYTES);
    let elapsed = seconds(|| (0..RECORDS / GROUP).try_for_each(|_| raw.append(&group)))?;
    Ok((RECORDS / GROUP * GROUP) as f64 / elapsed)
}
