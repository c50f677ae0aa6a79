//! The golden records: each file is read, compared field by field with what it should say, and
//! encoded again to the very same bytes.

mod entries;

use entries::{Entry, check_entry, encode_entry};
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use std::fmt::Write as _;
use std::path::PathBuf;
use unison_schemas::{
    EncodedEntry, EncodedEntryArgs, EntryType, LogRecord, LogRecordArgs, OperationType, TxnState,
};

/// What a golden record should say.
struct Golden {
    name: &'static str,
    operation: OperationType,
    state: TxnState,
    entry: EntryType,
    txn: bool,
    entries: Vec<Entry>,
}

const LSN: u64 = 42;
const HLC: u64 = 1_700_000_000_000 << 16 | 7;
const DURABLE: u64 = 41;
const TXN_ID: [u8; 16] = *b"0123456789abcdef";
/// Computed by another implementation of the cipher.
const KEY_ID: [u8; 8] = [0xC5, 0xFC, 0x84, 0x9A, 0xE2, 0xEC, 0x09, 0xC2];
const WRAPPED: [u8; 48] = [
    0x70, 0x8B, 0x66, 0x15, 0x2B, 0x7F, 0xEC, 0x5E, 0x37, 0x49, 0xF2, 0xDA, 0x3B, 0x04, 0x36, 0xC7,
    0x11, 0x3B, 0x21, 0xC7, 0x25, 0x38, 0x61, 0xA6, 0x59, 0x40, 0x64, 0x24, 0xCB, 0x63, 0x44, 0xEF,
    0xF9, 0x2D, 0x9F, 0xF5, 0xED, 0x1A, 0xDC, 0x7C, 0x7A, 0xA5, 0x26, 0x54, 0x6C, 0xAE, 0x73, 0xE7,
];
const PREVIOUS: [u8; 12] = [3, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0];

fn key_value(key: &'static [u8], value: Option<&'static [u8]>) -> Entry {
    Entry::KeyValue { key, value, expires_at: 0 }
}

fn plain(
    name: &'static str,
    operation: OperationType,
    entry: EntryType,
    entries: Vec<Entry>,
) -> Golden {
    Golden { name, operation, state: TxnState::None, entry, txn: false, entries }
}

fn txn(
    name: &'static str,
    (operation, state): (OperationType, TxnState),
    entry: EntryType,
    entries: Vec<Entry>,
) -> Golden {
    Golden { name, operation, state, entry, txn: true, entries }
}

fn golden() -> Vec<Golden> {
    [key_values(), rows(), expiry(), transactions(), large_objects(), topics(), others()]
        .into_iter()
        .flatten()
        .collect()
}

fn key_values() -> Vec<Golden> {
    use {EntryType as E, OperationType as O};
    let expiring =
        Entry::KeyValue { key: b"\xFEk", value: Some(b"v"), expires_at: 1_800_000_000_000 };
    let several = vec![
        key_value(b"\xFEa", Some(b"1")),
        key_value(b"\xFEb", Some(b"22")),
        key_value(b"\xFEc", Some(b"333")),
    ];
    let deleted = vec![key_value(b"\xFEa", None), key_value(b"\xFEb", None)];
    vec![
        plain("kv_insert", O::Insert, E::KV, vec![key_value(b"\xFEkey", Some(b"value"))]),
        plain("kv_insert_empty", O::Insert, E::KV, vec![key_value(b"\xFEkey", Some(b""))]),
        plain("kv_insert_expiring", O::Insert, E::KV, vec![expiring]),
        plain("kv_delete", O::Delete, E::KV, vec![key_value(b"\xFEkey", None)]),
        plain("kv_insert_batch", O::Insert, E::KV, several),
        plain("kv_delete_batch", O::Delete, E::KV, deleted),
    ]
}

const ROW: &[u8] = b"\xFD\0\0\0\x05row-1";
const OTHER_ROW: &[u8] = b"\xFD\0\0\0\x02r2";

fn rows() -> Vec<Golden> {
    use {EntryType as E, OperationType as O};
    let row = |key, columns| Entry::Row { key, columns, expires_at: 0 };
    let whole = row(ROW, &[("name", b"Ada"), ("year", b"1815"), ("note", b"")]);
    let several = vec![row(ROW, &[("name", b"Ada")]), row(OTHER_ROW, &[("name", b"Grace")])];
    let columns = row(ROW, &[("name", b""), ("note", b"")]);
    vec![
        plain("row_insert", O::Insert, E::Row, vec![whole]),
        plain("row_insert_batch", O::Insert, E::Row, several),
        plain("row_delete_columns", O::Delete, E::Row, vec![columns]),
        plain(
            "row_delete_batch",
            O::DeleteRowByKey,
            E::Row,
            vec![row(ROW, &[]), row(OTHER_ROW, &[])],
        ),
        plain("row_delete", O::DeleteRowByKey, E::Row, vec![row(ROW, &[])]),
    ]
}

fn expiry() -> Vec<Golden> {
    use EntryType as E;
    const WATERMARK: [u8; 8] = 1_800_000_000_000_u64.to_le_bytes();
    let expires_at = 1_800_000_000_000;
    let key = Entry::KeyValue { key: b"\xFEk", value: None, expires_at };
    let row = Entry::Row { key: ROW, columns: &[], expires_at };
    vec![
        plain("expire_to", OperationType::ExpireTo, E::KV, vec![key_value(b"", Some(&WATERMARK))]),
        plain("kv_expire", OperationType::Expire, E::KV, vec![key]),
        plain("row_expire", OperationType::Expire, E::Row, vec![row]),
    ]
}

fn transactions() -> Vec<Golden> {
    use {EntryType as E, OperationType as O, TxnState as T};
    let prepared = vec![key_value(b"\xFEkey", Some(b"v"))];
    vec![
        txn("txn_begin", (O::Insert, T::Begin), E::KV, vec![]),
        txn("txn_prepare", (O::Insert, T::Prepare), E::KV, prepared),
        txn("txn_commit", (O::Insert, T::Commit), E::KV, vec![key_value(b"", Some(b""))]),
        txn("txn_abort", (O::TxnMarker, T::None), E::KV, vec![]),
    ]
}

fn large_objects() -> Vec<Golden> {
    use {EntryType as E, OperationType as O, TxnState as T};
    let chunk = |bytes| vec![key_value(b"\xFF\0\0\0\x03lob\0\0\0\0", Some(bytes))];
    vec![
        txn("lob_chunk", (O::Insert, T::Prepare), E::Chunked, chunk(b"chunk bytes")),
        txn("lob_commit", (O::Insert, T::Commit), E::Chunked, chunk(b"")),
    ]
}

fn topics() -> Vec<Golden> {
    use {EntryType as E, OperationType as O};
    let stream = |id, name| Entry::Stream { id, name };
    let message =
        |stream, payload| Entry::Message { stream, expires_at: 0, flags: 0, headers: &[], payload };
    let whole = Entry::Message {
        stream: 1,
        expires_at: 1_800_000_000_000,
        flags: 1,
        headers: &[("content-type", b"text/plain"), ("trace", b"")],
        payload: b"21.5",
    };
    let deleted = Entry::MessageDelete { stream: 1, time: 1_700_000_000_000, lsn: 41, index: 2 };
    let trims = vec![
        Entry::Trim { stream: 1, time: 1_700_000_000_000, lsn: 0 },
        Entry::Trim { stream: 2, time: 1_700_000_000_000, lsn: 42 },
    ];
    // The key of 32 bytes 02 for namespace `default`, wrapped by the one of 32 bytes 01.
    let epoch =
        Entry::KeyEpoch { epoch: 1, key_id: &KEY_ID, nonce: b"twelve bytes", wrapped: &WRAPPED };
    let settings = Entry::Settings {
        ttl: 86_400_000,
        compression: 1,
        encryption: 0,
        rules: &[("site/#", u64::MAX, 0), ("site/+/door/#", 3_600_000, 100)],
    };
    let topics = vec![stream(1, "site/7/temperature"), stream(2, "site/7/door")];
    vec![
        plain("topic_define", O::TopicDefine, E::Event, topics),
        plain("publish", O::Publish, E::Event, vec![message(1, b"21.5"), message(2, b"")]),
        plain("publish_whole", O::Publish, E::Event, vec![whole]),
        plain("pattern_define", O::PatternDefine, E::Event, vec![stream(3, "site/+/door/#")]),
        plain("pattern_publish", O::PatternPublish, E::Event, vec![message(3, b"lock")]),
        plain("message_delete", O::MessageDelete, E::Event, vec![deleted]),
        plain("trim", O::Trim, E::Event, trims),
        plain("topic_settings", O::TopicSettings, E::Event, vec![settings]),
        plain("key_epoch", O::KeyEpoch, E::Event, vec![epoch]),
    ]
}

fn others() -> Vec<Golden> {
    use {EntryType as E, OperationType as O};
    let event = Entry::Event {
        id: "e-1",
        kind: "door.opened",
        at: 1_700_000_000_000_000,
        payload: b"{\"door\":7}",
    };
    let opaque = |bytes| vec![Entry::Opaque(bytes)];
    vec![
        plain("no_operation", O::NoOperation, E::KV, vec![]),
        plain("event", O::Insert, E::Event, vec![event]),
        plain("raft_internal", O::RaftInternal, E::KV, opaque(b"not for us")),
        plain("operation_99", O(99), E::Event, opaque(b"from a newer version")),
    ]
}

/// The fields of a record that `encode` puts together again.
struct Fields {
    lsn: u64,
    hlc: u64,
    checksum: u32,
    operation: OperationType,
    state: TxnState,
    entry: EntryType,
    txn_id: Option<Vec<u8>>,
    previous: Option<Vec<u8>>,
    entries: Vec<Vec<u8>>,
    durable: u64,
}

fn encode(fields: &Fields) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let entries: Vec<WIPOffset<EncodedEntry<'_>>> = fields
        .entries
        .iter()
        .map(|entry| {
            let entry = Some(builder.create_vector(entry));
            EncodedEntry::create(&mut builder, &EncodedEntryArgs { entry })
        })
        .collect();
    let entries = Some(builder.create_vector(&entries));
    let txn_id = fields.txn_id.as_ref().map(|id| builder.create_vector(id));
    let prev_txn_wal_index = fields.previous.as_ref().map(|index| builder.create_vector(index));
    let args = LogRecordArgs {
        lsn: fields.lsn,
        hlc: fields.hlc,
        crc32_checksum: fields.checksum,
        operation_type: fields.operation,
        txn_state: fields.state,
        entry_type: fields.entry,
        txn_id,
        prev_txn_wal_index,
        entries,
        durable_lsn: fields.durable,
    };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

fn fields_of(golden: &Golden) -> Fields {
    let entries: Vec<Vec<u8>> = golden.entries.iter().map(encode_entry).collect();
    Fields {
        lsn: LSN,
        hlc: HLC,
        checksum: crc32(&entries.concat()),
        operation: golden.operation,
        state: golden.state,
        entry: golden.entry,
        txn_id: golden.txn.then(|| TXN_ID.to_vec()),
        previous: golden.txn.then(|| PREVIOUS.to_vec()),
        entries,
        durable: DURABLE + 1,
    }
}

fn decode(bytes: &[u8]) -> Fields {
    let record = flatbuffers::root::<LogRecord<'_>>(bytes).expect("a record");
    let entries = record.entries().expect("entries");
    Fields {
        lsn: record.lsn(),
        hlc: record.hlc(),
        checksum: record.crc32_checksum(),
        operation: record.operation_type(),
        state: record.txn_state(),
        entry: record.entry_type(),
        txn_id: record.txn_id().map(|id| id.bytes().to_vec()),
        previous: record.prev_txn_wal_index().map(|index| index.bytes().to_vec()),
        entries: entries.iter().map(|entry| entry.entry().expect("bytes").bytes().into()).collect(),
        durable: record.durable_lsn(),
    }
}

/// Bit by bit, so that the test shares no code with what it checks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("hex")
    };
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string"));
        text.push('\n');
        text
    })
}

#[test]
fn every_golden_record_says_what_it_should() {
    for golden in golden() {
        let expected = fields_of(&golden);
        let found = decode(&read(golden.name));
        let name = golden.name;
        assert_eq!((found.lsn, found.hlc), (LSN, HLC), "{name}");
        assert_eq!((found.operation, found.state), (golden.operation, golden.state), "{name}");
        assert_eq!(found.entry, golden.entry, "{name}");
        assert_eq!(found.durable, DURABLE + 1, "{name}");
        assert_eq!((found.txn_id, found.previous), (expected.txn_id, expected.previous), "{name}");
        assert_eq!(found.checksum, crc32(&found.entries.concat()), "{name}");
        assert_eq!(found.entries.len(), golden.entries.len(), "{name}");
        found.entries.iter().zip(&golden.entries).for_each(|(bytes, entry)| {
            check_entry(bytes, entry);
        });
    }
}

#[test]
fn every_golden_record_is_encoded_again_to_the_same_bytes() {
    for golden in golden() {
        let stored = read(golden.name);
        assert_eq!(hex(&encode(&decode(&stored))), hex(&stored), "{}", golden.name);
        assert_eq!(hex(&encode(&fields_of(&golden))), hex(&stored), "{}", golden.name);
    }
}

#[test]
fn no_golden_file_is_left_unread() {
    let mut names: Vec<String> =
        golden().iter().map(|golden| format!("{}.hex", golden.name)).collect();
    let files = std::fs::read_dir(folder()).expect("the folder");
    let mut found: Vec<String> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
    names.sort();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn enum_values_are_those_of_the_public_format() {
    let operations = [
        OperationType::NoOperation,
        OperationType::Insert,
        OperationType::Delete,
        OperationType::TxnMarker,
        OperationType::DeleteRowByKey,
        OperationType::RaftInternal,
    ];
    assert_eq!(operations.map(|operation| operation.0), [0, 1, 2, 3, 4, 5]);
    let ours = [
        OperationType::TopicDefine,
        OperationType::Publish,
        OperationType::PatternDefine,
        OperationType::PatternPublish,
        OperationType::MessageDelete,
        OperationType::Trim,
        OperationType::ExpireTo,
        OperationType::Expire,
    ];
    assert_eq!(ours.map(|operation| operation.0), [16, 17, 18, 19, 20, 21, 22, 23]);
    let states = [TxnState::None, TxnState::Begin, TxnState::Prepare, TxnState::Commit];
    assert_eq!(states.map(|state| state.0), [0, 1, 2, 3]);
    let entries = [EntryType::KV, EntryType::Chunked, EntryType::Row, EntryType::Event];
    assert_eq!(entries.map(|entry| entry.0), [0, 1, 2, 3]);
}
