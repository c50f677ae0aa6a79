//! Compares every value on every edge with its source file.

use super::QuickstartError;
use super::fleet::Fleet;
use super::source::Source;
use crate::client::Client;
use crate::transfer::TransferError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// Differences that are named; the rest is only counted.
const NAMED_MAX: u64 = 10;

/// Reads the whole namespace from each edge and compares it, key by key and byte by byte.
pub(crate) fn verify(
    source: &Source,
    fleet: &Fleet,
    stop: &Arc<AtomicBool>,
) -> Result<(), QuickstartError> {
    let mut wrong = 0;
    for edge in &fleet.edges {
        let client = Client::new(&edge.http_url(), "default", PATIENCE).until(stop);
        let differences = compare(source, &client, &edge.name, stop)?;
        let equal = source.files.len() as u64 - differences.min(source.files.len() as u64);
        println!("{}: {equal} of {} values equal to their files", edge.name, source.files.len());
        wrong += differences;
    }
    if wrong == 0 { Ok(()) } else { Err(QuickstartError::Different { wrong }) }
}

fn compare(
    source: &Source,
    client: &Client,
    edge: &str,
    stop: &AtomicBool,
) -> Result<u64, QuickstartError> {
    let mut missing: BTreeMap<&[u8], _> =
        source.files.iter().map(|file| (file.key.as_bytes(), &file.path)).collect();
    let mut wrong = 0;
    let mut name = |what: &str, key: &[u8]| {
        wrong += 1;
        if wrong <= NAMED_MAX {
            println!("{edge}: {what}: {}", String::from_utf8_lossy(key));
        }
    };
    for entry in client.entries("") {
        if stop.load(Ordering::Acquire) {
            return Err(QuickstartError::Stopped);
        }
        let entry = entry.map_err(TransferError::from)?;
        let Some(path) = missing.remove(entry.key.as_slice()) else {
            name("a key that was never written", &entry.key);
            continue;
        };
        if std::fs::read(path).map_err(TransferError::file(path))? != entry.value {
            name("another value", &entry.key);
        }
    }
    missing.keys().for_each(|key| name("missing", key));
    Ok(wrong)
}
