//! The vectors of `schemas/medium.md`, byte for byte.

use crate::support::{fresh, open};
use std::collections::BTreeMap;
use std::sync::Arc;
use unison_bare::block::BlockDevice as _;
use unison_base::{LogId, SegmentId};
use unison_ports::{SegmentFile as _, SegmentKind, SegmentStore as _};
use unison_sim::blocks::CrashBlocks;

const PAGE: &str = include_str!("../../../../schemas/medium.md");

/// The disk that the page describes.
fn described() -> CrashBlocks {
    let (disk, volume) = fresh();
    let store = volume.segments();
    store.set_log_id(LogId([9; 16])).unwrap();
    store.create(SegmentId(7), 70_000).unwrap().write_at(0, b"x").unwrap();
    store.set_kind(SegmentId(7), SegmentKind::Log, SegmentKind::Aside).unwrap();
    store.create(SegmentId(7), 65_536).unwrap();
    disk.flush().unwrap();
    disk.copy()
}

fn sector(disk: &CrashBlocks, sector: u64) -> [u8; 512] {
    let mut bytes = [0; 512];
    disk.read(sector, &mut bytes).unwrap();
    bytes
}

/// `name = hex` lines; the name ends in the byte at which they begin.
fn vectors() -> BTreeMap<&'static str, [u8; 512]> {
    let mut found = BTreeMap::new();
    for line in PAGE.lines() {
        let Some((name, hex)) = line.trim_start_matches("- `").split_once(" = ") else { continue };
        let Some((name, at)) = name.split_once(" from ") else { continue };
        let hex = hex.trim_end_matches('`');
        let at: usize = at.parse().unwrap();
        let sector = found.entry(name).or_insert([0; 512]);
        for index in 0..hex.len() / 2 {
            sector[at + index] = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap();
        }
    }
    found
}

#[test]
fn a_disk_has_the_bytes_of_the_page() {
    let (disk, vectors) = (described(), vectors());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (name, copies) in [("superblock", [0, 1024]), ("table", [1, 1025])] {
        for copy in copies {
            let found = sector(&disk, copy);
            let expected = vectors.get(name).copied().unwrap_or([0; 512]);
            assert!(found == expected, "{name} at {copy}: {}", hex(&found));
        }
    }
}

#[test]
fn the_bytes_of_the_page_are_read() {
    let vectors = vectors();
    let disk = CrashBlocks::new(crate::support::DISK_BYTES);
    for (name, copies) in [("superblock", [0, 1024]), ("table", [1, 1025])] {
        for copy in copies {
            disk.write(copy, &vectors[name]).unwrap();
        }
    }
    let (volume, opened) = open(&Arc::new(disk)).unwrap();
    assert_eq!(opened, unison_bare::medium::Opened::default());
    let store = volume.segments();
    assert_eq!(store.log_id(), Ok(Some(LogId([9; 16]))));
    assert_eq!(store.open(SegmentId(7), SegmentKind::Aside).unwrap().size(), 70_000);
    assert_eq!(store.open(SegmentId(7), SegmentKind::Log).unwrap().size(), 65_536);
}
