//! Cuts at every byte, flips of every bit, blocks that are stale, swapped or twice there.

use crate::file::*;
use unison_base::Lsn;
use unison_base::frame::read_frame;
use unison_base::prng::Prng;

/// Longest prefix of whole frames, and nothing else.
fn check_cut(segment: &Segment, file: &MemoryFile, cut: u64) {
    let (survey, seen) = look(file);
    let whole = segment.whole_before(cut);
    assert_eq!(survey.prefix.count, whole, "cut at {cut}");
    assert_eq!(seen.frames.len() as u64, whole);
    assert_eq!((survey.later.highest, seen.islands.len()), (Lsn::ZERO, 0), "cut at {cut}");
    assert!(survey.prefix.end <= cut.max(64));
    assert!(survey.later.dirty_to <= cut.max(64), "cut at {cut}");
}

#[test]
fn a_segment_cut_at_every_byte_keeps_its_longest_prefix() {
    let size = 256 << 10;
    let segment = segment(size, |lsn| lsn as usize * 31 % 4_000);
    let (cut_short, zero_filled) = std::thread::scope(|scope| {
        let short = scope.spawn(|| {
            let mut file = MemoryFile { bytes: segment.bytes.clone(), mapped: true };
            (0..=size)
                .rev()
                .inspect(|&cut| {
                    file.bytes.truncate(cut);
                    check_cut(&segment, &file, cut as u64);
                })
                .count()
        });
        let zeros = scope.spawn(|| {
            let mut file = MemoryFile { bytes: segment.bytes.clone(), mapped: true };
            (0..size)
                .rev()
                .inspect(|&cut| {
                    // A byte that was zero already leaves the same file.
                    if std::mem::take(&mut file.bytes[cut]) != 0 || cut % 64 == 0 {
                        check_zero_filled(&segment, &file, cut as u64);
                    }
                })
                .count()
        });
        (short.join().unwrap(), zeros.join().unwrap())
    });
    println!("{cut_short} files cut short, {zero_filled} filled with zeros");
}

/// The bytes behind the cut are zero, so a frame that ends in zeros may be whole all the same.
fn check_zero_filled(segment: &Segment, file: &MemoryFile, cut: u64) {
    let (survey, seen) = look(file);
    let least = segment.whole_before(cut);
    let at_most = segment.whole_before(cut + 8);
    assert!((least..=at_most).contains(&survey.prefix.count), "cut at {cut}");
    assert_eq!((survey.later.highest, seen.islands.len()), (Lsn::ZERO, 0), "cut at {cut}");
}

#[test]
fn every_flipped_bit_is_detected() {
    let size = 32 << 10;
    let segment = segment(size, |lsn| lsn as usize * 31 % 700);
    let mut file = MemoryFile { bytes: segment.bytes.clone(), mapped: true };
    let used = *segment.ends.last().unwrap() as usize;
    for bit in 0..size * 8 {
        let byte = bit / 8;
        file.bytes[byte] ^= 1 << (bit % 8);
        let (survey, seen) = look(&file);
        let struck = segment.whole_before(byte as u64);
        match byte {
            0..60 => assert!(survey.header.is_err(), "bit {bit} of the header"),
            60..64 => assert!(survey.header.is_ok(), "padding"),
            _ if byte < used => {
                assert_eq!(survey.prefix.count, struck, "bit {bit}");
                let behind: u64 = seen.islands.iter().map(|island| island.count).sum();
                assert_eq!(behind, segment.ends.len() as u64 - struck - 1, "bit {bit}");
                let start = seen.islands.first().map_or(u64::MAX, |island| island.start);
                assert!(start > byte as u64, "the struck frame is not among them");
            }
            _ => {
                assert_eq!(survey.prefix.count, segment.ends.len() as u64);
                assert_eq!(survey.later.highest, Lsn::ZERO);
            }
        }
        file.bytes[byte] ^= 1 << (bit % 8);
    }
    println!("{} bits flipped", size * 8);
}

/// Every frame that is believed must be one that was written, at that place or with that LSN.
fn check_believed(bytes: &[u8], truth: &Segment) -> u64 {
    let file = MemoryFile { bytes: bytes.to_vec(), mapped: true };
    let (_, seen) = look(&file);
    let islands = seen.islands.iter().flat_map(|island| {
        let mut at = island.start;
        (0..island.count).map(move |nth| {
            let lsn = island.first.0 + nth;
            let here = at;
            at += read_frame(&bytes[at as usize..]).unwrap().frame_bytes as u64;
            (here, lsn)
        })
    });
    let mut last = FIRST - 1;
    let mut believed = 0;
    for (offset, lsn) in seen.frames.iter().copied().chain(islands) {
        assert!(lsn > last, "LSNs rise");
        last = lsn;
        let index = (lsn - FIRST) as usize;
        let start = truth.start(index) as usize;
        let length = truth.ends[index] as usize - start;
        let found = &bytes[offset as usize..offset as usize + length];
        assert!(found == &truth.bytes[start..start + length], "another record as {lsn}");
        believed += 1;
    }
    believed
}

#[test]
fn stale_swapped_and_duplicated_blocks_never_make_a_record() {
    let size = 16 << 10;
    let truth = segment(size, |lsn| lsn as usize * 31 % 300);
    let mut prng = Prng::new(11);
    let mut older = truth.bytes.clone();
    let half = truth.start(truth.ends.len() / 2) as usize;
    older[half..].fill(0);
    let (mut cases, mut believed) = (0_u64, 0);
    for case in 0..100_000 {
        let mut bytes = truth.bytes.clone();
        let block = [8, 64, 512, 4096][prng.below(4) as usize];
        let place = |prng: &mut Prng| prng.below((size / block) as u64) as usize * block;
        for _ in 0..prng.between(1, 3) {
            let (from, to) = (place(&mut prng), place(&mut prng));
            match case % 4 {
                0 => bytes[to..to + block].copy_from_slice(&older[to..to + block]),
                1 => bytes.copy_within(from..from + block, to),
                2 => (0..block).for_each(|at| bytes.swap(from + at, to + at)),
                _ => bytes[to..to + block].copy_from_slice(&truth.bytes[from..from + block]),
            }
        }
        believed += check_believed(&bytes, &truth);
        cases += 1;
    }
    println!("{cases} cases, {believed} records believed, each of them true");
    assert!(believed > cases * 10);
}
