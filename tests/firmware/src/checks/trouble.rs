//! What a person has to be told.

use super::{DISK_BYTES, Figures, equal};
use crate::hub::{Hub, namespace};
use crate::image;
use crate::machine::{Machine, NOBODY};
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A kind of trouble: returns what the machine said about it.
type Trouble = fn(&Setup, &Path) -> anyhow::Result<String>;

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let checks: [(&str, Trouble); 6] = [
        ("another size", other_size),
        ("a foreign disk", foreign),
        ("no disk", no_disk),
        ("a full disk", full_disk),
        ("no hub yet", no_hub_yet),
        ("a hub that goes", hub_goes),
    ];
    let mut figures = Figures::new();
    for (number, (name, check)) in checks.into_iter().enumerate() {
        let dir = dir.join(number.to_string());
        std::fs::create_dir_all(&dir)?;
        let said = check(setup, &dir).with_context(|| name.to_owned())?;
        figures.push(format!("{name}: \"{said}\""));
    }
    Ok(figures)
}

/// The machine refuses its disk, says why in both places, and does not write to it.
fn refuses(setup: &Setup, dir: &Path, disk: &Path, reason: &str) -> anyhow::Result<String> {
    let before = std::fs::read(disk)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(disk), NOBODY, "")?;
    let line = machine.says(reason)?;
    ensure!(line.entry.level == "ERROR", "{}", line.entry);
    let status = machine.wait_for("the disk is refused", |status| {
        status["disk"]["state"] == "refused" && status["ready"] == false
    })?;
    let said = status["disk"]["reason"].as_str().unwrap_or_default();
    ensure!(said.contains(reason), "{said}");
    machine.kill();
    ensure!(std::fs::read(disk)? == before, "it wrote to a disk that it refused");
    Ok(line.entry.text)
}

fn other_size(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let disk = image::make(dir, "disk", 16 << 20)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), NOBODY, "")?;
    machine.says("opened at")?;
    machine.kill();
    File::options().write(true).open(&disk)?.set_len(32 << 20)?;
    refuses(setup, dir, &disk, "formatted with 32768 sectors and has 65536")
}

fn foreign(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let disk = image::make(dir, "disk", 16 << 20)?;
    File::options().write(true).open(&disk)?.write_all_at(&[0x55, 0xAA], 510)?;
    refuses(setup, dir, &disk, "something that is not ours")
}

fn no_disk(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let machine = Machine::boot(&setup.firmware, dir, None, NOBODY, "")?;
    let line = machine.says("no disk")?;
    machine.wait_for("the disk is missing", |status| {
        status["disk"]["state"] == "missing" && status["ready"] == false
    })?;
    Ok(line.entry.text)
}

fn full_disk(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let mut hub = Hub::start(setup, dir, &["--segment-size", "1MiB"])?;
    hub.fill(0, 10_000, 1_000)?;
    let disk = image::make(dir, "disk", 8 << 20)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    let line = machine.says("the disk is full")?;
    let status = machine
        .wait_for("it says that it is full", |status| namespace(status)["diskFull"].is_string())?;
    ensure!(status["ready"] == false, "ready on a full disk: {status}");
    let kept = crate::content::number(&mut machine.resp()?, &[b"DBSIZE"])?;
    ensure!(kept > 1_000, "{kept} keys can be read");
    // It neither ends nor spins.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let before = machine.cpu_ticks()?;
    std::thread::sleep(std::time::Duration::from_secs(5));
    let ticks = machine.cpu_ticks()? - before;
    ensure!(ticks < 250, "{ticks} ticks of 10 ms in 5 s on a full disk");
    Ok(format!("{}; {kept} keys read on, {ticks} ticks of 10 ms in 5 s", line.entry.text))
}

fn no_hub_yet(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), NOBODY, "")?;
    let line = machine.says("not connected to")?;
    let status = machine.wait_for("it says why", |status| {
        status["upstream"]["connected"] == false && status["upstream"]["lastError"].is_string()
    })?;
    Ok(format!("{}; status: {}", line.entry.text, status["upstream"]["lastError"]))
}

fn hub_goes(setup: &Setup, dir: &Path) -> anyhow::Result<String> {
    let mut hub = Hub::start(setup, dir, &[])?;
    hub.fill(0, 1_000, 100)?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    equal(&mut hub, &machine)?;
    hub.node.kill();
    let line = machine.says("not connected to")?;
    machine.wait_for("it says so", |status| status["upstream"]["connected"] == false)?;
    let kept = crate::content::number(&mut machine.resp()?, &[b"DBSIZE"])?;
    ensure!(kept == 1_000, "{kept} keys while the hub is away");
    hub.kill_and_restart();
    hub.fill(1_000, 500, 100)?;
    equal(&mut hub, &machine)?;
    Ok(line.entry.text)
}
