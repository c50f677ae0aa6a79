use super::{chunk_cell, chunk_offset, from_log, keys, summary_cell, to_log};
use crate::memtable::ObjectSummary;
use crate::models::row::split;

#[test]
fn a_key_of_the_log_comes_back() {
    for object in [&b"a"[..], b"a\0b", b"\0\0\0\0", &[0xFF; 300]] {
        assert_eq!(from_log(&to_log(object)), Some(object));
    }
    assert_eq!(to_log(b"map"), b"\xFF\0\0\0\x03map\0\0\0\0");
    for foreign in [&b""[..], b"\xFF", b"\xFF\0\0\0\0\0\0\0\0", b"\xFE\0\0\0\x01a\0\0\0\0"] {
        assert_eq!(from_log(foreign), None);
    }
}

#[test]
fn cells_lie_behind_the_head_in_the_order_of_their_offsets() {
    let mut keys = keys(b"a\0b");
    let head = keys.head().to_vec();
    let summary = keys.cell(summary_cell()).to_vec();
    let mut last = summary.clone();
    for offset in [0, 1, 255, 256, 1 << 32, u64::MAX] {
        let chunk = keys.cell(&chunk_cell(offset)).to_vec();
        assert!(last < chunk);
        let (start, cell) = split(&chunk).expect("a cell");
        assert_eq!((start, chunk_offset(cell)), (&*head, Some(offset)));
        last = chunk;
    }
    assert!(head < summary);
    assert_eq!(split(&summary), Some((&*head, summary_cell())));
    assert_eq!(chunk_offset(summary_cell()), None);
}

#[test]
fn a_summary_comes_back() {
    let summary = ObjectSummary { bytes: 0x0102_0304_0506, checksum: 0xDEAD_BEEF, chunks: 7 };
    assert_eq!(ObjectSummary::decode(&summary.encode()), Some(summary));
    assert_eq!(ObjectSummary::decode(&[0; 15]), None);
}
