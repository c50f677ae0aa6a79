//! A copy of a hub's log, and the last values in it.

use crate::record::decode;
use crate::table::LastValues;
use unison_base::frame::{Frames, TERMINATOR_BYTES};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::{
    CloseReason, Cursor, Divergence, FollowerConfig, FollowerEvent, Lag, LogEnd, NodeId, Refusal,
    Role, RunFault, RunRange, SealRange, SmallFollower, Timing, Token,
};
use unison_ports::{IoError, SegmentStore};
use unison_walfs::{
    CutError, LogOptions, LogRole, RunError, RunHeader, SmallLog, SmallOpenError, SmallReadError,
    SmallReport, SyncError,
};

/// Most bytes of frames in one run: a hub says so of a record that is larger.
pub const RUN_BYTES: usize = 4 << 10;
/// Bytes of runs that may be on their way.
const WINDOW_BYTES: u32 = 16 << 10;
/// The only namespace of the link.
const NAMESPACE: u32 = 0;

/// The memory of a [`Tail`].
pub struct Buffers<'m> {
    /// Received bytes: [`Buffers::INBOX_BYTES`].
    pub inbox: &'m mut [u8],
    /// What one write appends, and a frame that is read: [`Buffers::GROUP_BYTES`].
    pub group: &'m mut [u8],
    /// A frame that is read, for the time of an opening: [`Buffers::GROUP_BYTES`].
    pub frame: &'m mut [u8],
    /// The last values; what is in it is forgotten.
    pub values: &'m mut LastValues,
}

impl Buffers<'_> {
    /// Bytes of the inbox.
    pub const INBOX_BYTES: usize = SmallFollower::<'static, 1>::memory_bytes(RUN_BYTES);
    /// Bytes of the log's buffers.
    pub const GROUP_BYTES: usize = RUN_BYTES + TERMINATOR_BYTES;
}

/// Why following cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The log did not open.
    #[error(transparent)]
    Open(#[from] SmallOpenError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] SmallReadError),
    /// The log refused what the link had checked.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log could not make a run durable.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The log could not be set aside.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The buffers or the name are too small for the link.
    #[error("the link does not fit its buffers")]
    Link,
}

/// What happened that a person wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Runs will come.
    Serving,
    /// The leader does not serve it now.
    Waiting(Refusal),
    /// A run was refused and is asked for again.
    BadRun(RunFault),
    /// The logs differ; this one was set aside and begins anew.
    StartedOver(Divergence),
    /// Transmit what is left, then close the connection.
    Close(CloseReason),
}

/// A follower of one namespace, its log of at most `N` segments, and the last values.
pub struct Tail<'m, S: SegmentStore, const N: usize> {
    link: SmallFollower<'m, 1>,
    log: SmallLog<'m, S, N>,
    store: &'m S,
    log_id: LogId,
    values: &'m mut LastValues,
}

/// What an event asks for, without the bytes of the run.
enum Asked {
    Durable(Lsn),
    Adopt(LogId),
    Seal(SealRange),
    StartOver(Divergence),
    Tell(Told),
    Nothing,
}

impl<'m, S: SegmentStore, const N: usize> Tail<'m, S, N> {
    /// Opens the log in `store`, and makes the table of last values from it.
    ///
    /// # Errors
    /// See [`TailError`].
    pub fn open(
        store: &'m S,
        name: &str,
        buffers: Buffers<'m>,
        seed: u64,
        now_ms: u64,
    ) -> Result<(Self, SmallReport), TailError> {
        let log_id = store.log_id()?.unwrap_or_default();
        let (segment_bytes, role) = (unison_base::limits::SEGMENT_BYTES_MIN, LogRole::Follower);
        let options = LogOptions { segment_bytes, verify_from: Lsn::ZERO, role };
        let now_ns = now_ms.saturating_mul(1_000_000);
        let (log, report) = SmallLog::open(store, options, buffers.group, now_ns)?;
        let values = buffers.values;
        values.clear();
        log.visit(log.first(), buffers.frame, &mut |record| take(values, record.payload))?;
        let slots = heapless::Vec::new();
        let link = SmallFollower::new(config()?, buffers.inbox, slots, seed, now_ms);
        let mut tail = Self { link: link.ok_or(TailError::Link)?, log, store, log_id, values };
        let name = NamespaceName::new(name).map_err(|_| TailError::Link)?;
        let end = tail.end();
        tail.link.follow(name, end).map_err(|_| TailError::Link)?;
        Ok((tail, report))
    }

    /// The state machine: for connecting, bytes, time and figures.
    pub const fn link(&mut self) -> &mut SmallFollower<'m, 1> {
        &mut self.link
    }

    /// The log.
    pub const fn log(&self) -> &SmallLog<'m, S, N> {
        &self.log
    }

    /// The last values.
    pub const fn values(&self) -> &LastValues {
        self.values
    }

    /// How far behind the hub this copy is.
    #[must_use]
    pub fn lag(&self, now_ms: u64) -> Option<Lag> {
        self.link.lag(NAMESPACE, now_ms)
    }

    /// Where the log ends, as the link wants it.
    fn end(&self) -> LogEnd {
        let Some(newest) = self.log.newest() else { return LogEnd::empty(self.log_id) };
        let (lsn, position, crc) = (self.log.appended(), newest.position, newest.crc);
        LogEnd { cursor: Cursor { log: self.log_id, lsn, position, crc }, next: self.log.tail() }
    }

    /// Does everything that the received bytes ask for. Runs are durable, applied and acknowledged
    /// when it returns. `tell` hears what happened.
    ///
    /// # Errors
    /// See [`TailError`]; the node has to be opened again.
    pub fn step(&mut self, now_ms: u64, tell: &mut dyn FnMut(Told)) -> Result<(), TailError> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        while let Some(event) = self.link.poll_event() {
            let asked = match event {
                FollowerEvent::Run { range, frames, .. } => {
                    append(&mut self.log, &range, frames, now_ns)?;
                    Frames::new(frames)
                        .flatten()
                        .for_each(|(_, frame)| take(self.values, frame.payload));
                    Asked::Durable(range.last())
                }
                FollowerEvent::Welcome { served, .. } => Asked::Adopt(served.log),
                FollowerEvent::Seal { seal, .. } => Asked::Seal(seal),
                FollowerEvent::Diverged { why, .. } => Asked::StartOver(why),
                FollowerEvent::Waiting { reason, .. } => Asked::Tell(Told::Waiting(reason)),
                FollowerEvent::BadRun { fault, .. } => Asked::Tell(Told::BadRun(fault)),
                FollowerEvent::Close { reason } => Asked::Tell(Told::Close(reason)),
                FollowerEvent::Greeted { .. } | FollowerEvent::Beat { .. } => Asked::Nothing,
            };
            self.act(asked, now_ms, tell)?;
        }
        Ok(())
    }

    fn act(
        &mut self,
        asked: Asked,
        now_ms: u64,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), TailError> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        match asked {
            Asked::Durable(lsn) => self.link.appended(NAMESPACE, lsn, lsn, now_ms),
            Asked::Adopt(log_id) => {
                if self.log_id != log_id {
                    self.store.set_log_id(log_id)?;
                    self.log_id = log_id;
                }
                tell(Told::Serving);
            }
            Asked::Seal(seal) => self.log.seal_at(seal.segment, seal.offset, now_ns)?,
            Asked::StartOver(why) => {
                self.log.start_over(now_ns)?;
                self.values.clear();
                let end = self.end();
                self.link.restart(NAMESPACE, end, now_ms);
                tell(Told::StartedOver(why));
            }
            Asked::Tell(told) => tell(told),
            Asked::Nothing => {}
        }
        Ok(())
    }
}

fn config() -> Result<FollowerConfig, TailError> {
    Ok(FollowerConfig {
        node: NodeId::try_from("cortex-m").map_err(|_| TailError::Link)?,
        token: Token::default(),
        role: Role::Replica,
        window_bytes: WINDOW_BYTES,
        run_bytes_max: u32::try_from(RUN_BYTES).map_err(|_| TailError::Link)?,
        timing: Timing::default(),
    })
}

/// Makes a run durable. As long as there is no room for its segment, the oldest one goes.
fn append<S: SegmentStore, const N: usize>(
    log: &mut SmallLog<'_, S, N>,
    range: &RunRange,
    frames: &[u8],
    now_ns: u64,
) -> Result<(), TailError> {
    let run = RunHeader {
        segment: range.segment,
        offset: range.offset,
        first: range.first,
        count: range.count,
        segment_bytes: range.segment_bytes,
    };
    while let Err(error) = log.append_run(run, frames, now_ns) {
        if error != RunError::Io(IoError::NoSpace) || log.retire_first()?.is_none() {
            return Err(error.into());
        }
    }
    log.sync()?;
    Ok(())
}

/// What is no record of ours is stored and says nothing here.
fn take(values: &mut LastValues, payload: &[u8]) {
    if let Ok(record) = decode(payload) {
        values.apply(&record);
    }
}
