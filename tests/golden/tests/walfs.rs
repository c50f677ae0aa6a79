//! `schemas/walfs.md`: the page, the independent decoder and core say the same.

use std::sync::Arc;
use unison_base::frame::{read_frame, write_frame};
use unison_base::{Lsn, SegmentId};
use unison_golden::{crc32c, frame, number, vectors};
use unison_linux::FileStore;
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_walfs::layout::{FLAG_ACTIVE, FLAG_SEALED, SegmentHeader};
use unison_walfs::recovery::RungCounts;
use unison_walfs::{Bound, Log, LogOptions, LogRole};

const PAGE: &str = "walfs.md";
const CREATED_NS: u64 = 1_700_000_000_000_000_000;
const SEGMENT_BYTES: usize = 64 << 10;

fn record(lsn: u8) -> Vec<u8> {
    let mut record = vectors(PAGE)["record-1"].clone();
    record[16] = lsn;
    record
}

#[test]
fn frames_of_the_page_are_what_its_table_says_and_what_core_writes() {
    let page = vectors(PAGE);
    let mut payloads = vec![("frame-empty", Vec::new()), ("frame-hello", b"hello".to_vec())];
    payloads.extend([("frame-record-1", record(1)), ("frame-record-2", record(2))]);
    payloads.push(("frame-record-3", record(3)));
    for (name, payload) in payloads {
        let mut written = [0xAA; 64];
        let length = write_frame(&payload, &mut written).unwrap();
        assert_eq!(frame(&payload), page[name], "{name} by the table");
        assert_eq!(&written[..length], page[name], "{name} by core");
    }
}

#[test]
fn records_of_the_page_are_read_with_their_lsn() {
    let page = vectors(PAGE);
    for lsn in 1..=3 {
        let read = read_frame(&page[&format!("frame-record-{lsn}")]).unwrap();
        assert_eq!((read.lsn, read.payload), (Lsn(lsn), record(lsn as u8).as_slice()));
    }
}

#[test]
fn headers_of_the_page_are_read_and_written_again_byte_for_byte() {
    let page = vectors(PAGE);
    let new = SegmentHeader::decode(&page["header-new"]).unwrap();
    let sealed = SegmentHeader::decode(&page["header-sealed"]).unwrap();
    assert_eq!(new, SegmentHeader::empty(CREATED_NS));
    assert_eq!((new.flags, sealed.flags), (FLAG_ACTIVE, FLAG_SEALED));
    assert_eq!((sealed.write_offset, sealed.entry_count, sealed.first_lsn), (184, 3, Lsn(1)));
    assert_eq!(sealed.modified_ns, CREATED_NS + 2_000_000_000);
    for (name, header) in [("header-new", new), ("header-sealed", sealed)] {
        let bytes = &page[name];
        assert_eq!(header.encode().as_slice(), bytes, "{name}");
        assert_eq!(number(&bytes[0..4]), 0x5557_414C, "{name}: magic");
        assert_eq!(number(&bytes[8..16]), header.created_ns, "{name}: created");
        assert_eq!(number(&bytes[16..24]), header.modified_ns, "{name}: modified");
        assert_eq!(number(&bytes[24..32]), header.write_offset, "{name}: write offset");
        assert_eq!(number(&bytes[32..40]), header.entry_count, "{name}: count");
        assert_eq!(number(&bytes[40..44]), u64::from(header.flags), "{name}: flags");
        assert_eq!(number(&bytes[44..52]), header.first_lsn.0, "{name}: first LSN");
        assert_eq!(number(&bytes[56..60]), u64::from(crc32c(&bytes[..56])), "{name}: checksum");
    }
}

#[test]
fn a_sealed_segment_put_together_from_the_page_opens_and_stays_as_it_is() {
    let page = vectors(PAGE);
    let names = ["header-sealed", "frame-record-1", "frame-record-2", "frame-record-3"];
    let mut image: Vec<u8> = names.iter().flat_map(|&name| page[name].clone()).collect();
    image.resize(SEGMENT_BYTES, 0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000000001.seg");
    std::fs::write(&path, &image).unwrap();

    let store = Arc::new(FileStore::open(dir.path(), false).unwrap());
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES as u64,
        verify_from: Lsn::ZERO,
        role: LogRole::Leader,
    };
    let (log, report) = Log::open(Arc::clone(&store), options, CREATED_NS).unwrap();
    assert_eq!((report.first, report.last), (Lsn(1), Lsn(3)));
    assert_eq!(report.rungs, RungCounts { sealed_newest: 1, ..RungCounts::default() });
    let mut cursor = log.reader().cursor(Lsn(1), Bound::Durable).unwrap();
    for lsn in 1..=3 {
        let found = cursor.next().unwrap().unwrap();
        assert_eq!((found.lsn, &*found.payload), (Lsn(lsn), record(lsn as u8).as_slice()));
    }
    assert!(cursor.next().unwrap().is_none());
    log.close().unwrap();

    assert_eq!(std::fs::read(&path).unwrap(), image, "opening changed a sound segment");
    let file = store.open(SegmentId(1), SegmentKind::Log).unwrap();
    assert_eq!(file.size(), SEGMENT_BYTES as u64);
}
