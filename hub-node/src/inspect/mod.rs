//! `wal inspect`: what a log's segments hold and what opening it would do, without touching it.

mod find;
mod preview;
mod print;
mod records;

use clap::{Args, ValueEnum};
use preview::Preview;
use serde::Serialize;
use std::io::{BufWriter, ErrorKind, Write};
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
    /// Who would open the log: a hub leads it, an edge fetches again what is damaged; otherwise
    /// what the data directory's file "role" says, and a hub where there is none
    #[arg(long, value_name = "ROLE")]
    role: Option<NodeRole>,
}

/// Who opens a log.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum NodeRole {
    /// Its leader.
    Hub,
    /// A follower.
    Edge,
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
    Output(#[from] std::io::Error),
}

impl InspectError {
    /// 3 where the data is at fault, 1 where it is not.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoLog(_) | Self::Directory { .. } | Self::Medium { .. } => 3,
            Self::Output(_) => 1,
        }
    }
}

/// One log.
#[derive(Serialize)]
struct LogReport {
    path: PathBuf,
    log_id: Option<String>,
    segments: Vec<SegmentReport>,
    role: NodeRole,
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
    let logs = find::find_logs(&arguments.dir)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = if arguments.json {
        print_json(&logs, arguments, &mut out)
    } else {
        print_table(&logs, arguments, &mut out)
    };
    match printed {
        // Whoever reads has seen enough.
        Err(InspectError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

fn print_json(
    logs: &[PathBuf],
    arguments: &InspectArguments,
    out: &mut impl Write,
) -> Result<(), InspectError> {
    let mut reports = Vec::new();
    for path in logs {
        let (mut report, reader) = look(path, arguments.role)?;
        if let Some(reader) = reader.filter(|_| arguments.records) {
            records::list(&reader, &mut |record| {
                report.records.push(record);
                Ok(())
            })?;
        }
        reports.push(report);
    }
    serde_json::to_writer_pretty(&mut *out, &reports).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn print_table(
    logs: &[PathBuf],
    arguments: &InspectArguments,
    out: &mut impl Write,
) -> Result<(), InspectError> {
    for path in logs {
        let (report, reader) = look(path, arguments.role)?;
        write!(out, "{report}")?;
        if let Some(reader) = reader.filter(|_| arguments.records) {
            records::list(&reader, &mut |record| write!(out, "{record}"))?;
        }
    }
    Ok(out.flush()?)
}

type Reader = LogReader<Preview>;

/// The report on one log, its records still to come, and what reads them.
fn look(path: &Path, role: Option<NodeRole>) -> Result<(LogReport, Option<Reader>), InspectError> {
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
    let role = role.unwrap_or_else(|| find::role_of(path));
    let (recovery, reader) = preview(files, role);
    let (path, records) = (path.to_owned(), Vec::new());
    Ok((LogReport { path, log_id, segments, role, recovery, records }, reader))
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

fn preview(files: FileStore, role: NodeRole) -> (RecoveryReport, Option<Reader>) {
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        verify_from: Lsn::ZERO,
        role: match role {
            NodeRole::Hub => LogRole::Leader,
            NodeRole::Edge => LogRole::Follower,
        },
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
