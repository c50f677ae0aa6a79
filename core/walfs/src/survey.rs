//! What one segment holds: the prefix that is proved, and what lies behind it.

use crate::layout::{FIRST_FRAME, FRAME_BYTES_MIN, HEADER_BYTES, HeaderError, SegmentHeader};
use crate::scan::{Facts, ScanError, SegmentScan, Stop};
use unison_base::Lsn;
use unison_ports::SegmentFile;

/// Sound frames with dense LSNs, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Island {
    /// Where the first frame starts.
    pub start: u64,
    /// Behind the last frame.
    pub end: u64,
    /// LSN of the first frame.
    pub first: Lsn,
    /// How many frames.
    pub count: u64,
    /// Whether the place of the first frame follows from sound bytes before it. Where it does not,
    /// the frames may be part of what a user stored inside a record.
    pub anchored: bool,
}

impl Island {
    const fn at(start: u64, anchored: bool) -> Self {
        Self { start, end: start, first: Lsn::ZERO, count: 0, anchored }
    }

    /// LSN of the last frame; `Lsn::ZERO` when there is none.
    #[must_use]
    pub const fn last(&self) -> Lsn {
        if self.count == 0 { Lsn::ZERO } else { self.first.plus(self.count - 1) }
    }

    fn take(&mut self, facts: Facts) {
        if self.count == 0 {
            self.first = facts.lsn;
        }
        self.count += 1;
        self.end = self.end.saturating_add(facts.frame_bytes as u64);
    }
}

/// What frames say of how far their leader's log was durable when they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Frames looked at.
    pub frames: u64,
    /// Frames that say nothing: written by a foreign leader.
    pub silent: u64,
    /// The highest durable LSN named.
    pub durable: Lsn,
}

impl Claims {
    fn take(&mut self, facts: Facts) {
        self.frames += 1;
        match facts.durable.checked_sub(1) {
            Some(durable) => self.durable = self.durable.max(Lsn(durable)),
            None => self.silent += 1,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            silent: self.silent + other.silent,
            durable: self.durable.max(other.durable),
        }
    }

    /// Whether these frames prove that the record `lsn` had never been made durable.
    #[must_use]
    pub fn never_durable(&self, lsn: Lsn) -> bool {
        self.frames > 0 && self.silent == 0 && self.durable < lsn
    }
}

/// What was found behind the first bytes that are no frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// The highest LSN of a sound frame above the prefix; `Lsn::ZERO` when there is none.
    pub highest: Lsn,
    /// What these frames claim.
    pub claims: Claims,
    /// Behind the last byte that is not zero; the end of the prefix when all are.
    pub dirty_to: u64,
    /// The bytes were made to look like frames over and over, or a frame is larger than the caller's
    /// buffer; the search stopped and the worst is assumed.
    pub exhausted: bool,
}

impl Later {
    const fn exhaust(&mut self, size: u64) {
        self.exhausted = true;
        self.dirty_to = size;
    }
}

/// The finding of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The header, or why it is none.
    pub header: Result<SegmentHeader, HeaderError>,
    /// Frames from the first one on.
    pub prefix: Island,
    /// What the frames of the prefix claim.
    pub claims: Claims,
    /// Why the prefix ends.
    pub stop: Stop,
    /// What lies behind it.
    pub later: Later,
    /// Every byte of the file is zero, or there is none.
    pub blank: bool,
}

impl Survey {
    /// Up to where the header proves that bytes had been synced: it is written so only behind a sync.
    #[must_use]
    pub fn synced_to(&self) -> u64 {
        let header = self.header.ok().filter(|header| !header.is_discarded());
        header.map_or(0, |header| header.write_offset)
    }

    /// Whether the header proves that bytes at `offset` had been synced.
    #[must_use]
    pub fn vouches(&self, offset: u64) -> bool {
        self.synced_to() > offset
    }

    /// The highest LSN of a sound frame.
    #[must_use]
    pub fn highest(&self) -> Lsn {
        self.prefix.last().max(self.later.highest)
    }
}

/// Receives what a survey comes by.
pub trait Witness {
    /// A frame of the prefix.
    fn frame(&mut self, offset: u64, lsn: Lsn);
    /// Frames behind damage.
    fn island(&mut self, island: Island);
}

impl Witness for () {
    fn frame(&mut self, _offset: u64, _lsn: Lsn) {}
    fn island(&mut self, _island: Island) {}
}

/// Looks at a whole segment once. `expected` is the LSN its first record should have, if known; it
/// bounds what is believed when that record is damaged.
///
/// The time is linear in the size of the segment, whatever the bytes are.
///
/// # Errors
/// The medium fails, or a frame does not fit the caller's buffer. Damage is a finding, not an error.
pub fn survey<F: SegmentFile>(
    mut scan: SegmentScan<'_, F>,
    expected: Option<Lsn>,
    witness: &mut dyn Witness,
) -> Result<Survey, ScanError> {
    let header = read_header(&mut scan)?;
    let mut prefix = Island::at(FIRST_FRAME, true);
    let mut claims = Claims::default();
    while let Some(facts) = scan.step()? {
        witness.frame(prefix.end, facts.lsn);
        prefix.take(facts);
        claims.take(facts);
    }
    let stop = scan.stopped().unwrap_or(Stop::Full);
    let hint = header.ok().map(|header| header.first_lsn).filter(|&first| first != Lsn::ZERO);
    let next = if prefix.count == 0 { expected.or(hint) } else { Some(prefix.last().next()) };
    let later = search(&mut scan, prefix.end, next, witness)?;
    let blank = prefix.count == 0 && later.dirty_to <= FIRST_FRAME && is_zero_header(&mut scan)?;
    Ok(Survey { header, prefix, claims, stop, later, blank })
}

fn read_header<F: SegmentFile>(
    scan: &mut SegmentScan<'_, F>,
) -> Result<Result<SegmentHeader, HeaderError>, ScanError> {
    if scan.window.size() < FIRST_FRAME {
        return Ok(Err(HeaderError::Short));
    }
    Ok(SegmentHeader::decode(scan.window.fetch(0, HEADER_BYTES)?))
}

fn is_zero_header<F: SegmentFile>(scan: &mut SegmentScan<'_, F>) -> Result<bool, ScanError> {
    let length = scan.window.size().min(FIRST_FRAME);
    let bytes = scan.window.fetch(0, usize::try_from(length).unwrap_or(HEADER_BYTES))?;
    Ok(bytes.iter().all(|&byte| byte == 0))
}

/// Looks for sound frames with higher LSNs behind `bad`, where the record `next` should be.
fn search<F: SegmentFile>(
    scan: &mut SegmentScan<'_, F>,
    bad: u64,
    next: Option<Lsn>,
    witness: &mut dyn Witness,
) -> Result<Later, ScanError> {
    let mut later = Later { dirty_to: bad, ..Later::default() };
    let mut budget = Budget::of(scan.window.size().saturating_sub(bad));
    let (mut next, mut damaged, mut offset) = (next, bad, bad);
    let mut anchor = scan.sound_end(bad)?;
    while let Some((at, bytes)) = scan.candidate(offset, &mut later.dirty_to)? {
        let believable = |lsn| next.is_none_or(|next| within_reach(lsn, next, damaged, at));
        let landing = match budget.pay(bytes) {
            true => land(scan, at, anchor == Some(at), &mut later, believable)?,
            false => Landing::GivenUp,
        };
        match landing {
            Landing::On(island) => {
                witness.island(island);
                (next, damaged, offset) = (Some(island.last().next()), island.end, island.end);
                anchor = scan.sound_end(damaged)?;
            }
            Landing::Nothing => offset = at.saturating_add(8),
            Landing::GivenUp => {
                later.exhaust(scan.window.size());
                break;
            }
        }
    }
    Ok(later)
}

/// Bytes that checksums may be computed over in a search: four times those there are, so that
/// crafted bytes cannot make it quadratic.
struct Budget(u64);

impl Budget {
    const fn of(bytes: u64) -> Self {
        Self(bytes.saturating_mul(4).saturating_add(1 << 20))
    }

    const fn pay(&mut self, bytes: u64) -> bool {
        let affordable = bytes <= self.0;
        self.0 = self.0.saturating_sub(bytes);
        affordable
    }
}

/// An LSN that could follow `next` when records are missing from `damaged` up to `at`.
const fn within_reach(lsn: Lsn, next: Lsn, damaged: u64, at: u64) -> bool {
    let room = at.saturating_sub(damaged) / FRAME_BYTES_MIN;
    lsn.0 > next.0 && lsn.0 <= next.0.saturating_add(room)
}

/// What the bytes at a place are.
enum Landing {
    On(Island),
    Nothing,
    /// A frame larger than the caller's buffer, or one more than the budget allows.
    GivenUp,
}

fn land<F: SegmentFile>(
    scan: &mut SegmentScan<'_, F>,
    at: u64,
    anchored: bool,
    later: &mut Later,
    believable: impl FnOnce(Lsn) -> bool,
) -> Result<Landing, ScanError> {
    match sound_frames(scan, at, anchored, later, believable) {
        Ok(island) => Ok(island.map_or(Landing::Nothing, Landing::On)),
        Err(ScanError::Buffer { .. }) => Ok(Landing::GivenUp),
        Err(error) => Err(error),
    }
}

/// Takes the sound frames at `at`, if the first one's LSN is believable.
fn sound_frames<F: SegmentFile>(
    scan: &mut SegmentScan<'_, F>,
    at: u64,
    anchored: bool,
    later: &mut Later,
    believable: impl FnOnce(Lsn) -> bool,
) -> Result<Option<Island>, ScanError> {
    if !scan.probe(at)?.is_ok_and(|facts| believable(facts.lsn)) {
        return Ok(None);
    }
    scan.restart(at);
    let mut island = Island::at(at, anchored);
    while let Some(facts) = scan.step()? {
        island.take(facts);
        later.claims.take(facts);
    }
    later.highest = island.last();
    later.dirty_to = later.dirty_to.max(island.end);
    Ok(Some(island))
}
