//! A segment file that is checked in, and segments that core writes, read by core and by
//! `decode_walfs.py`, which shares nothing with it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use unison_base::Lsn;
use unison_base::frame::write_frame;
use unison_linux::FileStore;
use unison_ports::{IoError, SegmentFile};
use unison_walfs::layout::{FLAG_SEALED, HEADER_BYTES, SegmentHeader};
use unison_walfs::scan::{SegmentScan, Stop};
use unison_walfs::{Bound, Log, LogOptions, LogRole, StageError};

const NOW_NS: u64 = 1_700_000_000_000_000_000;
const GOLDEN: &str = "segments/000000007.seg";
/// The golden segment's first record, and the bytes behind each record's table.
const GOLDEN_FIRST: u64 = 4_294_967_295;
const GOLDEN_BODIES: [&[u8]; 5] =
    [b"", b"a", b"sixteen bytes ok", b"\0\0\0\0\0\0\0\0\0", b"unison"];
const GOLDEN_BYTES: usize = 512;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN)
}

/// A FlatBuffer with only field 0, then bytes that no table points to.
fn record(lsn: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![12, 0, 0, 0, 6, 0, 12, 0, 4, 0, 0, 0, 8, 0, 0, 0];
    bytes.extend(lsn.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Bytes that can only be read.
struct Image(Vec<u8>);

impl SegmentFile for Image {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let bytes = self.view(offset, buffer.len()).ok_or(IoError::OutOfBounds)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<(), IoError> {
        Err(IoError::ReadOnly)
    }

    fn sync(&self) -> Result<(), IoError> {
        Err(IoError::ReadOnly)
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.0.get(usize::try_from(offset).ok()?..)?.get(..length)
    }
}

fn decode(path: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("decode_walfs.py");
    Command::new("python3").arg(script).arg(path).arg("--json").output().unwrap()
}

fn decoded(path: &Path) -> Vec<Value> {
    let output = decode(path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_golden_segment_is_decoded_and_encoded_again_byte_for_byte() {
    let image = Image(std::fs::read(golden()).unwrap());
    let header = SegmentHeader::decode(&image.0).unwrap();
    let mut again = vec![0; GOLDEN_BYTES];
    let mut at = HEADER_BYTES;
    let mut buffer = [0; GOLDEN_BYTES];
    let mut scan = SegmentScan::new(&image, &mut buffer);
    for (lsn, body) in (GOLDEN_FIRST..).zip(GOLDEN_BODIES) {
        let found = scan.advance().unwrap().unwrap();
        assert_eq!((found.lsn, found.payload), (Lsn(lsn), record(lsn, body).as_slice()));
        at += write_frame(found.payload, &mut again[at..]).unwrap();
    }
    assert_eq!(scan.advance().unwrap(), None);
    assert_eq!((scan.stopped(), scan.offset()), (Some(Stop::End), at as u64));
    let expected = SegmentHeader {
        modified_ns: NOW_NS + 1,
        write_offset: at as u64,
        entry_count: 5,
        flags: FLAG_SEALED,
        first_lsn: Lsn(GOLDEN_FIRST),
        ..SegmentHeader::empty(NOW_NS)
    };
    assert_eq!(header, expected);
    again[..HEADER_BYTES].copy_from_slice(&expected.encode());
    assert!(again == image.0, "encoded again it differs");
}

#[test]
fn the_independent_decoder_reads_the_golden_segment() {
    let segments = decoded(&golden());
    assert_eq!(segments[0]["header"]["first_lsn"], GOLDEN_FIRST);
    assert_eq!(segments[0]["size"], GOLDEN_BYTES);
    let frames = segments[0]["frames"].as_array().unwrap();
    assert_eq!(frames.len(), GOLDEN_BODIES.len());
    for ((frame, lsn), body) in frames.iter().zip(GOLDEN_FIRST..).zip(GOLDEN_BODIES) {
        assert_eq!(frame["lsn"], lsn);
        assert_eq!(frame["payload"], hex(&record(lsn, body)));
    }
}

#[test]
fn the_independent_decoder_notices_damage() {
    let image = std::fs::read(golden()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000000007.seg");
    let end = decoded(&golden())[0]["end"].as_u64().unwrap() as usize;
    // Magic, version, flags, checksum; then checksum, length, LSN, trailer, padding, terminator.
    let frame = HEADER_BYTES + 40;
    for at in [0, 4, 40, 57, frame, frame + 4, frame + 24, frame + 35, frame + 45, end, end + 15] {
        let mut damaged = image.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, damaged).unwrap();
        assert!(!decode(&path).status.success(), "byte {at}");
    }
}

#[test]
fn what_core_writes_the_independent_decoder_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(FileStore::open(dir.path(), true).unwrap());
    let options =
        LogOptions { segment_bytes: 64 << 10, verify_from: Lsn::ZERO, role: LogRole::Leader };
    let (mut log, _) = Log::open(store, options, NOW_NS).unwrap();
    while log.appended() < Lsn(300) {
        let lsn = log.next_lsn();
        let payload = record(lsn.0, &vec![lsn.0 as u8; lsn.0 as usize * 37 % 1_200]);
        match log.stage(&payload) {
            Ok(_) if lsn.0.is_multiple_of(4) => drop(log.append_staged().unwrap()),
            Ok(_) => {}
            Err(StageError::SegmentFull) => {
                log.append_staged().unwrap();
                log.sync().unwrap();
                log.rotate(NOW_NS).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    log.sync().unwrap();
    let segments = decoded(dir.path());
    let mut cursor = log.reader().cursor(Lsn(1), Bound::Durable).unwrap();
    let mut compared = 0;
    for segment in &segments {
        for frame in segment["frames"].as_array().unwrap() {
            let found = cursor.next().unwrap().unwrap();
            assert_eq!(frame["lsn"], found.lsn.0);
            assert_eq!(frame["offset"], found.position.offset);
            assert_eq!(frame["crc"], found.crc);
            assert_eq!(frame["payload"], hex(&found.payload));
            compared += 1;
        }
    }
    assert!(cursor.next().unwrap().is_none());
    println!("{compared} records in {} segments compared", segments.len());
    assert!(segments.len() > 2);
}
