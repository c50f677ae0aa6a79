//! The stored forms against the golden bytes of `schemas/tree.md`, and against noise.

use super::{Checkpoint, TreeEntry, TreeValue};
use crate::expiry::Expiry;
use crate::memtable::Location;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use unison_base::hlc::Hlc;
use unison_base::prng::Prng;
use unison_base::{Lsn, Position, SegmentId};

const PAGE: &str = include_str!("../../../../schemas/tree.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn golden(bytes: &[u8]) -> bool {
    PAGE.contains(&alloc::format!("`{}`", hex(bytes)))
}

fn encoded(entry: &TreeEntry<'_>) -> Vec<u8> {
    let mut bytes = vec![0xAA; 3];
    entry.encode(&mut bytes);
    bytes
}

fn entries() -> [TreeEntry<'static>; 4] {
    let location =
        Location { segment: SegmentId(3), offset: 4_096, length: 1_024, crc: 0xDEAD_BEEF };
    let expiry = Expiry(1_800_000_000_000);
    [
        TreeEntry { lsn: Lsn(7), expiry: Expiry::NEVER, value: TreeValue::Inline(b"hi") },
        TreeEntry { lsn: Lsn(258), expiry: Expiry::NEVER, value: TreeValue::InLog(location) },
        TreeEntry { lsn: Lsn(7), expiry, value: TreeValue::Inline(b"hi") },
        TreeEntry { lsn: Lsn(258), expiry, value: TreeValue::InLog(location) },
    ]
}

#[test]
fn entries_are_those_of_the_page() {
    for entry in entries() {
        let bytes = encoded(&entry);
        assert!(golden(&bytes), "{}", hex(&bytes));
        assert_eq!(TreeEntry::decode(&bytes), Some(entry));
    }
}

#[test]
fn the_checkpoint_is_that_of_the_page() {
    let checkpoint = Checkpoint {
        crc: 1,
        lsn: Lsn(2),
        position: Position { segment: SegmentId(3), offset: 4 },
        hlc: Hlc(5),
        keys: 6,
        skipped: 7,
        rows: 8,
        expired_to: 10,
        oldest_open: Some(Lsn(9)),
        outdated: false,
    };
    let bytes = checkpoint.encode();
    assert!(golden(&bytes), "{}", hex(&bytes));
    assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
    for length in 4..bytes.len() {
        assert_eq!(Checkpoint::decode(&bytes[..length]), Err(None));
    }
    let mut newer = bytes;
    newer[0] = 6;
    assert_eq!(Checkpoint::decode(&newer), Err(Some(6)));
}

#[test]
fn a_checkpoint_of_an_older_version_is_outdated_when_it_passed_over_records() {
    for skipped in [0, 1] {
        let known = Checkpoint { lsn: Lsn(2), keys: 6, skipped, ..Checkpoint::default() };
        for (version, length) in [(1, 48), (2, 56), (3, 72), (4, 72)] {
            let mut bytes = known.encode()[..length].to_vec();
            bytes[0] = version;
            let expected = Checkpoint { outdated: skipped > 0, ..known };
            assert_eq!(Checkpoint::decode(&bytes), Ok(expected));
        }
    }
}

#[test]
fn what_is_no_entry_is_none_and_what_is_one_comes_back_the_same() {
    let mut prng = Prng::new(1);
    for _ in 0..20_000 {
        let mut noise = vec![0; usize::try_from(prng.below(60)).unwrap()];
        prng.fill(&mut noise);
        if let Some(flags) = noise.get_mut(8) {
            *flags %= 5;
        }
        if let Some(entry) = TreeEntry::decode(&noise) {
            assert_eq!(encoded(&entry), noise);
        }
    }
}
