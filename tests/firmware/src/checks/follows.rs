//! Following, reading, and what both cost.

use super::{DISK_BYTES, Figures, equal};
use crate::content::{self, digest};
use crate::hub::{Hub, namespace};
use crate::image;
use crate::machine::{ANSWER_WITHIN, Machine};
use crate::setup::{Firmware, Setup};
use anyhow::{Context as _, ensure};
use std::path::Path;
use std::time::Duration;
use unison_e2e::resp::Answer;

const RECORDS: u64 = 100_000;
const VALUE_BYTES: usize = 168;
const IDLE: Duration = Duration::from_secs(10);

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut figures = sizes(&setup.firmware);
    let mut hub = Hub::start(setup, dir, &[])?;
    figures.push(first_record(setup, dir, &mut hub)?);
    hub.fill(1_000_000, RECORDS, VALUE_BYTES)?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "node=gw-7")?;
    figures.push(catch_up(&machine)?);
    let content = equal(&mut hub, &machine)?;
    figures.push(format!("{} keys equal, digest {:08x}", content.len(), digest(&content)));
    answers(&mut hub, &machine)?;
    figures.push(live(&mut hub, &machine)?);
    let status = machine.status()?;
    let memory = |name: &str| status["memory"][name].as_u64().unwrap_or(0) / 1024;
    figures.push(format!(
        "memory: {} KiB used, {} KiB at most, of {} KiB",
        memory("usedBytes"),
        memory("peakBytes"),
        memory("budgetBytes")
    ));
    figures.push(idle(&machine)?);
    figures.push(restart(setup, dir, &disk, &hub, machine)?);
    Ok(figures)
}

fn sizes(firmware: &Firmware) -> Figures {
    let table = &firmware.table;
    let sections = table.sections.iter().map(|(name, bytes)| format!("{name} {bytes}"));
    vec![
        format!(
            "image: {} bytes loaded, {} zeroed, {} as a file with symbols",
            table.loaded_bytes, table.zeroed_bytes, firmware.file_bytes
        ),
        format!("sections: {}", sections.collect::<Vec<_>>().join(", ")),
    ]
}

/// How long it takes from the start of QEMU to a record that can be read, on an empty disk.
fn first_record(setup: &Setup, dir: &Path, hub: &mut Hub) -> anyhow::Result<String> {
    hub.fill(0, 1, 10)?;
    let disk = image::make(dir, "disk-of-one", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let line = machine.says("up to date")?;
    let seconds = line.at.duration_since(machine.started).as_secs_f64();
    let content = content::of(&mut machine.resp()?)?;
    ensure!(content.len() == 1, "{} keys of one", content.len());
    Ok(format!("boot to first record, on a blank disk: {seconds:.2} s"))
}

fn catch_up(machine: &Machine) -> anyhow::Result<String> {
    let behind = machine.says("records behind")?;
    let even = machine.says("up to date")?;
    let seconds = even.at.duration_since(behind.at).as_secs_f64();
    let rate = RECORDS as f64 / seconds;
    let megabytes = rate * VALUE_BYTES as f64 / 1e6;
    Ok(format!(
        "catching up: {RECORDS} records of {VALUE_BYTES} bytes in {seconds:.1} s, \
         {rate:.0} a second, {megabytes:.1} MB of values a second"
    ))
}

/// What is asked in other ways than by SCAN and GET.
fn answers(hub: &mut Hub, machine: &Machine) -> anyhow::Result<()> {
    let mut edge = machine.resp()?;
    let keys = content::number(&mut hub.client, &[b"DBSIZE"])?;
    ensure!(content::number(&mut edge, &[b"DBSIZE"])? == keys, "DBSIZE is not the hub's {keys}");
    let info = content::text(&mut edge, &[b"INFO"])?;
    ensure!(info.contains(&format!("keys={keys}")), "INFO does not know {keys} keys: {info}");
    let missing = edge.call(&[b"GET", b"no such key"])?;
    ensure!(missing == Answer::Bulk(None), "a key that is not there: {missing:?}");
    let refused = edge.call(&[b"SET", b"key", b"value"])?;
    ensure!(matches!(&refused, Answer::Error(text) if text.starts_with("READONLY")), "{refused:?}");
    let status = machine.wait_for("it is ready", |status| status["ready"] == true)?;
    let here = namespace(&status);
    ensure!(here["applied"] == hub.durable()?, "applied is not the hub's durable: {here}");
    ensure!(status["node"] == "gw-7" && status["role"] == "edge", "{status}");
    let upstream = &status["upstream"]["namespaces"]["default"];
    ensure!(upstream["state"] == "following" && upstream["lagRecords"] == 0, "{upstream}");
    let (code, _) = machine.get("/no/such/path", ANSWER_WITHIN)?;
    ensure!(code == 404, "{code} for a path that is not there");
    Ok(())
}

/// How long a write takes from the hub's answer to the edge's, one after the other.
fn live(hub: &mut Hub, machine: &Machine) -> anyhow::Result<String> {
    let mut edge = machine.resp()?;
    let mut times = Vec::new();
    for number in 0..50_u32 {
        let value = number.to_string().into_bytes();
        hub.client.call(&[b"SET", b"live", &value])?;
        let started = std::time::Instant::now();
        while edge.call(&[b"GET", b"live"])? != Answer::Bulk(Some(value.clone())) {
            ensure!(started.elapsed() < crate::machine::PATIENCE, "a write does not arrive");
        }
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).context("no times")?.as_secs_f64();
    let last = times.last().context("no times")?.as_secs_f64();
    let (middle, last) = (middle * 1e3, last * 1e3);
    Ok(format!("a write's way to the edge: {middle:.1} ms in the middle, {last:.1} ms at most"))
}

/// Nothing comes in and nobody asks.
fn idle(machine: &Machine) -> anyhow::Result<String> {
    // What was begun is finished first.
    std::thread::sleep(Duration::from_secs(2));
    let before = machine.cpu_ticks()?;
    std::thread::sleep(IDLE);
    let ticks = machine.cpu_ticks()?.saturating_sub(before);
    ensure!(ticks < 50, "{ticks} ticks of 10 ms in {IDLE:?} while nothing happens");
    Ok(format!("idle: {ticks} ticks of 10 ms of this computer in {} s", IDLE.as_secs()))
}

/// Boots again with everything on the disk.
fn restart(
    setup: &Setup,
    dir: &Path,
    disk: &Path,
    hub: &Hub,
    machine: Machine,
) -> anyhow::Result<String> {
    machine.kill();
    let machine = Machine::boot(&setup.firmware, dir, Some(disk), &hub.link()?, "")?;
    let opened = machine.says("opened at")?;
    let seconds = opened.at.duration_since(machine.started).as_secs_f64();
    machine.says("up to date")?;
    Ok(format!("boot with all of it on the disk: {seconds:.2} s ({})", opened.entry.text))
}
