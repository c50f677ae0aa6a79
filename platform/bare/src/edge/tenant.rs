//! One followed namespace: its replica while nobody follows with it yet, and how it stands.

use super::event::{Event, OpenFailure};
use super::replica::VolumeReplica;
use crate::block::BlockDevice;
use unison_base::{Lsn, NamespaceName};
use unison_engine::ApplyError;
use unison_link::{Lag, Refusal, Standing};
use unison_node::ReplicaError;
use unison_ports::IoError;
use unison_walfs::{CutError, RunError};

/// Shortest and longest pause before a namespace that did not open is tried again.
const REOPEN_MS: core::ops::RangeInclusive<u64> = 1_000..=60_000;
/// A namespace that was up to date is catching up again after lagging for this long.
const LAGGING_MS: u64 = 10_000;

/// What readers saw when a namespace could take no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) error: ReplicaError,
    seen: Lsn,
}

/// How far a namespace is on this connection, as last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    CatchingUp,
    UpToDate,
}

/// One followed namespace.
pub(crate) struct Tenant<D: BlockDevice> {
    pub(crate) name: NamespaceName,
    /// Until it was opened once.
    pub(crate) replica: Option<VolumeReplica<D>>,
    /// Its number on the link, from then on.
    pub(crate) number: Option<u32>,
    pub(crate) failure: Option<OpenFailure>,
    pub(crate) waiting: Option<Refusal>,
    pub(crate) trouble: Option<Trouble>,
    open_at_ms: u64,
    pause_ms: u64,
    /// It was opened and is not known to have been let go.
    is_open: bool,
    /// Pause before it is opened again after a flush that failed.
    flush_pause_ms: u64,
    told: Told,
}

impl<D: BlockDevice> Tenant<D> {
    pub(crate) fn new(name: NamespaceName, replica: VolumeReplica<D>) -> Self {
        Self {
            name,
            replica: Some(replica),
            number: None,
            failure: None,
            waiting: None,
            trouble: None,
            open_at_ms: 0,
            pause_ms: *REOPEN_MS.start(),
            is_open: false,
            flush_pause_ms: 0,
            told: Told::Nothing,
        }
    }

    /// When opening it is due, if it is not open.
    pub(crate) const fn open_at_ms(&self) -> u64 {
        self.open_at_ms
    }

    /// Its disk was opened again.
    pub(crate) const fn open_now(&mut self) {
        (self.open_at_ms, self.is_open) = (0, false);
    }

    /// Takes note that its engine was let go because a flush failed. The first time it is opened again
    /// at once, which helps where the tree was full; from then on after pauses, until a flush
    /// has succeeded.
    pub(crate) fn let_go(&mut self, has_flushed: bool, now_ms: u64) {
        if !core::mem::take(&mut self.is_open) {
            return;
        }
        let pause_ms = if has_flushed { 0 } else { self.flush_pause_ms };
        self.open_at_ms = now_ms.saturating_add(pause_ms);
        self.flush_pause_ms =
            pause_ms.saturating_mul(2).clamp(*REOPEN_MS.start(), *REOPEN_MS.end());
    }

    pub(crate) fn opened(&mut self) {
        (self.failure, self.is_open) = (None, true);
        self.pause_ms = *REOPEN_MS.start();
    }

    /// Takes note that it did not open; the event when that is news.
    pub(crate) fn failed(&mut self, failure: OpenFailure, now_ms: u64) -> Option<Event> {
        self.open_at_ms = now_ms.saturating_add(self.pause_ms);
        self.pause_ms = self.pause_ms.saturating_mul(2).min(*REOPEN_MS.end());
        let is_news = self.failure != Some(failure);
        self.failure = Some(failure);
        is_news.then(|| Event::NamespaceFailed { name: self.name.clone(), failure })
    }

    /// Takes note that the hub serves it.
    pub(crate) fn serving(&mut self) {
        self.waiting = None;
        self.told = Told::Nothing;
    }

    /// Takes note that the hub does not serve it now; the event when that is news.
    pub(crate) fn waits(&mut self, reason: Refusal) -> Option<Event> {
        let is_news = self.waiting != Some(reason);
        self.waiting = Some(reason);
        is_news.then(|| Event::Waiting { name: self.name.clone(), reason })
    }

    /// Takes note that it could not take records while readers saw `seen`; the event when that is
    /// news. `room` are the bytes used and the bytes there are.
    pub(crate) fn troubled(
        &mut self,
        error: ReplicaError,
        seen: Lsn,
        (used_bytes, total_bytes): (u64, u64),
    ) -> Option<Event> {
        let before = self.trouble.replace(Trouble { error, seen });
        if before.is_some_and(|before| before.error == error) {
            return None;
        }
        let name = self.name.clone();
        Some(match is_out_of_room(&error) {
            true => Event::DiskFull { name, used_bytes, total_bytes },
            false => Event::CannotTake { name, error },
        })
    }

    /// Looks at how far it is; the event when that is news.
    pub(crate) fn look(&mut self, lag: &Lag) -> Option<Event> {
        if lag.standing != Standing::Following {
            return None;
        }
        if let Some(trouble) = self.trouble {
            let recovered = lag.applied > trouble.seen || lag.records_behind == 0;
            self.trouble = self.trouble.filter(|_| !recovered);
            return recovered.then(|| Event::TakesAgain { name: self.name.clone() });
        }
        let (name, behind) = (self.name.clone(), lag.records_behind);
        let lags = lag.since_in_sync_ms.is_none_or(|since_ms| since_ms > LAGGING_MS);
        match (self.told, behind) {
            (Told::Nothing | Told::CatchingUp, 0) => {
                self.told = Told::UpToDate;
                Some(Event::UpToDate { name, applied: lag.applied })
            }
            (Told::Nothing, _) | (Told::UpToDate, 1..) if self.told == Told::Nothing || lags => {
                self.told = Told::CatchingUp;
                Some(Event::CatchingUp { name, behind })
            }
            _ => None,
        }
    }
}

/// Whether a full disk is why records were not taken.
pub(crate) const fn is_out_of_room(error: &ReplicaError) -> bool {
    matches!(
        error,
        ReplicaError::Io(IoError::NoSpace)
            | ReplicaError::Apply(ApplyError::Run(RunError::Io(IoError::NoSpace)))
            | ReplicaError::Cut(CutError::Io(IoError::NoSpace))
    )
}

impl<D: BlockDevice> core::fmt::Debug for Tenant<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tenant").field("name", &self.name).finish_non_exhaustive()
    }
}
