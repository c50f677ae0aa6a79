//! Killed at random moments while the hub streams.

use super::{DISK_BYTES, Figures, equal};
use crate::content::digest;
use crate::hub::{Hub, stream};
use crate::image;
use crate::machine::Machine;
use crate::setup::Setup;
use crate::uart::shown;
use anyhow::{Context as _, bail, ensure};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use unison_base::prng::Prng;

/// Longest run of a machine, ms: some do not get to their first record, some follow for a while.
const RUN_MS: u64 = 3_000;
const PAUSE_MS_MAX: u64 = 10;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    // Small segments, so that they are made and left behind as well.
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    hub.fill(0, 1_000, 100)?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let stop = AtomicBool::new(false);
    let (written, opened) = std::thread::scope(|scope| {
        let client = hub.node.resp();
        let writer = scope.spawn(|| stream(client, setup.seed, PAUSE_MS_MAX, &stop));
        let killed = kill_often(setup, dir, &disk, &hub);
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap_or_else(|_| bail!("the writer panicked"));
        written.and_then(|written| Ok((written, killed?)))
    })?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let content = equal(&mut hub, &machine)?;
    sound(&machine)?;
    machine.kill();
    let usage = image::volume(&disk)?.usage();
    ensure!(usage.evidence_bytes == 0, "something was set aside: {usage:?}");
    Ok(vec![
        format!("seed {}: {} kills, {opened} of them behind the opening", setup.seed, setup.kills),
        format!("{written} records meanwhile, {} keys equal", content.len()),
        format!(
            "digest {:08x}, {} KiB of segments",
            digest(&content),
            usage.segment_used_bytes >> 10
        ),
    ])
}

/// Returns how many of the machines had opened their log.
fn kill_often(setup: &Setup, dir: &Path, disk: &Path, hub: &Hub) -> anyhow::Result<u64> {
    let (mut prng, mut opened) = (Prng::new(setup.seed), 0);
    for number in 0..setup.kills {
        let machine = Machine::boot(&setup.firmware, dir, Some(disk), &hub.link()?, "")?;
        // At every second one the time begins when it takes records.
        if number % 2 == 0 {
            machine.says("opened at")?;
        }
        std::thread::sleep(Duration::from_millis(prng.below(RUN_MS)));
        sound(&machine).with_context(|| format!("run {number}"))?;
        opened += u64::from(machine.uart.lines().iter().any(|line| line.has("opened at")));
        machine.kill();
    }
    Ok(opened)
}

/// Nothing of what it said is an error.
fn sound(machine: &Machine) -> anyhow::Result<()> {
    let lines = machine.uart.lines();
    match lines.iter().find(|line| line.entry.level == "ERROR") {
        Some(line) => bail!("{}; what was said:\n{}", line.entry, shown(&lines)),
        None => Ok(()),
    }
}
