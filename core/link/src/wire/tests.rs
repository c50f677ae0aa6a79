use super::{
    BODY_MAX, HEADER_BYTES, Header, Kind, OPTIONAL, RUN_BODY_MAX, Reader, WireError, Writer,
};
use crate::messages::{Bye, Run, write, write_run};
use unison_base::{Lsn, SegmentId};

const BYE: Bye = Bye { reason: 3, retry_after_ms: 1_500 };
const RUN: Run = Run {
    namespace: u32::MAX,
    segment: SegmentId(u32::MAX),
    offset: u32::MAX - 7,
    first: Lsn::MAX,
    count: u32::MAX,
    segment_bytes: 4 << 30,
    durable: Lsn::MAX,
    frame_bytes: 7,
};

#[test]
fn a_message_comes_back() {
    let mut out = [0; 64];
    let bytes = write(&mut out, Kind::Bye, &BYE).unwrap();
    let header = Header::peek(&out).unwrap();
    assert_eq!(header.message_bytes(0), Ok(bytes));
    assert_eq!(Reader::open(&out[..bytes]).unwrap().only::<Bye>(), Ok(BYE));
}

#[test]
fn every_changed_bit_and_every_cut_is_seen() {
    let mut out = [0; 64];
    let bytes = write(&mut out, Kind::Bye, &BYE).unwrap();
    for bit in 0..bytes * 8 {
        let mut damaged = out;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Reader::open(&damaged[..bytes]).is_err(), "bit {bit}");
    }
    for cut in 0..bytes {
        assert!(Reader::open(&out[..cut]).is_err(), "cut {cut}");
    }
}

#[test]
fn every_changed_bit_of_a_run_head_is_seen() {
    let mut out = [0; HEADER_BYTES + RUN_BODY_MAX];
    let bytes = write_run(&mut out, &RUN).unwrap();
    assert_eq!(Run::open(&out), Ok((RUN, bytes)));
    for bit in 0..bytes * 8 {
        let mut damaged = out;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Run::open(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn lengths_are_bounded_by_kind() {
    let of = |length: usize, kind: u8| {
        Header { length: u32::try_from(length).unwrap(), kind }.message_bytes(1 << 20)
    };
    assert_eq!(of(4, Kind::Bye as u8), Err(WireError::TooShort { bytes: 4 }));
    assert_eq!(of(33, Kind::Bye as u8), Ok(37));
    assert_eq!(of(34, Kind::Bye as u8), Err(WireError::TooLong { kind: 11, bytes: 34, limit: 33 }));
    assert!(of((1 << 20) + RUN_BODY_MAX + 1, Kind::Run as u8).is_ok());
    assert!(of((1 << 20) + RUN_BODY_MAX + 2, Kind::Run as u8).is_err());
    assert!(of(u32::MAX as usize, Kind::Run as u8).is_err());
    assert!(of(BODY_MAX + 1, OPTIONAL | 3).is_ok());
    assert!(of(BODY_MAX + 2, OPTIONAL | 3).is_err());
    for reserved in [0, 4, 6, 7, 8, 13, 127] {
        assert_eq!(of(20, reserved), Err(WireError::UnknownKind { kind: reserved }));
    }
}

#[test]
fn a_value_that_does_not_fit_leaves_the_message_as_it_was() {
    let mut out = [0; 64];
    let mut writer = Writer::begin(&mut out, Kind::Bye).unwrap();
    assert!(writer.put(&1_u8));
    let before = writer.bytes();
    assert!(!writer.put(&[7_u8; 32]));
    assert_eq!(writer.bytes(), before);
    let bytes = writer.finish(0).unwrap();
    assert_eq!(Reader::open(&out[..bytes]).unwrap().only::<u8>(), Ok(1));
    assert!(Writer::begin(&mut [0; 8], Kind::Bye).is_none());
}

#[test]
fn nothing_may_follow_the_last_field() {
    let mut out = [0; 64];
    let mut writer = Writer::begin(&mut out, Kind::Bye).unwrap();
    assert!(writer.put(&BYE) && writer.put(&0_u8));
    let bytes = writer.finish(0).unwrap();
    let read = Reader::open(&out[..bytes]).unwrap().only::<Bye>();
    assert_eq!(read, Err(WireError::Body { kind: 11 }));
}
