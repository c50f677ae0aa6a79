use super::SparseIndex;
use alloc::vec::Vec;
use unison_base::prng::Prng;

#[test]
fn lookups_agree_with_a_list_of_all_frames() {
    let mut prng = Prng::new(5);
    for segment_bytes in [64 << 10, 1 << 20, 16 << 20] {
        let index = SparseIndex::new(segment_bytes);
        let mut frames: Vec<u64> = Vec::new();
        let mut offset = 64;
        while offset < segment_bytes {
            index.note(frames.len() as u64, offset);
            frames.push(offset);
            let bytes =
                if prng.chance(2) { prng.between(24, 200_000) } else { prng.between(24, 400) };
            offset += bytes.next_multiple_of(8);
        }
        for _ in 0..2_000 {
            let wanted = prng.below(frames.len() as u64);
            let (ordinal, found) = index.before(wanted).unwrap();
            assert!(ordinal <= wanted);
            assert_eq!(frames[usize::try_from(ordinal).unwrap()], found);
            assert!(
                frames[usize::try_from(wanted).unwrap()] - found < index.granule_bytes + 200_024
            );
        }
    }
}
