use super::{HeaderError, SegmentHeader, VERSION};
use unison_base::checksum::crc32c;

#[test]
fn every_flipped_bit_is_detected() {
    let good = SegmentHeader::empty(7).encode();
    let mut detected = 0;
    for bit in 0..56 * 8 + 32 {
        let mut damaged = good;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit} went unseen");
        detected += 1;
    }
    assert_eq!(detected, 480);
}

#[test]
fn short_and_newer_headers_say_so() {
    let good = SegmentHeader::empty(7).encode();
    for length in 0..good.len() {
        assert_eq!(SegmentHeader::decode(&good[..length]), Err(HeaderError::Short));
    }
    let mut newer = good;
    newer[4..8].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let crc = crc32c(&newer[..56]);
    newer[56..60].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::decode(&newer), Err(HeaderError::Version(2)));
}

#[test]
fn numbers_that_cannot_be_true_are_not_plausible() {
    let empty = SegmentHeader::empty(7);
    assert!(empty.is_plausible(64));
    assert!(!empty.is_plausible(63));
    assert!(!SegmentHeader { write_offset: u64::MAX - 7, ..empty }.is_plausible(1 << 24));
    assert!(!SegmentHeader { entry_count: 1, ..empty }.is_plausible(1 << 24));
    let one = SegmentHeader { entry_count: 1, write_offset: 104, ..empty };
    assert!(!one.is_plausible(1 << 24));
    assert!(SegmentHeader { first_lsn: unison_base::Lsn(9), ..one }.is_plausible(1 << 24));
}
