//! The log on the machine's disk.

use super::{DISK_BYTES, Figures, equal};
use crate::hub::Hub;
use crate::image;
use crate::machine::Machine;
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use std::path::Path;
use unison_base::bytes::u64_at;
use unison_ports::{SegmentEntry, SegmentFile as _, SegmentKind, SegmentStore as _};

const HEADER_BYTES: usize = 64;
const WRITE_OFFSET_AT: usize = 24;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    hub.fill(0, 5_000, 500)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    machine.says("up to date")?;
    // A part while it follows, too.
    hub.fill(5_000, 3_000, 700)?;
    equal(&mut hub, &machine)?;
    machine.kill();
    let store = image::volume(&disk)?.segments();
    let mut entries = Vec::new();
    store.list(&mut |entry| entries.push(entry))?;
    entries.sort_unstable();
    let (mut compared, mut bytes) = (0, 0);
    for entry in entries {
        ensure!(entry.kind == SegmentKind::Log, "{entry:?} is no part of the log");
        let file = store.open(entry.id, entry.kind)?;
        let mut here = vec![0; usize::try_from(entry.size)?];
        file.read_at(0, &mut here)?;
        compared += usize::from(same(&hub, entry, &here)?);
        bytes += here.len();
    }
    ensure!(compared >= 4, "{compared} segments with records");
    Ok(vec![format!("{compared} segments, {bytes} bytes, are the hub's from byte 64 on")])
}

/// Whether a segment holds records; fails when it is not the hub's.
fn same(hub: &Hub, entry: SegmentEntry, here: &[u8]) -> anyhow::Result<bool> {
    let number = entry.id.0;
    let used = here.get(HEADER_BYTES..).is_some_and(|frames| frames.iter().any(|&byte| byte != 0));
    if !used {
        return Ok(false);
    }
    let there = hub.segment(number)?;
    ensure!(
        there.len() == here.len(),
        "segment {number}: {} bytes, not the hub's {}",
        here.len(),
        there.len()
    );
    let first = here.iter().zip(&there).skip(HEADER_BYTES).position(|(left, right)| left != right);
    ensure!(first.is_none(), "segment {number} differs {first:?} bytes behind its header");
    let offset = u64_at(here, WRITE_OFFSET_AT).context("a header")?;
    ensure!(offset >= HEADER_BYTES as u64 && offset <= entry.size, "write offset {offset}");
    Ok(true)
}
