//! A log on a fixed number of segments in the caller's buffers: for nodes without a heap.
//!
//! The bytes on the medium, the judgement on what is found at an opening and the promises are those of
//! [the other log](crate); what differs is that there are no readers on other threads and no segment
//! made ahead, that a segment is synced when it is sealed, that a header is written only then, at the
//! closing and at an opening, and that a table of `N` segments bounds how much log there is:
//! [`SmallLog::retire_first`] makes room.
//!
//! ```
//! # use unison_walfs::{LogOptions, LogRole, SmallLog};
//! # fn work(store: &impl unison_ports::SegmentStore, record: &[u8]) -> Option<()> {
//! let options = LogOptions {
//!     segment_bytes: 64 << 10,
//!     verify_from: unison_base::Lsn::ZERO,
//!     role: LogRole::Leader,
//! };
//! let mut buffer = [0; 4 << 10];
//! let (mut log, report) = SmallLog::<_, 8>::open(store, options, &mut buffer, 0).ok()?;
//! let _ = (report.rungs, log.next_lsn());
//! log.stage(record).ok()?;
//! log.append_staged(0).ok()?;
//! log.sync().ok()?;
//! # Some(()) }
//! ```

mod error;
mod follow;
mod list;
mod open;
mod report;
mod segments;
mod visit;
mod write;

pub use error::{SmallOpenError, SmallReadError};
pub use report::SmallReport;
pub use visit::SmallRecord;

use crate::error::OpenError;
use crate::group::Group;
use crate::layout::FIRST_FRAME;
use crate::options::LogOptions;
use crate::run::Located;
use segments::{Active, Stretch};
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::SegmentStore;

/// A log of at most `N` segments, two or more, for its one writer and reader.
pub struct SmallLog<'m, S: SegmentStore, const N: usize> {
    store: &'m S,
    options: LogOptions,
    /// Segments that take no more records, oldest first.
    sealed: heapless::Vec<Stretch, N>,
    active: Option<Active<S::File>>,
    /// Highest segment number in use.
    last_id: SegmentId,
    group: Group<&'m mut [u8]>,
    appended: Lsn,
    durable: Lsn,
    newest: Option<Located>,
    poisoned: bool,
}

impl<'m, S: SegmentStore, const N: usize> SmallLog<'m, S, N> {
    /// The next segment is made before an earlier one may go.
    const ROTATES: () = assert!(N >= 2, "a log needs two segments to go from one to the next");

    /// Opens the segments of `store` and repairs what can be repaired, as the table in
    /// [`recovery`](crate::recovery) says. Every frame is verified, whatever `options.verify_from` is.
    ///
    /// `buffer` holds what is staged, and the largest frame with 16 bytes more.
    ///
    /// # Errors
    /// See [`SmallOpenError`]. Damage is reported, not an error.
    pub fn open(
        store: &'m S,
        options: LogOptions,
        buffer: &'m mut [u8],
        now_ns: u64,
    ) -> Result<(Self, SmallReport), SmallOpenError> {
        let () = Self::ROTATES;
        options.check().map_err(SmallOpenError::from)?;
        open::open(store, options, buffer, now_ns)
    }

    /// The LSN that the next staged record must carry.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.appended.plus(self.group.count()).next()
    }

    /// The newest record that was appended.
    #[must_use]
    pub const fn appended(&self) -> Lsn {
        self.appended
    }

    /// The newest record that is known to be durable, with all before it.
    #[must_use]
    pub const fn durable(&self) -> Lsn {
        self.durable
    }

    /// The oldest record; the next one's LSN while there is none.
    #[must_use]
    pub fn first(&self) -> Lsn {
        self.stretches().find(|stretch| stretch.count > 0).map_or(self.appended.next(), |s| s.first)
    }

    /// The newest record's place and checksum; `None` while there is none, and after damage took it.
    #[must_use]
    pub const fn newest(&self) -> Option<Located> {
        self.newest
    }

    /// Where the next staged frame goes.
    #[must_use]
    pub fn tail(&self) -> Position {
        let (segment, offset, _) = self.place();
        Position { segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// Bytes of frames that wait to be appended.
    #[must_use]
    pub const fn staged_bytes(&self) -> usize {
        self.group.bytes()
    }

    /// How many segments hold the log, the active one included.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.sealed.len() + usize::from(self.active.is_some())
    }

    fn stretches(&self) -> impl Iterator<Item = &Stretch> {
        self.sealed.iter().chain(self.active.as_ref().map(|active| &active.stretch))
    }

    /// Segment, offset and segment size for the frame that follows the staged ones.
    fn place(&self) -> (SegmentId, u64, u64) {
        let staged = self.group.bytes() as u64;
        match &self.active {
            Some(active) => {
                let stretch = &active.stretch;
                (stretch.id, stretch.end.saturating_add(staged), stretch.usable_bytes())
            }
            None => {
                let end = FIRST_FRAME.saturating_add(staged);
                (self.last_id.next(), end, self.options.segment_bytes)
            }
        }
    }

    fn is_blank(&self) -> bool {
        self.appended == Lsn::ZERO && self.active.is_none()
    }
}

impl<S: SegmentStore, const N: usize> core::fmt::Debug for SmallLog<'_, S, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SmallLog")
            .field("tail", &self.tail())
            .field("appended", &self.appended)
            .field("durable", &self.durable)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl From<crate::scan::ScanError> for SmallReadError {
    fn from(error: crate::scan::ScanError) -> Self {
        match error {
            crate::scan::ScanError::Io(error) => Self::Read(error.into()),
            crate::scan::ScanError::Buffer { needed } => Self::Buffer { needed },
        }
    }
}

const fn io(segment: SegmentId) -> impl Fn(unison_ports::IoError) -> OpenError {
    move |cause| OpenError::io(segment, cause)
}
