//! The checks.

mod cuts;
mod expiry;
mod flip;
mod follows;
mod kills;
mod memory;
mod models;
mod panics;
mod sealed;
mod segments;
mod tree;
mod trouble;

use crate::content::{self, Content};
use crate::hub::{Hub, namespace};
use crate::machine::Machine;
use crate::setup::Setup;
use anyhow::{anyhow, bail};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use tempfile::TempDir;

/// Bytes of the disks here.
const DISK_BYTES: u64 = 256 << 20;

/// What a check found out, to be printed.
type Figures = Vec<String>;

/// One check.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    run: fn(&Setup, &Path) -> anyhow::Result<Figures>,
}

pub(crate) const ALL: [Check; 12] = [
    Check {
        name: "follows",
        what: "it follows a hub, answers as the hub does, and what that costs",
        run: follows::run,
    },
    Check {
        name: "expiry",
        what: "what expires by the hub's log is gone, also without knowing what time it is",
        run: expiry::run,
    },
    Check {
        name: "models",
        what: "topics, objects and transactions are as at the hub, also after a start without it",
        run: models::run,
    },
    Check {
        name: "sealed",
        what: "sealed messages, for which it has no key, are said to be that; all else is read",
        run: sealed::run,
    },
    Check {
        name: "kills",
        what: "it is killed at random moments, and has all of the hub's at the end",
        run: kills::run,
    },
    Check {
        name: "cuts",
        what: "its disk loses what was not flushed, at random moments, and nothing durable is gone",
        run: cuts::run,
    },
    Check {
        name: "flip",
        what: "a flipped bit on its disk is found, set aside and fetched again",
        run: flip::run,
    },
    Check {
        name: "tree",
        what: "a damaged tree is made anew, also when every start panics at it",
        run: tree::run,
    },
    Check {
        name: "segments",
        what: "the segments on its disk are the hub's, byte for byte",
        run: segments::run,
    },
    Check {
        name: "memory",
        what: "its memory holds what needs most of it: wide rows, and callers who take no answers",
        run: memory::run,
    },
    Check {
        name: "trouble",
        what: "a wrong disk, none, a full one, and a hub that is away are said clearly",
        run: trouble::run,
    },
    Check {
        name: "panic",
        what: "a panic is reported, and followed by a restart that recovers",
        run: panics::run,
    },
];

/// Runs the named checks, or all; fails when one did.
pub(crate) fn run(setup: &Setup, names: &[String]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|check| check.name != **name)) {
        bail!("no check is called '{unknown}'; see 'firmware list'");
    }
    let (mut passed, mut failed) = (0, 0);
    let asked = |check: &&Check| names.is_empty() || names.iter().any(|name| name == check.name);
    for check in ALL.iter().filter(asked) {
        let started = Instant::now();
        let result = directory(setup, check.name).and_then(|(_held, path)| {
            // The helpers of the end-to-end tests panic when a node does not come up.
            let run = || (check.run)(setup, &path);
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(anyhow!("it panicked")))
        });
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(figures) => {
                passed += 1;
                println!("ok     {:10} {seconds:6.1} s", check.name);
                figures.iter().for_each(|figure| println!("         {figure}"));
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {:10} {seconds:6.1} s: {error:#}", check.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory of its own; removed with the first part, when there is one.
fn directory(setup: &Setup, name: &str) -> anyhow::Result<(Option<TempDir>, std::path::PathBuf)> {
    match &setup.keep {
        Some(keep) => {
            let path = keep.join(name);
            std::fs::create_dir_all(&path)?;
            Ok((None, path))
        }
        None => {
            let held = tempfile::tempdir()?;
            let path = held.path().to_owned();
            Ok((Some(held), path))
        }
    }
}

/// Waits until the machine has all that the hub has now.
fn applied(hub: &Hub, machine: &Machine) -> anyhow::Result<Value> {
    let durable = hub.durable()?;
    machine.wait_for("all records are applied", |status| {
        namespace(status)["applied"].as_u64() >= Some(durable)
    })
}

/// Waits until the machine has all that the hub has, then compares every key and value.
fn equal(hub: &mut Hub, machine: &Machine) -> anyhow::Result<Content> {
    applied(hub, machine)?;
    let expected = content::of(&mut hub.client)?;
    let found = content::of(&mut machine.resp()?)?;
    content::compare(&expected, &found)?;
    Ok(expected)
}
