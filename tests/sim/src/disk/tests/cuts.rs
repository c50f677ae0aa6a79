use super::{ID, SIZE, content, segment};
use crate::disk::{CrashDisk, Cut, Damage, Fate, File, POWER_IS_OFF};
use std::collections::BTreeSet;
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// Four sectors, of which the first is durable as 1 and the rest was written as 2, 3, 4 after it.
fn written() -> CrashDisk {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    file.write_at(0, &[1; 512]).unwrap();
    file.sync().unwrap();
    for sector in 1..4_u8 {
        file.write_at(u64::from(sector) * 512, &[sector + 1; 512]).unwrap();
    }
    disk
}

/// The first byte of the first four sectors; panics when a sector is not of one piece.
fn sectors(bytes: &[u8]) -> [u8; 4] {
    std::array::from_fn(|sector| {
        let sector = &bytes[sector * 512..][..512];
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
        sector[0]
    })
}

fn outcomes(cut: Cut) -> BTreeSet<[u8; 4]> {
    let moment = written().moment();
    assert_eq!(moment.unsynced_changes(), 3);
    let mut prng = Prng::new(3);
    (0..2_000).map(|_| sectors(&content(&moment.cut(cut, &mut prng)))).collect()
}

#[test]
fn each_fate_leaves_what_it_says() {
    assert_eq!(outcomes(Cut::KEPT), [[1, 2, 3, 4]].into());
    assert_eq!(outcomes(Cut::LOST), [[1, 0, 0, 0]].into());
    let prefixes = [[1, 0, 0, 0], [1, 2, 0, 0], [1, 2, 3, 0], [1, 2, 3, 4]];
    assert_eq!(outcomes(Cut::TORN_SECTOR), prefixes.into());
    let subsets = (0..8_u8).map(|mask| {
        std::array::from_fn(|at| match u8::try_from(at).unwrap() {
            0 => 1,
            sector => (sector + 1) * (mask >> (sector - 1) & 1),
        })
    });
    assert_eq!(outcomes(Cut::REORDERED_SECTORS), subsets.collect());
}

#[test]
fn a_torn_byte_may_be_any_byte_of_the_last_write() {
    let moment = written().moment();
    let mut prng = Prng::new(4);
    let mut lengths = BTreeSet::new();
    for _ in 0..20_000 {
        let bytes = content(&moment.cut(Cut::TORN_BYTE, &mut prng));
        let length = bytes.iter().position(|&byte| byte == 0).unwrap();
        assert!(bytes[length..].iter().all(|&byte| byte == 0), "not a prefix");
        lengths.insert(length);
    }
    assert_eq!((lengths.first(), lengths.last()), (Some(&512), Some(&2048)));
    assert!(lengths.len() > 1_400, "{} lengths", lengths.len());
}

#[test]
fn units_are_counted_from_the_start_of_the_file() {
    let disk = CrashDisk::new();
    segment(&disk).write_at(500, &[7; 24]).unwrap();
    let moment = disk.moment();
    let mut prng = Prng::new(5);
    let counts: BTreeSet<_> = (0..500)
        .map(|_| moment.cut(Cut::REORDERED_SECTORS, &mut prng))
        .map(|disk| content(&disk).iter().filter(|&&byte| byte == 7).count())
        .collect();
    assert_eq!(counts, [0, 12, 24].into());
}

#[test]
fn an_interrupted_creation_leaves_nothing_all_or_zeros() {
    let disk = CrashDisk::new();
    disk.record_moments();
    segment(&disk);
    let moments = disk.take_moments();
    assert_eq!(moments.len(), 1);
    let mut sizes = BTreeSet::new();
    let mut prng = Prng::new(6);
    for _ in 0..500 {
        let left = moments[0].cut(Cut::TORN_SECTOR, &mut prng);
        let mut size = None;
        left.store("a").list(&mut |entry| size = Some(entry.size)).unwrap();
        sizes.insert(size);
        if size.is_some() {
            assert!(content(&left).iter().all(|&byte| byte == 0));
        }
        left.store("a").create(ID, SIZE).unwrap();
        assert_eq!(content(&left), vec![0; SIZE as usize]);
    }
    assert!(sizes.contains(&None) && sizes.contains(&Some(0)) && sizes.contains(&Some(SIZE)));
    assert!(sizes.len() > 50, "{} sizes", sizes.len());
}

#[test]
fn other_directory_operations_are_done_or_not() {
    let disk = CrashDisk::new();
    let store = disk.store("a");
    for id in 1..=2 {
        store.create(SegmentId(id), SIZE).unwrap();
    }
    disk.record_moments();
    store.set_kind(ID, SegmentKind::Log, SegmentKind::Aside).unwrap();
    store.remove(SegmentId(2), SegmentKind::Log).unwrap();
    store.set_log_id(LogId([5; 16])).unwrap();
    let moments = disk.take_moments();
    let mut prng = Prng::new(7);
    let mut seen = BTreeSet::new();
    for (index, moment) in moments.iter().enumerate() {
        for fate in [Fate::Kept, Fate::Lost, Fate::Torn, Fate::Reordered] {
            let left = moment.cut(Cut { fate, unit_bytes: 512 }, &mut prng).store("a");
            let mut entries = Vec::new();
            left.list(&mut |entry| entries.push((entry.id.0, entry.kind))).unwrap();
            seen.insert((index, entries, left.log_id().unwrap()));
        }
    }
    use SegmentKind::{Aside, Log};
    let expected = [
        (0, vec![(1, Log), (2, Log)], None),
        (0, vec![(1, Aside), (2, Log)], None),
        (1, vec![(1, Aside), (2, Log)], None),
        (1, vec![(1, Aside)], None),
        (2, vec![(1, Aside)], None),
        (2, vec![(1, Aside)], Some(LogId([5; 16]))),
    ];
    assert_eq!(seen, expected.into());
}

#[test]
fn handles_from_before_the_cut_fail() {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    let _left = disk.crash(Cut::KEPT, &mut Prng::new(8));
    assert_eq!(file.sync(), Err(IoError::Device(POWER_IS_OFF)));
    assert_eq!(disk.store("a").log_id(), Err(IoError::Device(POWER_IS_OFF)));
}

#[test]
fn damage_changes_exactly_what_it_names() {
    let disk = written();
    let handle = disk.store("a").open(ID, SegmentKind::Log).unwrap();
    handle.sync().unwrap();
    let then = disk.moment();
    let before = content(&disk);
    let file = File::Segment(ID, SegmentKind::Log);
    let changed = |damage| {
        let copy = disk.copy();
        copy.damage("a", file, damage).unwrap();
        content(&copy.crash(Cut::KEPT, &mut Prng::new(0)))
    };
    let flipped = changed(Damage::FlipBit { offset: 3, bit: 2 });
    assert_eq!((flipped[3], before[3]), (1 ^ 4, 1));
    assert_eq!(flipped.iter().zip(&before).filter(|(a, b)| a != b).count(), 1);
    assert_eq!(sectors(&changed(Damage::Zero { offset: 512, length: 512 })), [1, 0, 3, 4]);
    assert_eq!(sectors(&changed(Damage::Copy { from: 0, to: 1024, length: 512 })), [1, 2, 1, 4]);
    let swap = Damage::Swap { first: 0, second: 512, length: 512 };
    assert_eq!(sectors(&changed(swap)), [2, 1, 3, 4]);
    handle.write_at(0, &[9; 1024]).unwrap();
    handle.sync().unwrap();
    assert_eq!(sectors(&content(&disk)), [9, 9, 3, 4]);
    let stale = Damage::Stale { offset: 512, length: 512, then: &then };
    assert_eq!(sectors(&changed(stale)), [9, 2, 3, 4]);
}
