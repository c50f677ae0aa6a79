//! The report for people.

use super::records::RecordReport;
use super::{LogReport, NodeRole, RecoveryReport, SegmentReport};
use std::fmt;

impl fmt::Display for LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.log_id.as_deref().unwrap_or("none");
        writeln!(f, "{}  log id {id}", self.path.display())?;
        writeln!(
            f,
            "{:>9} {:6} {:>11} {:8} {:>11} {:>11} {:>9} {:>10} {:>10}  ends",
            "segment",
            "kind",
            "bytes",
            "header",
            "said end",
            "found end",
            "records",
            "first",
            "last"
        )?;
        self.segments.iter().try_for_each(|segment| segment.fmt(f))?;
        let who = match self.role {
            NodeRole::Hub => "a hub",
            NodeRole::Edge => "an edge",
        };
        write!(f, "opened by {who}, it ")?;
        self.recovery.fmt(f)
    }
}

impl fmt::Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:09} {:6} {:>11} {:8} {:>11} {:>11} {:>9} {:>10} {:>10}  {}",
            self.segment,
            self.kind,
            self.bytes,
            self.header,
            self.write_offset,
            self.frames_end,
            self.records,
            self.first_lsn,
            self.last_lsn,
            self.ends
        )?;
        match self.highest_lsn_behind_damage {
            Some(lsn) => writeln!(f, ", sound records up to LSN {lsn} behind it"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuses(why) => writeln!(f, "would be refused: {why}"),
            Self::Opens { first_lsn, last_lsn, events } => {
                writeln!(f, "would serve LSN {first_lsn} to {last_lsn}")?;
                events.iter().try_for_each(|event| {
                    let (what, segment, offset) = (&event.what, event.segment, event.offset);
                    writeln!(f, "  and repair: {what} at segment {segment}, offset {offset}")
                })
            }
        }
    }
}

impl fmt::Display for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { damaged } => writeln!(f, "  {damaged}"),
            Self::Record { lsn, segment, offset, bytes, time_ms, operation, entries, keys } => {
                let more = if *entries > keys.len() { ", ..." } else { "" };
                let keys = keys.join(", ");
                writeln!(
                    f,
                    "  {lsn:>10} {segment:09}@{offset:<10} {bytes:>8} B  {time_ms} ms  \
                     {operation} of {entries}: {keys}{more}"
                )
            }
        }
    }
}
