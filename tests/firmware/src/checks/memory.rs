//! What needs most memory: rows whose columns fill the index, and callers who take no answers.

use super::{Figures, applied};
use crate::hub::Hub;
use crate::image;
use crate::machine::{Machine, PATIENCE};
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use unison_e2e::resp::Answer;

const ROWS: u32 = 6;
/// The tree holds the keys of all columns.
const DISK_BYTES: u64 = 1 << 30;
/// The key of each column holds its row's: the last of these fills what one write may take in the
/// index, behind two that a memtable is not yet full of.
const COLUMNS: [u32; 3] = [350, 350, 1_200];
const ROW_BYTES: usize = 4_000;
const LARGE_BYTES: usize = 2 << 20;
/// As many as the edge-node serves, but for one.
const CALLERS: usize = 3;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &[])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    hub.client.call(&[b"SET", b"large", &vec![7; LARGE_BYTES]])?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    machine.says("up to date")?;
    let callers = (0..CALLERS).map(|_| deaf_caller(&machine)).collect::<Result<Vec<_>, _>>()?;
    widen(&mut hub)?;
    let peak = followed(&mut hub, &machine)?;
    drop(callers);
    rows_are_equal(&mut hub, &machine)?;
    machine.kill();
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let peak_of_restart = followed(&mut hub, &machine)?;
    rows_are_equal(&mut hub, &machine)?;
    Ok(vec![format!(
        "{ROWS} rows of {COLUMNS:?} columns and {CALLERS} callers with answers of {LARGE_BYTES} bytes: \
         {peak} KiB at most, {peak_of_restart} KiB after a restart"
    )])
}

/// Asks for more than it takes.
fn deaf_caller(machine: &Machine) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(machine.resp_address())?;
    stream.write_all(b"GET large\r\n")?;
    Ok(stream)
}

fn row(number: u32) -> Vec<u8> {
    let mut row = format!("row:{number:04}:").into_bytes();
    row.resize(ROW_BYTES, b'r');
    row
}

fn columns(row: u32) -> u32 {
    COLUMNS.into_iter().cycle().nth(row as usize).unwrap_or(0)
}

/// All at once, so that they come in few runs.
fn widen(hub: &mut Hub) -> anyhow::Result<()> {
    for number in 0..ROWS {
        let mut words = vec![b"HSET".to_vec(), row(number)];
        for column in 0..columns(number) {
            words.push(format!("{column:06}").into_bytes());
            words.push(number.to_string().into_bytes());
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        hub.client.send(&words)?;
    }
    for number in 0..ROWS {
        let answer = hub.client.answer()?;
        ensure!(answer == Answer::Number(columns(number).into()), "HSET: {answer:?}");
    }
    Ok(())
}

/// Waits until it has all, and tells the most memory that took, KiB.
fn followed(hub: &mut Hub, machine: &Machine) -> anyhow::Result<u64> {
    let status = applied(hub, machine)?;
    let lines = machine.uart.lines();
    let panics: Vec<_> = lines.iter().filter(|line| line.has("panic")).collect();
    ensure!(panics.is_empty(), "it panicked: {panics:?}");
    let memory = |name: &str| status["memory"][name].as_u64().context("no figures of memory");
    let (peak, budget) = (memory("peakBytes")?, memory("budgetBytes")?);
    // Callers are answered between the parts of a run, so what meets in memory differs from run to run;
    // a fifth stays free whatever meets.
    ensure!(peak < budget / 5 * 4, "{peak} of {budget} bytes: a fifth is for what comes next");
    Ok(peak / 1024)
}

fn rows_are_equal(hub: &mut Hub, machine: &Machine) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let mut edge = machine.resp()?;
    for number in 0..ROWS {
        let row = row(number);
        for column in [0, columns(number) / 2, columns(number) - 1] {
            let column = format!("{column:06}");
            let request: [&[u8]; 3] = [b"HGET", &row, column.as_bytes()];
            let (theirs, ours) = (hub.client.call(&request)?, edge.call(&request)?);
            ensure!(theirs == ours, "row {number}, column {column}: {ours:?} for {theirs:?}");
        }
    }
    ensure!(started.elapsed() < PATIENCE, "reading takes {:?}", started.elapsed());
    Ok(())
}
