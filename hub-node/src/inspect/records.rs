//! The records of a log, one line each.

use serde::Serialize;
use std::io;
use unison_base::{Hlc, Lsn};
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, KeyValueEntry, LogRecord, MessageEntry, OperationType};
use unison_walfs::{Bound, LogReader, ReadError, Record};

/// Keys of a record that are shown.
const KEYS_SHOWN: usize = 3;

/// Flags of a message; see `schemas/records.md`.
const COMPRESSED: u8 = 2;
const SEALED: u8 = 4;

/// One record, or what is there instead.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RecordReport {
    Record {
        lsn: u64,
        segment: u32,
        offset: u32,
        bytes: usize,
        time_ms: u64,
        operation: String,
        entries: usize,
        keys: Vec<String>,
    },
    Damaged {
        damaged: String,
    },
}

/// Takes one report; an error ends the listing.
pub(super) type Visit<'a> = dyn FnMut(RecordReport) -> io::Result<()> + 'a;

/// Shows every record that can be read, one at a time: a log may be larger than memory. Damage is
/// listed where it lies.
pub(super) fn list<S: SegmentStore>(log: &LogReader<S>, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut from = log.first();
    while let Err(error) = read(log, from, visit)? {
        visit(RecordReport::Damaged { damaged: error.to_string() })?;
        match error {
            ReadError::Gap { to, .. } => from = to.next(),
            _ => break,
        }
    }
    Ok(())
}

/// The inner error is the log's, the outer one is of whoever is shown the records.
fn read<S: SegmentStore>(
    log: &LogReader<S>,
    from: Lsn,
    visit: &mut Visit<'_>,
) -> io::Result<Result<(), ReadError>> {
    let mut cursor = match log.cursor(from, Bound::Appended) {
        Ok(cursor) => cursor,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match cursor.next() {
            Ok(Some(record)) => visit(describe(&record))?,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Which stream a message is in, and in which form. Never what it says.
fn message(entry: &[u8]) -> Option<String> {
    let entry = flatbuffers::root::<MessageEntry<'_>>(entry).ok()?;
    let form = match (entry.flags() & COMPRESSED != 0, entry.flags() & SEALED != 0) {
        (false, false) => "",
        (true, false) => " compressed",
        (false, true) => " sealed",
        (true, true) => " compressed, sealed",
    };
    Some(format!("stream {}{form}", entry.stream()))
}

fn describe<S: SegmentStore>(record: &Record<S>) -> RecordReport {
    let table = flatbuffers::root::<LogRecord<'_>>(&record.payload).ok();
    let entries = table.and_then(|table| table.entries());
    let keys = entries.iter().flatten().take(KEYS_SHOWN).filter_map(|entry| {
        let entry = entry.entry()?.bytes();
        match table?.operation_type() {
            OperationType::Publish | OperationType::PatternPublish => message(entry),
            _ if table?.entry_type() == EntryType::Event => None,
            _ => {
                let entry = flatbuffers::root::<KeyValueEntry<'_>>(entry).ok()?;
                Some(shown(entry.key()?.bytes()))
            }
        }
    });
    RecordReport::Record {
        lsn: record.lsn.0,
        segment: record.position.segment.0,
        offset: record.position.offset,
        bytes: record.payload.len(),
        time_ms: table.map_or(0, |table| Hlc(table.hlc()).millis()),
        operation: table.map_or_else(
            || "no valid record".to_owned(),
            |table| format!("{:?} {:?}", table.operation_type(), table.entry_type()),
        ),
        entries: entries.map_or(0, |entries| entries.len()),
        keys: keys.collect(),
    }
}

/// A key in storage form, readable: the model's mark is left out.
fn shown(key: &[u8]) -> String {
    let user = key.strip_prefix(&[0xFE]).unwrap_or(key);
    user.escape_ascii().to_string()
}
