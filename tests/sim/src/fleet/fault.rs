//! What can go wrong, and how often it did.

use super::happened::Happened;
use std::fmt;
use unison_walfs::{RecoveryReport, RungCounts};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A connection is reset; of what was on its way a part arrives.
    Reset,
    /// One side of a connection is gone and the other does not hear of it.
    HalfOpen,
    /// Two nodes cannot reach each other for a while.
    Partition,
    /// Bytes get lost in one direction for a while.
    Blackhole,
    /// A line of a few kilobytes a second.
    SlowLine,
    /// Segments are lost, so that bytes behind them wait.
    LossyLine,
    /// A second connection of the same node races the first one.
    Twin,
    /// A bit turns over on the way, and no checksum of the transport sees it.
    WireFlip,
    /// The process is killed.
    Kill,
    /// The process ends in order and starts again.
    Stop,
    /// The process stands still for a while.
    Pause,
    /// The power goes; everything unsynced is there.
    CutKept,
    /// The power goes; nothing unsynced is there.
    CutLost,
    /// The power goes; a prefix of what was unsynced is there, torn.
    CutTorn,
    /// The power goes; any part of what was unsynced is there.
    CutReordered,
    /// The power goes in the middle of a start.
    CutInRecovery,
    /// A sync fails.
    SyncFails,
    /// A write fails, and has written a part.
    WriteFails,
    /// A read fails.
    ReadFails,
    /// A repair at a start cannot be written.
    RepairFails,
    /// The disk is full for a while.
    DiskFull,
    /// Syncs take a second.
    SlowDisk,
    /// A bit of a segment turns over.
    BitFlip,
    /// A block of a segment is zeros.
    ZeroedBlock,
    /// A block of a segment is what another one should be.
    Misdirected,
    /// A block of a segment is what it was before it was written.
    LostWrite,
    /// The header of a segment rots.
    HeaderRot,
    /// A segment is missing.
    LostSegment,
    /// A segment is there a second time, under a later number.
    RepeatedSegment,
    /// The head of the tree's file rots.
    TreeRot,
    /// A clock without a battery: the wall clock begins with 1970.
    ClockEpoch,
    /// The wall clock goes fifty years ahead.
    ClockAhead,
    /// The wall clock goes fifty years back.
    ClockBehind,
    /// The wall clock stands still.
    ClockFrozen,
    /// The wall clock jumps by hours.
    ClockJumps,
    /// Time passes faster or slower than it should.
    ClockDrift,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 36] = [
        Self::Reset,
        Self::HalfOpen,
        Self::Partition,
        Self::Blackhole,
        Self::SlowLine,
        Self::LossyLine,
        Self::Twin,
        Self::WireFlip,
        Self::Kill,
        Self::Stop,
        Self::Pause,
        Self::CutKept,
        Self::CutLost,
        Self::CutTorn,
        Self::CutReordered,
        Self::CutInRecovery,
        Self::SyncFails,
        Self::WriteFails,
        Self::ReadFails,
        Self::RepairFails,
        Self::DiskFull,
        Self::SlowDisk,
        Self::BitFlip,
        Self::ZeroedBlock,
        Self::Misdirected,
        Self::LostWrite,
        Self::HeaderRot,
        Self::LostSegment,
        Self::RepeatedSegment,
        Self::TreeRot,
        Self::ClockEpoch,
        Self::ClockAhead,
        Self::ClockBehind,
        Self::ClockFrozen,
        Self::ClockJumps,
        Self::ClockDrift,
    ];
}

/// What a run saw.
#[derive(Clone, Debug)]
pub struct Tally {
    faults: [u64; Fault::ALL.len()],
    rungs: RungCounts,
    /// Steps taken to come back from trouble, beside the rungs of recovery.
    pub recoveries: Recoveries,
    /// What clients did.
    pub happened: Happened,
}

/// Steps taken to come back from trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// Processes started.
    pub starts: u64,
    /// Processes that ended because they could not trust their disk any more.
    pub fatal: u64,
    /// Starts that failed and were tried again.
    pub failed_starts: u64,
    /// Connections made.
    pub connections: u64,
    /// Runs that were refused and asked for again.
    pub refused_runs: u64,
    /// Diverged suffixes that were set aside.
    pub set_aside: u64,
    /// Followed namespaces that were begun anew.
    pub begun_anew: u64,
    /// Trees made anew from the log.
    pub trees_made_anew: u64,
    /// Damage that was told of, so that a person had the node begin with an empty disk.
    pub replaced_disks: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let (faults, rungs) = ([0; Fault::ALL.len()], RungCounts::default());
        let (recoveries, happened) = (Recoveries::default(), Happened::default());
        Self { faults, rungs, recoveries, happened }
    }
}

impl Tally {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub(super) fn recovered(&mut self, report: &RecoveryReport) {
        let (sum, rungs) = (&mut self.rungs, &report.rungs);
        sum.torn_tails += rungs.torn_tails;
        sum.lost_tails += rungs.lost_tails;
        sum.discarded_segments += rungs.discarded_segments;
        sum.rot_segments += rungs.rot_segments;
        sum.gaps += rungs.gaps;
        sum.stale_segments += rungs.stale_segments;
        sum.headers_rebuilt += rungs.headers_rebuilt;
        sum.empty_segments += rungs.empty_segments;
        sum.sealed_newest += rungs.sealed_newest;
        sum.repairs_failed += rungs.repairs_failed;
        sum.unproved_holes += rungs.unproved_holes;
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, count)| *sum += count);
        self.recovered(&RecoveryReport { rungs: other.rungs, ..RecoveryReport::default() });
        self.happened.add(&other.happened);
        let (sum, more) = (&mut self.recoveries, other.recoveries);
        sum.starts += more.starts;
        sum.fatal += more.fatal;
        sum.failed_starts += more.failed_starts;
        sum.connections += more.connections;
        sum.refused_runs += more.refused_runs;
        sum.set_aside += more.set_aside;
        sum.begun_anew += more.begun_anew;
        sum.trees_made_anew += more.trees_made_anew;
        sum.replaced_disks += more.replaced_disks;
    }

    /// Each kind of fault and how often it was injected.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.faults)
    }

    /// Each rung of a log's recovery and how often it was taken.
    #[must_use]
    pub const fn rungs(&self) -> [(&'static str, u64); 11] {
        let rungs = &self.rungs;
        [
            ("A TornTail", rungs.torn_tails),
            ("B LostTail", rungs.lost_tails),
            ("C Discarded", rungs.discarded_segments),
            ("D RotSegment", rungs.rot_segments),
            ("E Gap", rungs.gaps),
            ("F StaleSegment", rungs.stale_segments),
            ("G HeaderRebuilt", rungs.headers_rebuilt),
            ("H EmptySegment", rungs.empty_segments),
            ("I SealedNewest", rungs.sealed_newest),
            ("J RepairFailed", rungs.repairs_failed),
            ("K UnprovedHole", rungs.unproved_holes),
        ]
    }

    /// Each other step and how often it was taken.
    #[must_use]
    pub const fn steps(&self) -> [(&'static str, u64); 9] {
        let steps = &self.recoveries;
        [
            ("starts", steps.starts),
            ("fatal ends", steps.fatal),
            ("failed starts", steps.failed_starts),
            ("connections", steps.connections),
            ("refused runs", steps.refused_runs),
            ("suffixes set aside", steps.set_aside),
            ("begun anew", steps.begun_anew),
            ("trees made anew", steps.trees_made_anew),
            ("replaced disks", steps.replaced_disks),
        ]
    }

    /// Names of everything that never happened.
    #[must_use]
    pub fn never(&self) -> Vec<String> {
        let faults = self.faults().map(|(fault, count)| (format!("{fault:?}"), count));
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        let rungs = self.rungs().into_iter().chain(self.steps());
        let rungs = rungs.chain(self.happened.named()).map(named);
        faults.chain(rungs).filter(|&(_, count)| count == 0).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults().map(|(fault, count)| (format!("{fault:?}"), count));
        columns(f, "faults injected", faults)?;
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        columns(f, "rungs of recovery", self.rungs().into_iter().map(named))?;
        columns(f, "other steps", self.steps().into_iter().map(named))?;
        columns(f, "what clients did", self.happened.named().into_iter().map(named))
    }
}

fn columns(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rows: impl Iterator<Item = (String, u64)>,
) -> fmt::Result {
    write!(f, "{title}")?;
    for (index, (name, count)) in rows.enumerate() {
        let gap = if index % 4 == 0 { "\n  " } else { "  " };
        write!(f, "{gap}{name:19}{count:8}")?;
    }
    writeln!(f)
}
