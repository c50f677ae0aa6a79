//! Every limit names itself, and nothing is staged when one is broken.

use crate::fixture::{self, options, stage};
use unison_base::Lsn;
use unison_base::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_MAX, SEGMENT_BYTES_MIN, VALUE_MAX,
};
use unison_engine::{EngineOptions, Operation, ReadError, WriteError};

#[test]
fn writes_beyond_a_limit_are_refused_before_they_take_an_lsn() {
    let (_disk, mut engine) = fixture::new(EngineOptions { segment_bytes: 16 << 20, ..options() });
    let long = vec![b'k'; KEY_MAX + 1];
    let huge = vec![0; VALUE_MAX + 1];
    let many: Vec<&[u8]> = vec![b"k"; BATCH_OPERATIONS_MAX + 1];
    let half = vec![0; BATCH_BYTES_MAX / 2];
    let heavy: Vec<(&[u8], &[u8])> = vec![(b"a", &half), (b"b", &half)];
    let refused: Vec<(Operation<'_>, WriteError)> = vec![
        (
            Operation::Put { key: b"", value: b"" },
            WriteError::KeyLength { bytes: 0, limit: KEY_MAX },
        ),
        (
            Operation::Delete { key: &long },
            WriteError::KeyLength { bytes: KEY_MAX + 1, limit: KEY_MAX },
        ),
        (
            Operation::Put { key: b"k", value: &huge },
            WriteError::ValueLength { bytes: VALUE_MAX + 1, limit: VALUE_MAX },
        ),
        (Operation::PutBatch(&[]), WriteError::EmptyBatch),
        (Operation::DeleteBatch(&[]), WriteError::EmptyBatch),
        (
            Operation::DeleteBatch(&many),
            WriteError::BatchOperations {
                operations: BATCH_OPERATIONS_MAX + 1,
                limit: BATCH_OPERATIONS_MAX,
            },
        ),
        (
            Operation::PutBatch(&heavy),
            WriteError::BatchBytes { bytes: BATCH_BYTES_MAX + 2, limit: BATCH_BYTES_MAX },
        ),
        (
            Operation::PutBatch(&[(b"good", b""), (b"", b"")]),
            WriteError::KeyLength { bytes: 0, limit: KEY_MAX },
        ),
    ];
    for (operation, expected) in refused {
        assert_eq!(stage(&mut engine, operation).unwrap_err(), expected);
    }
    assert_eq!(engine.next_lsn(), Lsn(1));
}

#[test]
fn what_is_just_within_the_limits_is_taken() {
    let (disk, mut engine) = fixture::new(EngineOptions { segment_bytes: 16 << 20, ..options() });
    let key = vec![b'k'; KEY_MAX];
    let value = vec![7; VALUE_MAX];
    fixture::put(&mut engine, &key, &value);
    let names: Vec<[u8; 4]> = (0..BATCH_OPERATIONS_MAX as u32).map(u32::to_be_bytes).collect();
    let many: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_slice(), &b""[..])).collect();
    stage(&mut engine, Operation::PutBatch(&many)).unwrap();
    fixture::commit(&mut engine);
    engine.close().unwrap();
    let engine = fixture::open(&disk, options());
    assert_eq!(fixture::get(&engine.reader(), &key), Some(value));
    assert_eq!(engine.reader().count().unwrap(), 1 + BATCH_OPERATIONS_MAX as u64);
}

#[test]
fn a_record_that_fits_no_segment_is_refused() {
    let (_disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"before", b"1");
    let value = vec![0; SEGMENT_BYTES_MIN as usize];
    let refused = stage(&mut engine, Operation::Put { key: b"k", value: &value }).unwrap_err();
    assert!(matches!(refused, WriteError::RecordTooLarge { bytes, limit } if bytes > limit));
    fixture::commit(&mut engine);
    assert_eq!(fixture::get(&engine.reader(), b"before"), Some(b"1".to_vec()));
    assert_eq!(fixture::get(&engine.reader(), b"k"), None);
}

#[test]
fn reads_name_the_limit_too() {
    let (_disk, engine) = fixture::new(options());
    let long = vec![b'k'; KEY_MAX + 1];
    for key in [&b""[..], &long] {
        let refused = ReadError::KeyLength { bytes: key.len(), limit: KEY_MAX };
        assert_eq!(engine.reader().get(key).unwrap_err(), refused);
        assert_eq!(engine.reader().snapshot().get(key).unwrap_err(), refused);
    }
}

#[test]
fn a_follower_takes_no_writes_of_its_own() {
    let (_disk, mut engine) = fixture::new(fixture::follower_options());
    let refused = stage(&mut engine, Operation::Put { key: b"k", value: b"v" }).unwrap_err();
    assert_eq!(refused, WriteError::ReadOnly);
}
