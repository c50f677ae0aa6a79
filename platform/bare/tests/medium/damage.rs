//! Superblocks and tables that rot.

use crate::support::{DISK_BYTES, entries, fresh, open};
use std::sync::Arc;
use unison_bare::block::BlockDevice as _;
use unison_bare::medium::{MediumError, Opened};
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::{SegmentFile as _, SegmentKind, SegmentStore as _};
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::Damage;

const COPIES: [u64; 2] = [0, 1024];
/// Sector of a copy where the first table is.
const TABLE: u64 = 1;
const ID: LogId = LogId([5; 16]);

/// A disk with all sorts of segments, everything flushed.
fn used() -> CrashBlocks {
    let (disk, volume) = fresh();
    let store = volume.segments();
    store.set_log_id(ID).unwrap();
    for id in 1..=8 {
        let file = store.create(SegmentId(id), 65_536 * u64::from(id % 3 + 1)).unwrap();
        file.write_at(0, &[id as u8; 100]).unwrap();
        file.sync().unwrap();
    }
    store.set_kind(SegmentId(2), SegmentKind::Log, SegmentKind::Aside).unwrap();
    store.set_kind(SegmentId(3), SegmentKind::Log, SegmentKind::Values).unwrap();
    store.remove(SegmentId(4), SegmentKind::Log).unwrap();
    disk.flush().unwrap();
    disk.copy()
}

fn flip(disk: &CrashBlocks, sector: u64, bit: u64) {
    let (offset, bit) = (sector * 512 + bit / 8, u8::try_from(bit % 8).unwrap());
    disk.damage(Damage::FlipBit { offset, bit }).unwrap();
}

/// Everything that a disk says, if it says anything; what it says is what was written.
fn look(disk: CrashBlocks, expected: &CrashBlocks) -> Result<Opened, MediumError> {
    let (volume, opened) = open(&Arc::new(disk))?;
    let (whole, _) = open(&Arc::new(expected.copy())).unwrap();
    let (found, whole) = (volume.segments(), whole.segments());
    assert_eq!(entries(&*found), entries(&*whole));
    assert_eq!(found.log_id(), Ok(Some(ID)));
    for entry in entries(&*found) {
        let mut bytes = [0; 100];
        found.open(entry.id, entry.kind).unwrap().read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [entry.id.0 as u8; 100]);
    }
    Ok(opened)
}

#[test]
fn every_flipped_bit_of_one_copy_is_repaired_from_the_other() {
    let expected = used();
    for copy in COPIES {
        for bit in 0..4096 {
            let disk = expected.copy();
            flip(&disk, copy, bit);
            let opened = look(disk.copy(), &expected).unwrap();
            let repaired = Opened { superblock_repaired: true, ..Opened::default() };
            assert_eq!(opened, repaired, "bit {bit} of superblock {copy}");
            let disk = expected.copy();
            flip(&disk, copy + TABLE, bit);
            let opened = look(disk.copy(), &expected).unwrap();
            let repaired = Opened { tables_repaired: 1, ..Opened::default() };
            assert_eq!(opened, repaired, "bit {bit} of table {copy}");
        }
    }
}

#[test]
fn a_repaired_copy_is_whole_again() {
    let expected = used();
    for sector in [0, 1024, TABLE, 1024 + TABLE] {
        let disk = Arc::new(expected.copy());
        flip(&disk, sector, 77);
        assert_ne!(open(&disk).unwrap().1, Opened::default());
        assert_eq!(look(disk.copy(), &expected).unwrap(), Opened::default());
    }
}

#[test]
fn bits_flipped_in_both_copies_are_never_taken_for_something_else() {
    let expected = used();
    let mut prng = Prng::new(9);
    for at in [0, TABLE] {
        for _ in 0..4_000 {
            let disk = expected.copy();
            for copy in COPIES {
                flip(&disk, copy + at, prng.below(4096));
            }
            match look(disk, &expected) {
                Err(MediumError::Damaged) => assert_eq!(at, 0),
                Err(MediumError::Foreign) => assert_eq!(at, 0),
                Err(MediumError::TableDamaged { volume: 0 }) => assert_eq!(at, TABLE),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn garbage_of_any_kind_opens_or_is_refused() {
    let expected = used();
    let mut prng = Prng::new(4);
    for round in 0..3_000 {
        let disk = if round % 2 == 0 { CrashBlocks::new(DISK_BYTES) } else { expected.copy() };
        for _ in 0..prng.between(1, 6) {
            let copy = COPIES[usize::from(prng.chance(50))];
            let sector = copy + prng.below(4);
            let mut bytes = vec![0; 512 * prng.between(1, 3) as usize];
            match prng.below(3) {
                0 => prng.fill(&mut bytes),
                1 => disk.read(COPIES[0] + prng.below(4), &mut bytes).unwrap(),
                _ => {}
            }
            disk.write(sector, &bytes).unwrap();
        }
        if let Ok((volume, _)) = open(&Arc::new(disk)) {
            for entry in entries(&*volume.segments()) {
                let file = volume.segments().open(entry.id, entry.kind).unwrap();
                assert_eq!(file.size(), entry.size);
            }
            drop(volume.open_tree(1 << 20));
        }
    }
}
