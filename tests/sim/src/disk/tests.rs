mod cuts;
mod faults;
mod tree;

use super::{CrashDisk, DiskOptions, SimSegment};
use unison_base::SegmentId;
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};

const SIZE: u64 = 16 << 10;
const ID: SegmentId = SegmentId(1);

fn segment(disk: &CrashDisk) -> SimSegment {
    disk.store("a").create(ID, SIZE).unwrap()
}

/// The whole segment as a new handle reads it.
fn content(disk: &CrashDisk) -> Vec<u8> {
    let file = disk.store("a").open(ID, SegmentKind::Log).unwrap();
    let mut bytes = vec![1; usize::try_from(file.size()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn views_are_there_only_on_a_mapped_disk_and_keep_their_bytes() {
    assert_eq!(segment(&CrashDisk::new()).view(0, 1), None);
    let disk = CrashDisk::with(DiskOptions { mapped: true, seed: 0 });
    let file = segment(&disk);
    file.write_at(8, b"then").unwrap();
    let then = file.view(8, 4).unwrap();
    file.write_at(8, b"now!").unwrap();
    assert_eq!((then, file.view(8, 4).unwrap()), (&b"then"[..], &b"now!"[..]));
    assert_eq!(file.view(SIZE, 0), Some(&b""[..]));
    assert_eq!(file.view(SIZE - 1, 2), None);
    assert_eq!(file.view(u64::MAX, 2), None);
}

#[test]
fn directories_share_the_disk_and_nothing_else() {
    let disk = CrashDisk::new();
    segment(&disk);
    let mut entries = 0;
    disk.store("b").list(&mut |_| entries += 1).unwrap();
    assert_eq!(entries, 0);
    disk.store("a").list(&mut |_| entries += 1).unwrap();
    assert_eq!(entries, 1);
}

#[test]
fn bytes_and_calls_are_counted() {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    file.write_at(0, &[1; 100]).unwrap();
    file.write_at(100, &[2; 100]).unwrap();
    file.write_at(4090, &[3; 10]).unwrap();
    file.sync().unwrap();
    file.sync().unwrap();
    file.read_at(0, &mut [0; 4]).unwrap();
    let counters = disk.counters();
    assert_eq!(counters.segment_bytes, 210);
    assert_eq!(counters.synced_page_bytes, 8192, "two pages, each once");
    assert_eq!((counters.writes, counters.syncs, counters.reads), (3, 2, 1));
    assert_eq!(counters.calls(), 7);
}
