//! What is read and written by hand is what the generated code and the hub make of it.

use crate::hub::Hub;
use unison_base::prng::Prng;
use unison_base::{Hlc, Lsn};
use unison_cortex_m::record::{Entry, Head, Kind, RecordError, decode, put_record};
use unison_schemas::{KeyValueEntry, LogRecord, OperationType};
use unison_walfs::Bound;

fn payloads() -> Vec<Vec<u8>> {
    let hub = Hub::new().unwrap();
    let mut cursor = hub.engine.log().cursor(Lsn(1), Bound::Appended).unwrap();
    let mut payloads = Vec::new();
    while let Some(record) = cursor.next().unwrap() {
        payloads.push(record.payload.to_vec());
    }
    payloads
}

/// Keys and values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Kind and entries of a record by the generated code; `None` when its verifier refuses it.
fn by_generated_code(payload: &[u8]) -> Option<(OperationType, Entries)> {
    let table = flatbuffers::root::<LogRecord<'_>>(payload).ok()?;
    let mut entries = Vec::new();
    for entry in table.entries().into_iter().flatten() {
        let nested = entry.entry().map(|bytes| bytes.bytes()).unwrap_or_default();
        let entry = flatbuffers::root::<KeyValueEntry<'_>>(nested).ok()?;
        let bytes =
            |vector: Option<flatbuffers::Vector<'_, u8>>| vector.map(|v| v.bytes().to_vec());
        let Some(key) = bytes(entry.key()) else { continue };
        entries.push((key, bytes(entry.value()).unwrap_or_default()));
    }
    Some((table.operation_type(), entries))
}

fn by_hand(payload: &[u8]) -> Result<(Kind, Entries), RecordError> {
    let record = decode(payload)?;
    let owned = |entry: Entry<'_>| (entry.key.to_vec(), entry.value.to_vec());
    Ok((record.kind, record.entries().map(owned).collect()))
}

#[test]
fn every_record_of_a_hub_is_read_as_the_generated_code_reads_it() {
    let (mut puts, mut deletes) = (0, 0);
    for payload in payloads() {
        let (operation, expected) = by_generated_code(&payload).unwrap();
        let (kind, entries) = by_hand(&payload).unwrap();
        assert_eq!(entries, expected);
        match kind {
            Kind::Put => puts += usize::from(operation == OperationType::Insert),
            Kind::Delete => deletes += usize::from(operation == OperationType::Delete),
            Kind::Nothing | Kind::Foreign => {}
        }
    }
    assert_eq!(puts + deletes, 2_000);
    assert!(deletes > 50);
}

#[test]
fn damage_is_refused_or_read_alike_and_never_panics() {
    let payloads = payloads();
    let mut prng = Prng::new(4);
    let (mut refused, mut alike) = (0, 0);
    for payload in payloads.iter().step_by(40) {
        for _ in 0..600 {
            let mut damaged = payload.clone();
            for _ in 0..prng.between(1, 3) {
                let at = prng.between(0, damaged.len().min(140) as u64 - 1) as usize;
                damaged[at] = prng.between(0, 255) as u8;
            }
            damaged.truncate(prng.between(1, damaged.len() as u64 * 2) as usize);
            match (by_hand(&damaged), by_generated_code(&damaged)) {
                (Err(_), _) => refused += 1,
                (Ok((Kind::Put | Kind::Delete, entries)), Some((_, expected))) => {
                    assert_eq!(entries, expected);
                    alike += 1;
                }
                // The generated code refuses what is not aligned, too.
                (Ok(_), _) => {}
            }
        }
    }
    println!("{refused} refused, {alike} read alike");
    assert!(refused > 10_000 && alike > 100);
}

#[test]
fn a_measurement_has_the_bytes_that_a_hub_would_write() {
    let mut puts = 0;
    for payload in payloads() {
        let record = decode(&payload).unwrap();
        let entry = record.entries().next().unwrap();
        if record.kind != Kind::Put {
            continue;
        }
        let head = Head { lsn: record.lsn, hlc: record.hlc, durable: record.lsn.prev() };
        let mut out = vec![0xFF; payload.len()];
        assert_eq!(put_record(&mut out, &head, &entry.key[1..], entry.value), Some(payload.len()));
        assert!(out == payload, "record {}", record.lsn);
        puts += 1;
    }
    assert!(puts > 1_800);
    let head = Head { lsn: Lsn(1), hlc: Hlc(1), durable: Lsn(0) };
    assert_eq!(put_record(&mut [0; 130], &head, b"key", b"value"), None);
}
