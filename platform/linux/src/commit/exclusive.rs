//! The writer of a namespace, held while several commands read and write: nothing of others comes in
//! between, and what they write happens at once or never.

use super::queue::{CommitQueue, Place, Waiter};
use crate::FileStore;
use crate::store::{Acknowledged, Durability, Reader, Written};
use std::sync::Arc;
use unison_base::{Lsn, TxnId};
use unison_engine::{Engine, Operation, Write, WriteError};

/// The writer, held until this is dropped. All that is done with it happens at one time by the wall clock.
///
/// Whoever holds it must not write to the namespace in any other way than through it.
pub struct Exclusive<'q> {
    queue: &'q Arc<CommitQueue>,
    now_ms: u64,
    transaction: TxnId,
    /// The transaction is open.
    is_open: bool,
    /// First and last record staged.
    staged: Option<(Lsn, Lsn)>,
    /// Somebody read what may not be visible yet.
    has_looked: bool,
    /// The writer is let go.
    is_over: bool,
}

impl Exclusive<'_> {
    /// A reader of everything written before, with what was staged here; good until the next write.
    ///
    /// # Errors
    /// What is staged could not be appended, and is gone: nothing more can be done here.
    pub fn reader(&mut self) -> Result<Reader, WriteError> {
        let (id, now_ms) = (self.transaction, self.now_ms);
        self.has_looked = true;
        match self.is_open {
            true => self.ask(|engine| engine.reader_within(id, now_ms)),
            false => self.ask(|engine| engine.staged_reader(now_ms)),
        }
    }

    /// The time, milliseconds since 1970: that of the wall clock or the watermark of expiry, whichever is
    /// later.
    ///
    /// # Errors
    /// The namespace is closed.
    pub fn now_ms(&mut self) -> Result<u64, WriteError> {
        let now_ms = self.now_ms;
        self.ask(|engine| Ok(engine.reader().at(now_ms).now_ms()))
    }

    /// Stages a write in the transaction, which begins with the first one.
    ///
    /// # Errors
    /// Nothing of this write is staged. What is no fault of the write itself ends the transaction.
    pub fn stage(&mut self, write: &Write<'_>) -> Result<Written, WriteError> {
        if !self.is_open {
            self.add(&Write::new(Operation::Begin).within(self.transaction))?;
            self.is_open = true;
        }
        self.add(&write.within(self.transaction))
    }

    /// Stages the only write of all, without a transaction around it: it cannot be taken back.
    ///
    /// # Errors
    /// Nothing is staged.
    pub fn stage_alone(&mut self, write: &Write<'_>) -> Result<Written, WriteError> {
        let staged = self.add(write);
        if matches!(staged, Err(WriteError::Conflict { .. })) {
            // The answer is of what it found, and a power cut could still take that back.
            self.reader()?;
        }
        staged
    }

    fn add(&mut self, write: &Write<'_>) -> Result<Written, WriteError> {
        self.queue.admit(write)?;
        let now_ms = self.now_ms;
        let written = self.ask(|engine| engine.stage(write, now_ms))?;
        let first = self.staged.map_or(written.lsn, |(first, _)| first);
        self.staged = Some((first, written.lsn));
        Ok(written)
    }

    fn ask<R>(
        &mut self,
        act: impl FnOnce(&mut Engine<FileStore>) -> Result<R, WriteError>,
    ) -> Result<R, WriteError> {
        let mut state = self.queue.lock();
        let result = act(state.engine()?).map_err(|error| self.queue.named(error));
        if let Err(error) = &result {
            self.queue.refused(&mut state, *error);
        }
        state.count_transactions();
        self.queue.lead_if_wanted(&mut state);
        result
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        if !self.is_open {
            return Ok(());
        }
        let written = self.add(&Write::new(Operation::Commit(&[])).within(self.transaction));
        written.map(drop)
    }

    /// What was read, when it is not visible to others yet: a power cut could still take it back.
    fn unsettled(&self, engine: &Engine<FileStore>) -> Option<(Lsn, Lsn)> {
        let (visible, appended) = (engine.applied(), engine.appended());
        (self.has_looked && visible < appended).then_some((appended, appended))
    }

    /// Has `done` called when what is staged, or else what was read, is acknowledged; not at all when it
    /// is already. Returns the newest record.
    fn acknowledge(mut self, done: Box<dyn FnOnce(Acknowledged) + Send>) -> Option<Lsn> {
        let mut state = self.queue.lock();
        self.is_over = true;
        let unsettled = state.engine.as_ref().and_then(|engine| self.unsettled(engine));
        let newest = self.staged.or(unsettled);
        match (newest, self.queue.durability()) {
            (None, _) => self.queue.let_go(&mut state),
            (Some((from, up_to)), Durability::Always) => {
                let place = Place::Callback(done);
                state.waiters.push_back(Waiter { from, up_to, lost: None, place });
                self.queue.let_go(&mut state);
            }
            (Some((_, up_to)), Durability::Interval { .. } | Durability::Never) => {
                self.queue.let_go(&mut state);
                done(self.queue.append_now(state).map(|()| up_to));
            }
        }
        newest.map(|(_, up_to)| up_to)
    }
}

/// Nothing of it happens that was not committed. What cannot even be aborted is ended by the upkeep.
impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let is_aborted = self.is_open
            && self.add(&Write::new(Operation::Abort).within(self.transaction)).is_ok();
        let mut state = self.queue.lock();
        self.queue.let_go(&mut state);
        if is_aborted {
            // Who is concerned by a failure has been told.
            let _ = self.queue.append_for_later(state);
        }
    }
}

impl CommitQueue {
    /// Runs `act` while nobody else writes. When it succeeds, what it staged is committed, and `done` is
    /// called once with the acknowledgement, also of what it read and others cannot see yet, or never when
    /// there is nothing to wait for; when it fails, nothing of it happens.
    pub(crate) fn exclusively<R, E: From<WriteError>>(
        self: &Arc<Self>,
        transaction: TxnId,
        act: impl FnOnce(&mut Exclusive<'_>) -> Result<R, E>,
        done: Box<dyn FnOnce(Acknowledged) + Send>,
    ) -> Result<(R, Option<Lsn>), E> {
        let state = self.hold();
        let is_closing = state.closing;
        let now_ms = self.now_ms();
        drop(state);
        let mut held = Exclusive {
            queue: self,
            now_ms,
            transaction,
            is_open: false,
            staged: None,
            has_looked: false,
            is_over: false,
        };
        if is_closing {
            return Err(WriteError::Closed.into());
        }
        let result = act(&mut held)?;
        held.commit()?;
        Ok((result, held.acknowledge(done)))
    }
}
