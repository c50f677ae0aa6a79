//! The kinds of findings, and how often each was made.

use unison_base::Position;

/// One kind of finding; the letters are those of the table in [`recovery`](crate::recovery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rung {
    /// A: the log was cut at its last sound frame.
    TornTail,
    /// B: as A, though the header says that what was cut had been synced.
    LostTail,
    /// C: records behind a torn group, which had never been durable, were set aside.
    Discarded,
    /// D: damage in the middle; the segment was set aside.
    RotSegment,
    /// E: records are missing between two sound ones.
    Gap,
    /// F: a segment repeats LSNs of an earlier one; it was set aside.
    StaleSegment,
    /// G: a header was wrong and was built anew.
    HeaderRebuilt,
    /// H: a segment of zeros or of no length counts as absent.
    EmptySegment,
    /// I: the newest segment is sealed; the next one is begun.
    SealedNewest,
    /// J: a repair could not be written; the next opening tries again.
    RepairFailed,
    /// K: a follower's log was cut at a hole, and nothing tells whether a power cut or rot made it.
    UnprovedHole,
}

/// How often each rung was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RungCounts {
    /// Rung A.
    pub torn_tails: u64,
    /// Rung B.
    pub lost_tails: u64,
    /// Rung C.
    pub discarded_segments: u64,
    /// Rung D.
    pub rot_segments: u64,
    /// Rung E.
    pub gaps: u64,
    /// Rung F.
    pub stale_segments: u64,
    /// Rung G.
    pub headers_rebuilt: u64,
    /// Rung H.
    pub empty_segments: u64,
    /// Rung I.
    pub sealed_newest: u64,
    /// Rung J.
    pub repairs_failed: u64,
    /// Rung K.
    pub unproved_holes: u64,
}

impl RungCounts {
    /// Counts a finding. False when it is none: rung K has said already that the log's end is cut.
    pub(crate) const fn note(&mut self, rung: Rung) -> bool {
        let count = match rung {
            Rung::TornTail if self.unproved_holes > 0 => return false,
            Rung::TornTail => &mut self.torn_tails,
            Rung::LostTail => &mut self.lost_tails,
            Rung::Discarded => &mut self.discarded_segments,
            Rung::RotSegment => &mut self.rot_segments,
            Rung::Gap => &mut self.gaps,
            Rung::StaleSegment => &mut self.stale_segments,
            Rung::HeaderRebuilt => &mut self.headers_rebuilt,
            Rung::EmptySegment => &mut self.empty_segments,
            Rung::SealedNewest => &mut self.sealed_newest,
            Rung::RepairFailed => &mut self.repairs_failed,
            Rung::UnprovedHole => &mut self.unproved_holes,
        };
        *count += 1;
        true
    }
}

/// One finding and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryEvent {
    /// What was found.
    pub rung: Rung,
    /// Where.
    pub at: Position,
}
