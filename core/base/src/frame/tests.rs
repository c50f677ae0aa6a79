use super::{FrameError, Frames, frame_bytes, payload_lsn, read_frame, write_frame};
use crate::ids::Lsn;

/// The smallest FlatBuffer whose root table holds only a `u64` in field 0.
fn record(lsn: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(&12_u32.to_le_bytes());
    bytes[4..6].copy_from_slice(&6_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&12_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&4_u16.to_le_bytes());
    bytes[12..16].copy_from_slice(&8_i32.to_le_bytes());
    bytes[16..].copy_from_slice(&lsn.to_le_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

use std::format;
use std::string::String;
extern crate std;

#[test]
fn golden_vectors_of_the_format() {
    let mut buffer = [0xAA; 64];
    let written = write_frame(b"", &mut buffer).unwrap();
    assert_eq!(hex(&buffer[..written]), "c74b674800000000deadbeeffeedface");
    let written = write_frame(b"hello", &mut buffer).unwrap();
    assert_eq!(hex(&buffer[..written]), "a1b1174e0500000068656c6c6fdeadbeeffeedface000000");
}

#[test]
fn a_record_comes_back_with_its_lsn() {
    let mut buffer = [0; 64];
    let written = write_frame(&record(77), &mut buffer).unwrap();
    let frame = read_frame(&buffer).unwrap();
    assert_eq!(frame.lsn, Lsn(77));
    assert_eq!(frame.payload, record(77));
    assert_eq!(Some(frame.frame_bytes), frame_bytes(24));
    assert_eq!(frame.frame_bytes, written);
}

#[test]
fn every_flipped_bit_is_detected() {
    let mut buffer = [0; 40];
    let written = write_frame(&record(9), &mut buffer).unwrap();
    for bit in 0..written * 8 {
        let mut damaged = buffer;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read_frame(&damaged[..written]).is_err(), "bit {bit} went unseen");
    }
}

#[test]
fn every_cut_is_detected() {
    let mut buffer = [0; 40];
    let written = write_frame(&record(9), &mut buffer).unwrap();
    for length in 0..written {
        assert_eq!(read_frame(&buffer[..length]), Err(FrameError::Cut), "cut at {length}");
    }
}

#[test]
fn frames_end_at_zeros_and_stop_at_damage() {
    let mut buffer = [0; 160];
    let first = write_frame(&record(1), &mut buffer).unwrap();
    let second = write_frame(&record(2), &mut buffer[first..]).unwrap();
    let lsns =
        |bytes: &[u8]| Frames::new(bytes).filter_map(Result::ok).map(|(_, f)| f.lsn.0).sum::<u64>();
    assert_eq!(lsns(&buffer), 3);
    buffer[first + 10] ^= 1;
    let mut frames = Frames::new(&buffer[..first + second]);
    assert!(frames.next().unwrap().is_ok());
    assert!(frames.next().unwrap().is_err());
    assert!(frames.next().is_none());
    assert_eq!(frames.consumed(), first);
}

#[test]
fn hostile_payloads_hold_no_lsn() {
    let good = record(5);
    for length in 0..good.len() {
        assert_eq!(payload_lsn(&good[..length]), None, "prefix {length}");
    }
    for at in 0..16 {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut bytes = good;
            bytes[at] = value;
            let _ = payload_lsn(&bytes);
        }
    }
}
