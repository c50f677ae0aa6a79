//! `quickstart`: a hub and edges as processes of their own, fed with real files.

mod chaos;
mod fleet;
mod node;
mod source;
mod table;
mod verify;

use crate::client::{Client, ClientError};
use crate::transfer::{Batcher, TransferError, bar};
use clap::Args;
use fleet::Fleet;
use source::Source;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use table::Table;

/// How long the import waits for a hub that is being restarted.
const IMPORT_PATIENCE: Duration = Duration::from_secs(60);
/// How long edges may take to catch up after the import.
const CATCH_UP: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(250);

/// Arguments of `quickstart`.
#[derive(Args, Clone, Debug)]
pub(crate) struct QuickstartArguments {
    /// How many edges follow the hub
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=32))]
    edges: u32,
    /// The directory to import; otherwise the Rust sources of the local cargo registry, or this
    /// directory when there are none
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Prove it and exit: kill one edge three times and the hub once during the import, then
    /// compare every value on every edge with its file; exit 0 only if all are equal
    #[arg(long)]
    check: bool,
}

/// Why a quickstart failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuickstartError {
    /// Reading the source or talking to the hub.
    #[error(transparent)]
    Transfer(TransferError),
    /// A process could not be started or stopped.
    #[error("{what}: {source}")]
    Process {
        /// What was being done.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A process ended or did not come up.
    #[error("{name} did not come up; its log ends:\n{log}")]
    NotUp {
        /// Which one.
        name: String,
        /// The last lines of its log.
        log: String,
    },
    /// An edge did not reach the hub's LSN in time.
    #[error("{name} is still behind after {} s; its log ends:\n{log}", CATCH_UP.as_secs())]
    Behind {
        /// Which one.
        name: String,
        /// The last lines of its log.
        log: String,
    },
    /// Values differ.
    #[error("{wrong} values differ or are missing")]
    Different {
        /// How many.
        wrong: u64,
    },
    /// Fewer files than a check needs.
    #[error("the check needs at least {need} files and {source_dir} has {found}; give --source")]
    TooFew {
        /// Least number.
        need: usize,
        /// What was found.
        found: usize,
        /// Where.
        source_dir: String,
    },
    /// Ctrl-C before the end.
    #[error("stopped before the end")]
    Stopped,
}

impl From<TransferError> for QuickstartError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Client(ClientError::Stopped) => Self::Stopped,
            error => Self::Transfer(error),
        }
    }
}

/// What the import has done so far, for the table and the killer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    files_sent: AtomicU64,
    finished: AtomicBool,
}

/// Runs the command; returns when asked to stop, or at the end of a check.
pub(crate) fn quickstart(
    arguments: &QuickstartArguments,
    stop: &Arc<AtomicBool>,
) -> Result<(), QuickstartError> {
    let source = Source::find(arguments.source.as_deref())?;
    if arguments.check {
        source.require_enough()?;
    }
    println!(
        "{} files, {} MiB from {}",
        source.files.len(),
        source.bytes >> 20,
        source.root.display()
    );
    match serve(arguments, &source, stop) {
        // A check that was stopped has proved nothing.
        Err(QuickstartError::Stopped) if !arguments.check => Ok(()),
        outcome => outcome,
    }
}

/// Starts the fleet, which ends with this function however it ends.
fn serve(
    arguments: &QuickstartArguments,
    source: &Source,
    stop: &Arc<AtomicBool>,
) -> Result<(), QuickstartError> {
    let mut fleet = Fleet::start(arguments.edges, stop)?;
    println!("{fleet}");
    run(arguments, source, &mut fleet, stop)?;
    if !arguments.check {
        stay(&fleet, stop);
    }
    Ok(())
}

fn run(
    arguments: &QuickstartArguments,
    source: &Source,
    fleet: &mut Fleet,
    stop: &Arc<AtomicBool>,
) -> Result<(), QuickstartError> {
    let progress = Progress::default();
    let client = Client::new(&fleet.hub.http_url(), "default", IMPORT_PATIENCE).until(stop);
    let started = Instant::now();
    let last_lsn = std::thread::scope(|scope| {
        let importer = scope.spawn(|| import(&client, source, &progress, stop));
        let watched = watch(arguments, source, fleet, &progress, stop);
        let imported = importer.join().unwrap_or(Err(QuickstartError::Stopped));
        watched.and(imported)
    })?;
    println!(
        "imported {} files in {:.1} s, acknowledged up to LSN {last_lsn}",
        source.files.len(),
        started.elapsed().as_secs_f64()
    );
    fleet.wait_until_applied(last_lsn, CATCH_UP, stop)?;
    println!("{}", Table::snapshot(fleet));
    verify::verify(source, fleet, stop)
}

fn import(
    client: &Client,
    source: &Source,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<u64, QuickstartError> {
    let bar = bar("importing", source.bytes);
    let outcome = import_files(client, source, progress, stop, &bar);
    bar.finish_and_clear();
    progress.finished.store(true, Ordering::Release);
    outcome
}

fn import_files(
    client: &Client,
    source: &Source,
    progress: &Progress,
    stop: &AtomicBool,
    bar: &indicatif::ProgressBar,
) -> Result<u64, QuickstartError> {
    let mut batcher = Batcher::new(client);
    for file in &source.files {
        if stop.load(Ordering::Acquire) {
            return Err(QuickstartError::Stopped);
        }
        let value = std::fs::read(&file.path).map_err(TransferError::file(&file.path))?;
        batcher.push(file.key.clone().into_bytes(), value)?;
        bar.inc(file.bytes);
        progress.files_sent.fetch_add(1, Ordering::AcqRel);
    }
    Ok(batcher.finish()?.last_lsn)
}

/// Shows the table while the import runs, and in a check kills what has to be killed.
fn watch(
    arguments: &QuickstartArguments,
    source: &Source,
    fleet: &mut Fleet,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<(), QuickstartError> {
    let mut table = Table::new(fleet);
    let mut killer = arguments.check.then(|| chaos::Killer::new(source.files.len()));
    while !progress.finished.load(Ordering::Acquire) && !stop.load(Ordering::Acquire) {
        if let Some(killer) = &mut killer {
            killer.step(progress.files_sent.load(Ordering::Acquire), fleet)?;
        }
        table.refresh(fleet);
        std::thread::sleep(TICK);
    }
    table.finish();
    if stop.load(Ordering::Acquire) {
        return Err(QuickstartError::Stopped);
    }
    if let Some(killer) = &mut killer {
        killer.step(u64::MAX, fleet)?;
        println!("{killer}");
    }
    Ok(())
}

fn stay(fleet: &Fleet, stop: &AtomicBool) {
    println!("{}", fleet.how_to_talk());
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(TICK);
    }
    println!("stopping");
}
