//! A damaged tree, at which redb may panic at every start.

use super::{DISK_BYTES, Figures, equal};
use crate::hub::Hub;
use crate::image;
use crate::machine::Machine;
use crate::setup::Setup;
use anyhow::ensure;
use redb::StorageBackend as _;
use std::path::Path;

const RECORDS: u64 = 30_000;
/// The file's first page says where the others are, and stays.
const PAGE_BYTES: u64 = 4096;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    hub.fill(0, RECORDS, 100)?;
    let arguments = "memtable=1MiB";
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, arguments)?;
    equal(&mut hub, &machine)?;
    machine.kill();
    let tree = image::volume(&disk)?.tree();
    let bytes = tree.len()?;
    ensure!(bytes > 2 * PAGE_BYTES, "a tree of {bytes} bytes");
    let rot = vec![0xA5; usize::try_from(bytes - PAGE_BYTES)?];
    tree.write(PAGE_BYTES, &rot)?;
    tree.sync_data()?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, arguments)?;
    let line = machine.says("made anew")?;
    let content = equal(&mut hub, &machine)?;
    let lines = machine.uart.lines();
    let panics = lines.iter().filter(|line| line.has("started again after panic")).count();
    let seconds = line.at.duration_since(machine.started).as_secs_f64();
    Ok(vec![
        format!(
            "{} bytes of the tree overwritten; after {panics} panics and {seconds:.1} s:",
            rot.len()
        ),
        format!("said: {}", line.entry.text),
        format!("{} keys equal", content.len()),
    ])
}
