//! Which disks are formatted, served and refused.

use crate::support::{DISK_BYTES, fresh, name, open, wanted};
use std::sync::Arc;
use unison_bare::block::BlockDevice as _;
use unison_bare::medium::{METADATA_BYTES, Medium, MediumError, Opened, Wanted, WantedError};
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentStore as _};
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::{Calls, Fault};

const SECOND_SUPERBLOCK: u64 = 1024;

/// All bytes of the metadata.
fn metadata(disk: &CrashBlocks) -> Vec<u8> {
    let mut bytes = vec![0; METADATA_BYTES as usize];
    disk.read(0, &mut bytes).unwrap();
    bytes
}

fn refused(disk: &Arc<CrashBlocks>) -> MediumError {
    let before = (metadata(disk), disk.disk().counters().writes);
    let error = open(disk).expect_err("a disk that has to be refused");
    assert!((metadata(disk), disk.disk().counters().writes) == before, "it was written to");
    error
}

#[test]
fn a_blank_disk_is_formatted_once() {
    let (disk, volume) = fresh();
    volume.segments().create(SegmentId(3), 70_000).unwrap();
    drop(volume);
    let (volume, opened) = open(&disk).unwrap();
    assert_eq!(opened, Opened::default());
    assert_eq!(crate::support::entries(&*volume.segments()).len(), 1);
    let usage = volume.usage();
    let whole = METADATA_BYTES + usage.segment_bytes + usage.tree_region_bytes;
    assert_eq!(whole, DISK_BYTES, "{usage:?}");
    assert_eq!(usage.segment_used_bytes, 128 << 10);
}

#[test]
fn volumes_are_apart() {
    let disk = Arc::new(CrashBlocks::new(24 << 20));
    let names = ["a", "b", "c", "d"];
    let (medium, _) = Medium::open(Arc::clone(&disk), &wanted(&names)).unwrap();
    for (seed, text) in (1..).zip(names) {
        let store = medium.volume(&name(text)).unwrap().segments();
        store.set_log_id(LogId([seed; 16])).unwrap();
        let file = store.create(SegmentId(1), 1 << 20).unwrap();
        unison_ports::SegmentFile::write_at(&file, 0, &[seed; 1000]).unwrap();
    }
    // A part of them, and in any order, is enough.
    let (medium, _) = Medium::open(disk, &wanted(&["d", "b"])).unwrap();
    for (seed, text) in (1..).zip(names) {
        let store = medium.volume(&name(text)).unwrap().segments();
        assert_eq!(store.log_id(), Ok(Some(LogId([seed; 16]))));
        let file = store.open(SegmentId(1), unison_ports::SegmentKind::Log).unwrap();
        let mut bytes = [0; 1000];
        unison_ports::SegmentFile::read_at(&file, 0, &mut bytes).unwrap();
        assert_eq!(bytes, [seed; 1000]);
    }
    assert!(medium.volume(&name("e")).is_none());
}

#[test]
fn what_is_wanted_is_bounded() {
    let names: Vec<_> = ["a", "b", "c", "d", "e"].map(name).into();
    assert_eq!(Wanted::new(&names), Err(WantedError::Count(5)));
    assert_eq!(Wanted::new(&[]), Err(WantedError::Count(0)));
    assert_eq!(Wanted::new(&[name("a"), name("a")]), Err(WantedError::Twice));
}

#[test]
fn a_disk_of_another_kind_is_refused_and_left_alone() {
    let disk = Arc::new(CrashBlocks::new(4 << 20));
    assert_eq!(refused(&disk), MediumError::TooSmall { sectors: 8192, needed: 10_240 });
    let disk = Arc::new(CrashBlocks::new(0));
    assert_eq!(open(&disk).err(), Some(MediumError::Io(IoError::OutOfBounds)));
    for sector in [0, SECOND_SUPERBLOCK] {
        let disk = Arc::new(CrashBlocks::new(DISK_BYTES));
        let mut boot = [0; 512];
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        disk.write(sector, &boot).unwrap();
        assert_eq!(refused(&disk), MediumError::Foreign);
    }
}

/// Ext4 leaves the first two sectors alone, btrfs the first 128, a swap area the first four pages.
#[test]
fn a_disk_of_a_file_system_is_not_blank_wherever_it_begins() {
    for sector in [1, 2, 7, 128, 201, 1000, 1023, SECOND_SUPERBLOCK + 1, 2047] {
        let disk = Arc::new(CrashBlocks::new(DISK_BYTES));
        let mut block = [0; 512];
        block[56..58].copy_from_slice(&[0x53, 0xEF]);
        disk.write(sector, &block).unwrap();
        assert_eq!(refused(&disk), MediumError::Foreign, "sector {sector}");
    }
}

#[test]
fn a_disk_of_other_geometry_is_refused_and_left_alone() {
    let (disk, volume) = fresh();
    drop(volume);
    let other = Arc::new(CrashBlocks::new(2 * DISK_BYTES));
    other.write(0, &metadata(&disk)).unwrap();
    let sectors = DISK_BYTES / 512;
    let expected = MediumError::Sectors { recorded: sectors, found: 2 * sectors };
    assert_eq!(refused(&other), expected);
    let error = Medium::open(disk, &wanted(&["default", "alarms"])).err();
    assert_eq!(error, Some(MediumError::NoVolume(name("alarms"))));
}

#[test]
fn a_newer_disk_is_refused_also_when_one_copy_is_older() {
    for copies in [&[0][..], &[SECOND_SUPERBLOCK], &[0, SECOND_SUPERBLOCK]] {
        let (disk, volume) = fresh();
        drop(volume);
        for &copy in copies {
            let mut sector = [0; 512];
            disk.read(copy, &mut sector).unwrap();
            sector[8] = 2;
            let crc = unison_base::checksum::crc32c(&sector[..508]);
            sector[508..].copy_from_slice(&crc.to_le_bytes());
            disk.write(copy, &sector).unwrap();
        }
        assert_eq!(refused(&disk), MediumError::Version { found: 2 });
    }
}

#[test]
fn a_format_that_was_cut_off_is_done_again_or_is_whole() {
    let disk = Arc::new(CrashBlocks::new(DISK_BYTES));
    // What an earlier owner left where segments will be.
    disk.write(METADATA_BYTES / 512, &vec![0xE5; 512 * 400]).unwrap();
    disk.flush().unwrap();
    disk.disk().record_moments();
    drop(open(&disk).unwrap());
    let (mut again, mut whole) = (0, 0);
    let mut prng = Prng::new(1);
    for moment in disk.disk().take_moments() {
        for cut in CrashBlocks::CUTS.into_iter().cycle().take(40) {
            let disk = Arc::new(CrashBlocks::after(&moment, cut, &mut prng));
            let (volume, opened) = open(&disk).expect("a disk whose format was cut off");
            if opened.formatted {
                again += 1
            } else {
                whole += 1
            }
            assert_eq!(crate::support::entries(&*volume.segments()), []);
            volume.segments().create(SegmentId(1), 1 << 20).unwrap();
            drop(volume);
            let (volume, opened) = open(&disk).unwrap();
            assert_eq!(opened, Opened::default());
            assert_eq!(crate::support::entries(&*volume.segments()).len(), 1);
        }
    }
    println!("format cut off: {again} times done again, {whole} times whole");
    assert!(again > 40 && whole > 10);
}

#[test]
fn a_device_that_fails_is_not_taken_for_a_blank_one() {
    for calls in [Calls::Reads, Calls::Writes, Calls::Syncs] {
        for nth in 1..4 {
            let disk = Arc::new(CrashBlocks::new(DISK_BYTES));
            disk.disk().inject(Fault::once(calls, nth, IoError::Device(5)));
            match open(&disk) {
                Err(error) => assert_eq!(error, MediumError::Io(IoError::Device(5))),
                Ok(_) => assert!(calls != Calls::Writes || nth > 3, "{calls:?} {nth}"),
            }
            disk.disk().heal();
            drop(open(&disk).expect("a device that works again"));
        }
    }
}
