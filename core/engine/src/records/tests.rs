//! The hand-written encoder against the code that flatc generates, and the decoder against noise.

use super::{Encoder, Head, KeyValue, Kind, Span, decode, key_values, watermark};
use crate::errors::RecordError;
use alloc::vec;
use alloc::vec::Vec;
use flatbuffers::FlatBufferBuilder;
use unison_base::Lsn;
use unison_base::checksum::crc32;
use unison_base::frame::{payload_lsn, root_u64};
use unison_base::hlc::Hlc;
use unison_base::limits::{ENTRY_OVERHEAD_MAX, RECORD_OVERHEAD_MAX};
use unison_base::prng::Prng;
use unison_schemas::{
    EncodedEntry, EncodedEntryArgs, EntryType, KeyValueEntry, LogRecord, LogRecordArgs,
    OperationType, TxnState,
};

type Pairs = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn encoded(lsn: u64, pairs: &Pairs) -> (Vec<u8>, Vec<Span>) {
    let mut encoder = Encoder::default();
    let removes = pairs.first().is_some_and(|(_, value)| value.is_none());
    let head = Head {
        lsn: Lsn(lsn),
        hlc: Hlc(lsn << 20),
        durable: Lsn(lsn - 1),
        operation: if removes { OperationType::Delete } else { OperationType::Insert },
        entry: EntryType::KV,
        transaction: None,
    };
    encoder.begin(&head, pairs.len());
    encoder.expires_at(expires_at(lsn));
    for (key, value) in pairs {
        encoder.entry(0xFE, key, value.as_deref());
    }
    encoder.finish();
    (encoder.record().to_vec(), encoder.spans().to_vec())
}

/// Every third record's entries expire.
fn expires_at(lsn: u64) -> u64 {
    if lsn.is_multiple_of(3) { lsn << 40 | 7 } else { 0 }
}

fn random_pairs(prng: &mut Prng) -> Pairs {
    let removes = prng.chance(30);
    let bytes = |prng: &mut Prng, most: u64| {
        let mut bytes = vec![0; usize::try_from(prng.below(most)).unwrap()];
        prng.fill(&mut bytes);
        bytes
    };
    let pairs = 1 + prng.below(5);
    let pair = |prng: &mut Prng| {
        let key = bytes(prng, 40);
        let value = (!removes).then(|| bytes(prng, 300));
        (key, value)
    };
    (0..pairs).map(|_| pair(prng)).collect()
}

#[test]
fn what_the_encoder_writes_is_what_generated_code_reads() {
    let mut prng = Prng::new(1);
    for lsn in 1..3_000 {
        let pairs = random_pairs(&mut prng);
        let (bytes, spans) = encoded(lsn, &pairs);
        let record = flatbuffers::root::<LogRecord<'_>>(&bytes).unwrap();
        assert_eq!((record.lsn(), record.hlc(), record.durable_lsn()), (lsn, lsn << 20, lsn));
        assert_eq!((record.txn_state(), record.entry_type()), (TxnState::None, EntryType::KV));
        assert!(record.txn_id().is_none() && record.prev_txn_wal_index().is_none());
        let entries: Vec<&[u8]> =
            record.entries().unwrap().iter().map(|entry| entry.entry().unwrap().bytes()).collect();
        assert_eq!(record.crc32_checksum(), crc32(&entries.concat()));
        assert_eq!(entries.len(), pairs.len());
        for ((entry, (key, value)), span) in entries.iter().zip(&pairs).zip(&spans) {
            let read = flatbuffers::root::<KeyValueEntry<'_>>(entry).unwrap();
            assert_eq!(read.key().unwrap().bytes(), [&[0xFE], key.as_slice()].concat());
            assert_eq!(read.value().map(|value| value.bytes()), value.as_deref());
            assert_eq!(read.expires_at(), expires_at(lsn));
            let start = span.offset as usize;
            let there = &bytes[start..start + span.length as usize];
            assert_eq!(there, value.as_deref().unwrap_or_default());
            assert!((entry.as_ptr().addr() - bytes.as_ptr().addr()).is_multiple_of(8));
        }
    }
}

#[test]
fn what_the_encoder_writes_is_what_the_decoder_reads() {
    let mut prng = Prng::new(2);
    for lsn in 1..3_000 {
        let pairs = random_pairs(&mut prng);
        let (bytes, spans) = encoded(lsn, &pairs);
        let record = decode(&bytes).unwrap();
        let kind = if pairs[0].1.is_none() { Kind::Delete } else { Kind::Put };
        assert_eq!((record.lsn(), record.hlc(), record.kind), (Lsn(lsn), Hlc(lsn << 20), kind));
        let read: Vec<_> = key_values(&record).collect();
        assert_eq!(read.len(), pairs.len());
        for ((entry, (user, expected)), placed) in read.iter().zip(&pairs).zip(spans) {
            let KeyValue { key, value, span, expiry } = entry;
            assert_eq!(expiry.0, expires_at(lsn));
            assert_eq!(*key, [&[0xFE], user.as_slice()].concat());
            assert_eq!(*value, expected.as_deref().unwrap_or_default());
            assert_eq!(span.length, placed.length);
            assert!(span.length == 0 || *span == placed);
        }
    }
}

#[test]
fn a_record_of_expiry_says_when_and_nothing_else() {
    for ms in [0, 1, u64::MAX] {
        let mut encoder = Encoder::default();
        let head = |operation| Head {
            lsn: Lsn(1),
            hlc: Hlc(1),
            durable: Lsn(0),
            operation,
            entry: EntryType::KV,
            transaction: None,
        };
        encoder.begin(&head(OperationType::ExpireTo), 1);
        encoder.watermark(ms);
        encoder.finish();
        let record = decode(encoder.record()).unwrap();
        assert_eq!((record.kind, watermark(&record)), (Kind::ExpireTo, Some(ms)));

        encoder.begin(&head(OperationType::Expire), 1);
        encoder.expires_at(ms);
        encoder.entry(0xFE, b"key", None);
        encoder.finish();
        let record = decode(encoder.record()).unwrap();
        assert_eq!((record.kind, watermark(&record)), (Kind::Expire, None));
        let entry = key_values(&record).next().unwrap();
        assert_eq!((entry.key, entry.expiry.0), (b"\xFEkey".as_slice(), ms));
    }
}

#[test]
fn the_frame_codec_finds_lsn_and_watermark() {
    let (bytes, _) = encoded(77, &vec![(b"k".to_vec(), Some(b"v".to_vec()))]);
    assert_eq!(payload_lsn(&bytes), Some(Lsn(77)));
    assert_eq!(root_u64(&bytes, 9), Some(77));
}

#[test]
fn overhead_stays_within_the_limits() {
    for entries in [1, 2, 100] {
        let pairs: Pairs = (0..entries).map(|_| (vec![7; 21], Some(vec![9; 33]))).collect();
        let (bytes, _) = encoded(3, &pairs);
        let payload = entries * (21 + 33);
        assert!(bytes.len() <= payload + RECORD_OVERHEAD_MAX + entries * ENTRY_OVERHEAD_MAX);
    }
}

#[test]
fn no_edit_of_a_record_makes_the_decoder_panic_or_lie_about_its_place() {
    let pairs = vec![
        (b"first".to_vec(), Some(b"value one".to_vec())),
        (b"second".to_vec(), Some(b"value two".to_vec())),
    ];
    let (bytes, _) = encoded(5, &pairs);
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

#[test]
fn noise_is_refused() {
    let mut prng = Prng::new(3);
    for _ in 0..20_000 {
        let mut noise = vec![0; usize::try_from(prng.below(200)).unwrap()];
        prng.fill(&mut noise);
        // Small numbers make plausible offsets.
        noise.iter_mut().for_each(|byte| *byte %= 48);
        inspect(&noise);
    }
}

fn inspect(bytes: &[u8]) {
    let Ok(record) = decode(bytes) else { return };
    for KeyValue { value, span, .. } in key_values(&record) {
        let start = span.offset as usize;
        let there = bytes.get(start..start + span.length as usize);
        assert_eq!(there.unwrap_or_default(), value);
    }
}

/// A record with entries of our choice.
fn foreign(operation: OperationType, checksum: Option<u32>, entry: &[u8]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let bytes = Some(builder.create_vector(entry));
    let wrapped = EncodedEntry::create(&mut builder, &EncodedEntryArgs { entry: bytes });
    let entries = Some(builder.create_vector(&[wrapped]));
    let args = LogRecordArgs {
        lsn: 9,
        crc32_checksum: checksum.unwrap_or_else(|| crc32(entry)),
        operation_type: operation,
        entries,
        ..LogRecordArgs::default()
    };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

#[test]
fn entries_are_verified_as_the_type_the_record_says() {
    let bytes = foreign(OperationType::Insert, None, b"no FlatBuffer at all");
    assert_eq!(decode(&bytes).map(|_| ()), Err(RecordError::Entry { index: 0 }));
    let bytes = foreign(OperationType(99), None, b"no FlatBuffer at all");
    assert_eq!(decode(&bytes).unwrap().kind, Kind::Foreign);
}

#[test]
fn a_wrong_checksum_is_refused_and_an_absent_one_is_not() {
    let entry = b"opaque";
    let computed = crc32(entry);
    let wrong = foreign(OperationType(99), Some(computed ^ 1), entry);
    let refused = RecordError::Checksum { stored: computed ^ 1, computed };
    assert_eq!(decode(&wrong).map(|_| ()), Err(refused));
    assert!(decode(&foreign(OperationType(99), Some(0), entry)).is_ok());
}

#[test]
fn tables_that_share_their_bytes_cost_no_more_than_their_size() {
    let mut builder = FlatBufferBuilder::new();
    let bytes = Some(builder.create_vector(&[0_u8; 4_000]));
    let wrapped = EncodedEntry::create(&mut builder, &EncodedEntryArgs { entry: bytes });
    let entries = Some(builder.create_vector(&[wrapped; 4_000]));
    let args = LogRecordArgs {
        lsn: 1,
        operation_type: OperationType(99),
        entries,
        ..LogRecordArgs::default()
    };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    assert_eq!(decode(builder.finished_data()).map(|_| ()), Err(RecordError::Malformed));
}
