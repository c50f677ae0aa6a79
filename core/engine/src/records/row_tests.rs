//! Records of rows: the encoder against the code that flatc generates, the decoder against golden
//! records and against noise.

use super::{Encoder, Head, Kind, Span, decode, rows};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::checksum::crc32;
use unison_base::hlc::Hlc;
use unison_base::limits::{COLUMN_OVERHEAD_MAX, ENTRY_OVERHEAD_MAX, RECORD_OVERHEAD_MAX};
use unison_base::prng::Prng;
use unison_schemas::{EntryType, LogRecord, OperationType, RowUpdateEntry, TxnState};

type Columns = Vec<(String, Option<Vec<u8>>)>;
type Rows = Vec<(Vec<u8>, Columns)>;

fn encoded(lsn: u64, operation: OperationType, rows: &Rows) -> (Vec<u8>, Vec<Span>) {
    let mut encoder = Encoder::default();
    let head = Head {
        lsn: Lsn(lsn),
        hlc: Hlc(lsn << 20),
        durable: Lsn(lsn - 1),
        operation,
        entry: EntryType::Row,
        transaction: None,
    };
    encoder.begin(&head, rows.len());
    encoder.expires_at(expires_at(lsn));
    for (row, columns) in rows {
        let columns = columns.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        encoder.row(row, columns);
    }
    encoder.finish();
    (encoder.record().to_vec(), encoder.spans().to_vec())
}

/// Every second record's rows expire.
fn expires_at(lsn: u64) -> u64 {
    if lsn.is_multiple_of(2) { lsn << 40 | 7 } else { 0 }
}

fn random_rows(prng: &mut Prng, operation: OperationType) -> Rows {
    let bytes = |prng: &mut Prng, most: u64| {
        let mut bytes = vec![0; usize::try_from(prng.below(most)).unwrap()];
        prng.fill(&mut bytes);
        bytes
    };
    let column = |prng: &mut Prng| {
        let name: String = bytes(prng, 12).into_iter().map(char::from).collect();
        (name, (operation == OperationType::Insert).then(|| bytes(prng, 300)))
    };
    let row = |prng: &mut Prng| {
        let mut row = bytes(prng, 30);
        row.push(1);
        let columns = if operation == OperationType::DeleteRowByKey { 0 } else { prng.below(6) };
        (row, (0..columns).map(|_| column(prng)).collect())
    };
    (0..1 + prng.below(5)).map(|_| row(prng)).collect()
}

const OPERATIONS: [(OperationType, Kind); 3] = [
    (OperationType::Insert, Kind::PutColumns),
    (OperationType::Delete, Kind::DeleteColumns),
    (OperationType::DeleteRowByKey, Kind::DeleteRows),
];

#[test]
fn what_the_encoder_writes_is_what_generated_code_reads() {
    let mut prng = Prng::new(1);
    for lsn in 1..3_000 {
        let (operation, _) = OPERATIONS[usize::try_from(lsn % 3).unwrap()];
        let rows = random_rows(&mut prng, operation);
        let (bytes, spans) = encoded(lsn, operation, &rows);
        let record = flatbuffers::root::<LogRecord<'_>>(&bytes).unwrap();
        assert_eq!((record.lsn(), record.hlc(), record.durable_lsn()), (lsn, lsn << 20, lsn));
        assert_eq!((record.operation_type(), record.entry_type()), (operation, EntryType::Row));
        assert_eq!(record.txn_state(), TxnState::None);
        let entries: Vec<&[u8]> =
            record.entries().unwrap().iter().map(|entry| entry.entry().unwrap().bytes()).collect();
        assert_eq!(record.crc32_checksum(), crc32(&entries.concat()));
        assert_eq!(entries.len(), rows.len());
        let mut spans = spans.iter();
        for (entry, (row, columns)) in entries.iter().zip(&rows) {
            let read = flatbuffers::root::<RowUpdateEntry<'_>>(entry).unwrap();
            let length = u32::try_from(row.len()).unwrap().to_be_bytes();
            assert_eq!(read.key().unwrap().bytes(), [&[0xFD], &length[..], row].concat());
            assert_eq!(
                (read.expires_at(), read.columns().unwrap().len()),
                (expires_at(lsn), columns.len())
            );
            for (column, (name, value)) in read.columns().unwrap().iter().zip(columns) {
                assert_eq!(column.name(), Some(name.as_str()));
                let value = value.as_deref().unwrap_or_default();
                assert_eq!(column.value().unwrap().bytes(), value);
                let span = spans.next().unwrap();
                let start = span.offset as usize;
                assert_eq!(&bytes[start..start + span.length as usize], value);
            }
        }
    }
}

#[test]
fn what_the_encoder_writes_is_what_the_decoder_reads() {
    let mut prng = Prng::new(2);
    for lsn in 1..3_000 {
        let (operation, kind) = OPERATIONS[usize::try_from(lsn % 3).unwrap()];
        let written = random_rows(&mut prng, operation);
        let (bytes, spans) = encoded(lsn, operation, &written);
        let record = decode(&bytes).unwrap();
        assert_eq!((record.lsn(), record.kind), (Lsn(lsn), kind));
        let mut spans = spans.iter();
        let read = rows(&record).map(|entry| {
            let column = |(name, value, span): (&str, &[u8], Span)| {
                let placed = spans.next().unwrap();
                assert!(span.length == 0 || span == *placed);
                let value = (operation == OperationType::Insert).then(|| value.to_vec());
                (name.to_string(), value)
            };
            (entry.key[5..].to_vec(), entry.columns().map(column).collect())
        });
        assert_eq!(read.collect::<Rows>(), written);
    }
}

#[test]
fn overhead_stays_within_the_limits() {
    for (rows, columns) in [(1, 1), (1, 100), (50, 3)] {
        let name = |column: usize| alloc::format!("{column:07}");
        let columns_of = || (0..columns).map(|column| (name(column), Some(vec![9; 33]))).collect();
        let written: Rows = (0..rows).map(|_| (vec![7; 21], columns_of())).collect();
        let (bytes, _) = encoded(1, OperationType::Insert, &written);
        let payload = rows * (21 + columns * (7 + 33));
        let overhead = rows * (ENTRY_OVERHEAD_MAX + columns * COLUMN_OVERHEAD_MAX);
        assert!(bytes.len() <= payload + RECORD_OVERHEAD_MAX + overhead);
    }
}

#[test]
fn no_edit_of_a_record_makes_the_decoder_panic_or_lie_about_its_place() {
    let column = |name: &str, value: &[u8]| (name.to_string(), Some(value.to_vec()));
    let written = vec![
        (b"first".to_vec(), vec![column("a", b"value one"), column("b", b"")]),
        (b"second".to_vec(), vec![column("name", b"value two")]),
    ];
    let (bytes, _) = encoded(5, OperationType::Insert, &written);
    for length in 0..bytes.len() {
        inspect(&bytes[..length]);
    }
    for offset in 0..bytes.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFE, 0xFF] {
            let mut edited = bytes.clone();
            edited[offset] = value;
            inspect(&edited);
        }
    }
}

fn inspect(bytes: &[u8]) {
    let Ok(record) = decode(bytes) else { return };
    if !OPERATIONS.iter().any(|(_, kind)| *kind == record.kind) {
        return;
    }
    for entry in rows(&record) {
        for (_, value, span) in entry.columns() {
            let start = span.offset as usize;
            let there = bytes.get(start..start + span.length as usize);
            assert_eq!(there.unwrap_or_default(), value);
        }
    }
}

fn golden(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn golden_records_of_rows_mean_what_they_say() {
    let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    let one = b"\xFD\0\0\0\x05row-1".to_vec();
    let two = b"\xFD\0\0\0\x02r2".to_vec();
    let cases = [
        (
            include_str!("../../../../schemas/golden/row_insert.hex"),
            Kind::PutColumns,
            vec![(one.clone(), named(&["name", "year", "note"]))],
        ),
        (
            include_str!("../../../../schemas/golden/row_insert_batch.hex"),
            Kind::PutColumns,
            vec![(one.clone(), named(&["name"])), (two.clone(), named(&["name"]))],
        ),
        (
            include_str!("../../../../schemas/golden/row_delete_columns.hex"),
            Kind::DeleteColumns,
            vec![(one.clone(), named(&["name", "note"]))],
        ),
        (
            include_str!("../../../../schemas/golden/row_delete.hex"),
            Kind::DeleteRows,
            vec![(one.clone(), vec![])],
        ),
        (
            include_str!("../../../../schemas/golden/row_delete_batch.hex"),
            Kind::DeleteRows,
            vec![(one, vec![]), (two, vec![])],
        ),
    ];
    for (text, kind, expected) in cases {
        let bytes = golden(text);
        let record = decode(&bytes).unwrap();
        assert_eq!(record.kind, kind);
        let names = rows(&record).map(|entry| {
            (entry.key.to_vec(), entry.columns().map(|(name, ..)| name.to_string()).collect())
        });
        assert_eq!(names.collect::<Vec<(Vec<u8>, Vec<String>)>>(), expected);
    }
}
