//! Measures this database beside what it is to be compared with, in one run, and prints ratios.
//!
//! Absolute figures do not carry to another machine or minute; each row therefore stands beside a
//! reference that was measured in the same minute: the bare writes and syncs of the machine, redb
//! alone, SQLite, and redis-server where it is installed.

mod count;
mod device;
mod floor;
mod log;
mod measure;
mod models;
mod peer;
mod redis;
mod report;
mod sqlite;
mod store;
mod workload;

use clap::Parser;
use report::Report;
use std::path::PathBuf;

/// Prints ratios to the machine's floor and to peers.
#[derive(Parser)]
struct Arguments {
    /// Only these suites: log, commit, kv, bulk, models, redis
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Directory on the disk to measure; a temporary one otherwise
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Repetitions; medians are printed
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// Keys of the key-value suites
    #[arg(long, default_value_t = 200_000)]
    keys: u64,
    /// Does only this, once, and prints how many operations it was: for `ci/instructions`
    #[arg(long, value_enum)]
    count: Option<count::Scenario>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let root = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let wanted =
        |suite: &str| arguments.only.is_empty() || arguments.only.iter().any(|s| s == suite);
    let mut report = Report::default();
    let setting =
        measure::Setting { root: root.path(), reps: arguments.reps, keys: arguments.keys };
    if let Some(scenario) = arguments.count {
        return count::run(&setting, scenario);
    }
    if wanted("log") {
        log::append(&setting, &mut report)?;
    }
    if wanted("commit") {
        store::commits(&setting, &mut report)?;
    }
    if wanted("kv") {
        store::key_value(&setting, &mut report)?;
    }
    if wanted("bulk") {
        store::bulk(&setting, &mut report)?;
    }
    if wanted("models") {
        models::all(&setting, &mut report)?;
    }
    if wanted("redis") {
        redis::compare(&setting, &mut report)?;
    }
    println!("{report}");
    Ok(())
}
