//! The power goes: what the disk had not flushed is lost, sector by sector.

use super::{Figures, equal};
use crate::content::digest;
use crate::hub::{Hub, namespace, stream};
use crate::machine::{Machine, PATIENCE};
use crate::nbd::PowerDisk;
use crate::setup::Setup;
use crate::uart::{Line, shown};
use anyhow::{Context as _, bail, ensure};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use unison_base::prng::Prng;

const DISK_BYTES: usize = 96 << 20;
/// The power goes at a write below two to the power of this.
const WRITES_MAX_LOG: u64 = 9;
/// The longest that a machine runs when it does not write so often.
const RUN: Duration = Duration::from_millis(1_500);
/// So slow that the disk does not fill.
const PAUSE_MS_MAX: u64 = 100;
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What was lost so far.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    opened: u64,
    lost: u64,
    unflushed: u64,
    flushes: u64,
    promised: u64,
}

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    hub.fill(0, 1_000, 100)?;
    let stop = AtomicBool::new(false);
    let (disk, tally) = std::thread::scope(|scope| {
        let client = hub.node.resp();
        let writer = scope.spawn(|| stream(client, setup.seed, PAUSE_MS_MAX, &stop));
        let cut = cut_often(setup, dir, &hub);
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap_or_else(|_| bail!("the writer panicked"))?;
        cut
    })?;
    let disk = PowerDisk::serve(&dir.join("disk.socket"), disk, false)?;
    let machine = boot(setup, dir, &hub, &disk)?;
    let content = equal(&mut hub, &machine)?;
    machine.kill();
    liar(setup, dir, &mut hub)?;
    ensure!(tally.lost > 0, "no cut lost anything: {tally:?}");
    Ok(vec![
        format!(
            "seed {}: {} cuts, {} of them behind the opening, {} flushes",
            setup.seed, tally.cuts, tally.opened, tally.flushes
        ),
        format!("{} of {} unflushed sectors lost", tally.lost, tally.unflushed),
        format!("{} records were durable before a cut, and there after it", tally.promised),
        format!("{} keys equal, digest {:08x}", content.len(), digest(&content)),
        "a disk that forgets flushes was found out".to_owned(),
    ])
}

fn boot(setup: &Setup, dir: &Path, hub: &Hub, disk: &PowerDisk) -> anyhow::Result<Machine> {
    Machine::boot_drive(&setup.firmware, dir, Some(&disk.drive()), &hub.link()?, "")
}

fn cut_often(setup: &Setup, dir: &Path, hub: &Hub) -> anyhow::Result<(Vec<u8>, Tally)> {
    let (mut prng, mut tally) = (Prng::new(setup.seed), Tally::default());
    let (mut bytes, mut promised) = (vec![0; DISK_BYTES], 0);
    for number in 0..setup.kills {
        let disk = PowerDisk::serve(&dir.join("disk.socket"), bytes, false)?;
        let writes_max = 1 << prng.between(2, WRITES_MAX_LOG);
        disk.end_after(prng.between(1, writes_max));
        let machine = boot(setup, dir, hub, &disk)?;
        let durable = watch(&machine, &disk);
        let (left, lost, unflushed) = disk.cut(&mut prng);
        let off = disk.off().context("the power is off")?;
        // What it says when its disk is gone is not of interest.
        let mut lines = machine.uart.lines();
        lines.retain(|line| line.at < off);
        machine.kill();
        let place = || format!("cut {number}, seed {}; said:\n{}", setup.seed, shown(&lines));
        let opened = lines.iter().find(|line| line.has("opened at")).map(opened_at).transpose()?;
        ensure!(opened.is_none_or(|at| at >= promised), "{promised} were durable: {}", place());
        let error = lines.iter().find(|line| line.entry.level == "ERROR");
        ensure!(error.is_none(), "an error: {}", place());
        promised = promised.max(durable).max(opened.unwrap_or(0));
        tally.opened += u64::from(opened.is_some());
        bytes = left;
        tally.cuts += 1;
        tally.lost += lost;
        tally.unflushed += unflushed;
        tally.flushes += disk.flushes();
    }
    tally.promised = promised;
    Ok((bytes, tally))
}

/// The record that a log was opened at.
fn opened_at(line: &Line) -> anyhow::Result<u64> {
    let (_, rest) = line.entry.text.split_once("opened at ").context("no opening")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Asks what is durable until the power goes; the newest answer.
fn watch(machine: &Machine, disk: &PowerDisk) -> u64 {
    let (deadline, mut durable) = (Instant::now() + RUN, 0);
    while Instant::now() < deadline && disk.off().is_none() {
        // It may not have an address yet, and no disk any more.
        let status = machine.status_within(20 * ASK_EVERY).unwrap_or_default();
        durable = namespace(&status)["durable"].as_u64().unwrap_or(0).max(durable);
        std::thread::sleep(ASK_EVERY);
    }
    durable
}

/// A disk that says that it flushed and did not: this check has to see that.
fn liar(setup: &Setup, dir: &Path, hub: &mut Hub) -> anyhow::Result<()> {
    let disk = PowerDisk::serve(&dir.join("liar.socket"), vec![0; DISK_BYTES], true)?;
    let machine = boot(setup, dir, hub, &disk)?;
    equal(hub, &machine)?;
    let promised = hub.durable()?;
    // Whatever is left of what was never flushed: some of it is missing in all but a few cuts.
    let (left, lost, _) = disk.cut(&mut Prng::new(1));
    machine.kill();
    ensure!(lost > 0 && promised > 0, "nothing was lost of {promised} records");
    let disk = PowerDisk::serve(&dir.join("liar.socket"), left, false)?;
    let machine = boot(setup, dir, hub, &disk)?;
    let outcomes = ["opened at", "cannot be opened", "is not used", "panicked"];
    let found = opened_at(&machine.uart.wait(0, &outcomes, PATIENCE)?);
    let sound = machine.uart.lines().iter().all(|line| line.entry.level != "ERROR");
    ensure!(!sound || !found.is_ok_and(|opened| opened >= promised), "the lie was not seen");
    Ok(())
}
