//! Records as the log sees them: a FlatBuffers table with the LSN and the durable watermark.

use unison_base::Lsn;
use unison_base::bytes::put;
use unison_base::prng::Prng;

const VTABLE: usize = 4;
const VTABLE_BYTES: usize = 4 + 2 * 10;
const TABLE: usize = VTABLE + VTABLE_BYTES;
const LSN_AT: usize = TABLE + 4;
const DURABLE_AT: usize = LSN_AT + 8;
/// Bytes of a record without content.
const RECORD_BYTES_MIN: usize = DURABLE_AT + 8;

/// A record of at least `bytes` bytes; `life` makes its content another than that of a record which
/// had its LSN before a power cut.
pub(crate) fn record(lsn: Lsn, durable: Lsn, life: u64, bytes: usize) -> Vec<u8> {
    let mut record = vec![0; bytes.max(RECORD_BYTES_MIN)];
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let fields: [(usize, &[u8]); 7] = [
        (0, &u32::try_from(TABLE).unwrap().to_le_bytes()),
        (VTABLE, &short(VTABLE_BYTES)),
        (VTABLE + 2, &short(RECORD_BYTES_MIN - TABLE)),
        (VTABLE + 4, &short(LSN_AT - TABLE)),
        (VTABLE + 4 + 2 * 9, &short(DURABLE_AT - TABLE)),
        (TABLE, &u32::try_from(VTABLE_BYTES).unwrap().to_le_bytes()),
        (LSN_AT, &lsn.0.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        put(&mut record, at, bytes).unwrap();
    }
    // The field holds one more than the watermark: 0 says that the writer left it out.
    put(&mut record, DURABLE_AT, &durable.next().0.to_le_bytes()).unwrap();
    Prng::new(lsn.0 << 16 | life).fill(&mut record[RECORD_BYTES_MIN..]);
    record
}

#[test]
fn records_are_read_as_the_log_reads_them() {
    use unison_base::frame::{payload_lsn, root_u64};
    let bytes = record(Lsn(7), Lsn(5), 0, 100);
    assert_eq!(payload_lsn(&bytes), Some(Lsn(7)));
    assert_eq!(root_u64(&bytes, 9), Some(6));
    assert_eq!(root_u64(&bytes, 1), Some(0));
    assert_ne!(bytes, record(Lsn(7), Lsn(5), 1, 100));
}
