//! `wal inspect`: what a log's segments hold and what opening it would do, without touching it.

mod preview;
mod print;
mod records;

use clap::Args;
use preview::Preview;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unison_base::limits::SEGMENT_BYTES_DEFAULT;
use unison_base::{Lsn, SegmentId};
use unison_linux::FileStore;
use unison_ports::{IoError, SegmentEntry, SegmentFile as _, SegmentKind, SegmentStore as _};
use unison_walfs::layout::{HEADER_BYTES, SegmentHeader};
use unison_walfs::scan::SegmentScan;
use unison_walfs::survey::{Survey, survey};
use unison_walfs::{Log, LogOptions, LogReader, LogRole, OpenError};

/// Frames are read in windows of this size where a segment is not mapped.
const WINDOW_BYTES: usize = 8 << 20;

/// Arguments of `wal inspect`.
#[derive(Args, Clone, Debug)]
pub(crate) struct InspectArguments {
    /// A directory of segments, a namespace's directory, or a data directory
    dir: PathBuf,
    /// List every record
    #[arg(long)]
    records: bool,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Why a log cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// No segments below the directory.
    #[error("{0} holds no log: give a directory of .seg files, a namespace or a data directory")]
    NoLog(PathBuf),
    /// The directory cannot be read.
    #[error("{path}: {source}")]
    Directory {
        /// Which one.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A segment cannot be read.
    #[error("{path}: {source}")]
    Medium {
        /// The log's directory.
        path: PathBuf,
        /// What the medium said.
        source: IoError,
    },
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] serde_json::Error),
}

/// One log.
#[derive(Serialize)]
struct LogReport {
    path: PathBuf,
    log_id: Option<String>,
    segments: Vec<SegmentReport>,
    recovery: RecoveryReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<records::RecordReport>,
}

/// One segment file.
#[derive(Serialize)]
struct SegmentReport {
    segment: u32,
    kind: &'static str,
    bytes: u64,
    header: String,
    write_offset: u64,
    frames_end: u64,
    records: u64,
    first_lsn: u64,
    last_lsn: u64,
    ends: String,
    highest_lsn_behind_damage: Option<u64>,
}

/// What opening would do.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum RecoveryReport {
    /// It would open like this.
    Opens { first_lsn: u64, last_lsn: u64, events: Vec<EventReport> },
    /// It would refuse.
    Refuses(String),
}

#[derive(Serialize)]
struct EventReport {
    what: String,
    segment: u32,
    offset: u32,
}

/// Runs the command.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<(), InspectError> {
    let logs = find_logs(&arguments.dir)?;
    let reports =
        logs.iter().map(|path| look(path, arguments.records)).collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(|report| print!("{report}"));
    }
    Ok(())
}

/// The directories of segments at or below `dir`, at most two levels down.
fn find_logs(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    if holds_segments(dir)? {
        return Ok(vec![dir.to_owned()]);
    }
    if dir.join("wal").is_dir() {
        return Ok(vec![dir.join("wal")]);
    }
    let mut logs: Vec<_> = entries(dir)?
        .into_iter()
        .map(|path| path.join("wal"))
        .filter(|path| path.is_dir())
        .collect();
    logs.sort();
    if logs.is_empty() { Err(InspectError::NoLog(dir.to_owned())) } else { Ok(logs) }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    let failed = |source| InspectError::Directory { path: dir.to_owned(), source };
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn holds_segments(dir: &Path) -> Result<bool, InspectError> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "seg");
    Ok(entries(dir)?.iter().any(is_segment))
}

fn look(path: &Path, with_records: bool) -> Result<LogReport, InspectError> {
    let medium = |source| InspectError::Medium { path: path.to_owned(), source };
    let files = FileStore::open(path, false).map_err(medium)?;
    let mut found = Vec::new();
    files.list(&mut |entry| found.push(entry)).map_err(medium)?;
    found.sort();
    let segments = found
        .iter()
        .map(|entry| look_at_segment(&files, entry))
        .collect::<Result<_, _>>()
        .map_err(medium)?;
    let log_id = files.log_id().ok().flatten().map(|id| id.to_string());
    let (recovery, reader) = preview(files);
    let records = match reader.filter(|_| with_records) {
        Some(reader) => records::list(&reader),
        None => Vec::new(),
    };
    Ok(LogReport { path: path.to_owned(), log_id, segments, recovery, records })
}

fn look_at_segment(files: &FileStore, entry: &SegmentEntry) -> Result<SegmentReport, IoError> {
    let file = files.open(entry.id, entry.kind)?;
    let mut window = vec![0; WINDOW_BYTES];
    let found = survey(SegmentScan::new(&file, &mut window), None, &mut ());
    let mut bytes = [0; HEADER_BYTES];
    let header = match file.read_at(0, &mut bytes) {
        Ok(()) => SegmentHeader::decode(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Ok(describe(entry, header, found.ok()))
}

fn describe(
    entry: &SegmentEntry,
    header: Result<SegmentHeader, String>,
    found: Option<Survey>,
) -> SegmentReport {
    let write_offset = header.as_ref().map_or(0, |header| header.write_offset);
    let header = match header {
        Ok(header) if header.is_sealed() => "sealed".to_owned(),
        Ok(_) => "active".to_owned(),
        Err(error) => error,
    };
    let prefix = found.map(|survey| survey.prefix);
    let behind = found.map(|survey| survey.later.highest.0).filter(|&lsn| lsn > 0);
    SegmentReport {
        segment: entry.id.0,
        kind: kind(entry.kind),
        bytes: entry.size,
        header,
        write_offset,
        frames_end: prefix.map_or(0, |prefix| prefix.end),
        records: prefix.map_or(0, |prefix| prefix.count),
        first_lsn: prefix.filter(|prefix| prefix.count > 0).map_or(0, |prefix| prefix.first.0),
        last_lsn: prefix.filter(|prefix| prefix.count > 0).map_or(0, |prefix| prefix.last().0),
        ends: found.map_or_else(|| "unreadable".to_owned(), |survey| format!("{:?}", survey.stop)),
        highest_lsn_behind_damage: behind,
    }
}

const fn kind(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Log => "log",
        SegmentKind::Values => "values",
        SegmentKind::Aside => "aside",
    }
}

fn preview(files: FileStore) -> (RecoveryReport, Option<LogReader<Preview>>) {
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        verify_from: Lsn::ZERO,
        role: LogRole::Leader,
    };
    match Log::open(Arc::new(Preview::new(files)), options, 0) {
        Ok((log, report)) => (opens(&report), Some(log.reader())),
        Err(error) => (RecoveryReport::Refuses(refusal(&error)), None),
    }
}

fn opens(report: &unison_walfs::RecoveryReport) -> RecoveryReport {
    let event = |event: &unison_walfs::RecoveryEvent| {
        let SegmentId(segment) = event.at.segment;
        EventReport { what: format!("{:?}", event.rung), segment, offset: event.at.offset }
    };
    RecoveryReport::Opens {
        first_lsn: report.first.0,
        last_lsn: report.last.0,
        events: report.events.iter().map(event).collect(),
    }
}

fn refusal(error: &OpenError) -> String {
    error.to_string()
}
