//! A panic.

use super::{DISK_BYTES, Figures, equal};
use crate::hub::Hub;
use crate::image;
use crate::machine::{Machine, PATIENCE};
use crate::setup::Setup;
use anyhow::ensure;
use std::path::Path;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let Some(firmware) = &setup.panic_firmware else {
        return Ok(vec!["not checked: no --panic-image".to_owned()]);
    };
    let mut hub = Hub::start(setup, dir, &[])?;
    hub.fill(0, 2_000, 200)?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let argument = "board.panic-after=3";
    let machine = Machine::boot(firmware, dir, Some(&disk), &hub.link()?, argument)?;
    machine.says("up to date")?;
    hub.fill(2_000, 500, 200)?;
    let report = machine.says("asked for by board.panic-after")?;
    let restart = machine.says("panic 1 in a row")?;
    let before = machine.uart.lines().len();
    let again = machine.uart.wait(before, &["started again after panic 1"], PATIENCE)?;
    let even = machine.uart.wait(before, &["up to date at 2500"], PATIENCE)?;
    ensure!(even.at > again.at, "it was up to date before it started again");
    machine.kill();
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let content = equal(&mut hub, &machine)?;
    let pause = again.at.duration_since(restart.at).as_secs_f64();
    let back = even.at.duration_since(report.at).as_secs_f64();
    Ok(vec![
        format!("report: {}", report.entry.text.replace('\n', " ")),
        format!("after the restart: {}", again.entry.text.replace('\n', " ")),
        format!("started again after {pause:.1} s, up to date after {back:.1} s"),
        format!("{} keys equal", content.len()),
    ])
}
