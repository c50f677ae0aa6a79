//! A disk that rots.

use super::{DISK_BYTES, Figures, equal};
use crate::hub::{Hub, namespace};
use crate::image;
use crate::machine::Machine;
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use std::path::Path;
use unison_base::SegmentId;
use unison_ports::{SegmentFile as _, SegmentKind, SegmentStore as _};

const RECORDS: u64 = 8_000;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    hub.fill(0, RECORDS, 400)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    equal(&mut hub, &machine)?;
    machine.kill();
    let flipped = flip(&disk)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let found = machine.wait_for("the damage is found", |status| {
        namespace(status)["evidenceBytes"].as_u64() > Some(0)
    })?;
    let line = machine.says("damaged")?;
    ensure!(line.entry.level == "ERROR", "{}", line.entry);
    let content = equal(&mut hub, &machine)?;
    hub.fill(RECORDS, 100, 400)?;
    equal(&mut hub, &machine)?;
    machine.kill();
    whole(&disk, &hub, flipped)?;
    Ok(vec![
        format!("flipped a bit in segment {flipped}; {} keys equal again", content.len()),
        format!("said: {}", line.entry.text),
        format!("{} bytes are kept aside", namespace(&found)["evidenceBytes"]),
    ])
}

/// Flips a bit in a record of a sealed segment that a start reads again; returns the segment. At the
/// very end of the log it would be taken for a group that was cut off, and only fetched again.
fn flip(disk: &Path) -> anyhow::Result<u32> {
    let store = image::volume(disk)?.segments();
    let number = SegmentId(3);
    let file = store.open(number, SegmentKind::Log)?;
    let mut byte = [0];
    file.read_at(50_000, &mut byte)?;
    file.write_at(50_000, &[byte[0] ^ 0x10])?;
    file.sync()?;
    Ok(number.0)
}

/// The segment in the log is the hub's again, and the damaged one is still there.
fn whole(disk: &Path, hub: &Hub, number: u32) -> anyhow::Result<()> {
    let store = image::volume(disk)?.segments();
    let file = store.open(SegmentId(number), SegmentKind::Log).context("not fetched again")?;
    let mut bytes = vec![0; 200_000];
    file.read_at(64, &mut bytes)?;
    ensure!(hub.segment(number)?.get(64..200_064) == Some(&bytes[..]), "not the hub's bytes");
    let aside = store.open(SegmentId(number), SegmentKind::Aside).context("not set aside")?;
    aside.read_at(64, &mut bytes)?;
    ensure!(hub.segment(number)?.get(64..200_064) != Some(&bytes[..]), "no damage set aside");
    Ok(())
}
