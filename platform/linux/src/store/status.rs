//! What a namespace says about itself.

use super::{Durability, Namespace};
use unison_base::{LogId, Lsn};
use unison_engine::EngineStats;
use unison_walfs::{RungCounts, SegmentInfo};

/// A moment of a namespace, for the status API and metrics.
#[derive(Clone, Debug)]
pub struct NamespaceStatus {
    /// Identity of the log.
    pub log_id: LogId,
    /// When writes are acknowledged.
    pub durability: Durability,
    /// Oldest record of the log.
    pub first: Lsn,
    /// Newest written record.
    pub appended: Lsn,
    /// Newest synced record.
    pub durable: Lsn,
    /// Newest visible record.
    pub applied: Lsn,
    /// The segments there are.
    pub segments: Vec<SegmentInfo>,
    /// What recovery did at the last open.
    pub recovery: RungCounts,
    /// The engine's own figures; `None` once closed.
    pub engine: Option<EngineStats>,
}

impl Namespace {
    /// The present figures.
    #[must_use]
    pub fn status(&self) -> NamespaceStatus {
        NamespaceStatus {
            log_id: self.log_id(),
            durability: self.durability(),
            first: self.log.first(),
            appended: self.log.appended(),
            durable: self.log.durable(),
            applied: self.reader.applied(),
            segments: self.log.segments(),
            recovery: self.report.recovery.rungs,
            engine: self.with_engine(|engine| engine.stats()).ok(),
        }
    }
}
