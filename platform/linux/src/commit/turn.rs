//! Whose turn it is to write: everybody's together, or that of one who holds the writer.
//!
//! ```text
//! tasks      Gate: wait without a thread, in the order in which they came
//! threads    Turns: wait on a condition; whoever wants to hold lets those go first who wait
//! ```
//!
//! What counts is [`Turns`]. A task that did not wait at the gate is not wrong, it only blocks its thread.

use super::queue::{CommitQueue, State, end_the_process};
use crate::FileStore;
use std::sync::{Arc, MutexGuard};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};
use unison_engine::Engine;

/// Where tasks wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Gate(Arc<RwLock<()>>);

/// A task's turn to write, beside others.
#[derive(Debug)]
pub struct Turn<'g>(#[expect(dead_code, reason = "held")] RwLockReadGuard<'g, ()>);

/// A task's turn to hold the writer.
#[derive(Debug)]
pub struct TurnAlone(#[expect(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>);

impl Gate {
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn(self.0.read().await)
    }

    pub(crate) async fn turn_alone(&self) -> TurnAlone {
        TurnAlone(Arc::clone(&self.0).write_owned().await)
    }
}

/// Who holds the writer, and how many threads wait for it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    is_held: bool,
    /// Those who want to write beside others; nobody takes hold while there is one.
    writers: usize,
    /// Those who want to hold it.
    holders: usize,
}

impl Turns {
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    fn is_waited_for(&self) -> bool {
        self.writers + self.holders > 0
    }
}

impl State {
    /// Whether a round would do anything: while the writer is held it only syncs what is appended.
    pub(super) fn has_work_for_a_round(&self) -> bool {
        let is_unsynced = |engine: &Engine<FileStore>| engine.durable() < engine.appended();
        !self.turns.is_held || self.engine.as_ref().is_some_and(is_unsynced)
    }

    /// Whether somebody waits for a round and one would do something, or one was put off until now.
    pub(super) fn wants_a_round(&self) -> bool {
        let is_due = self.owes_a_round && !self.turns.is_held;
        is_due || !self.waiters.is_empty() && self.has_work_for_a_round()
    }
}

impl CommitQueue {
    /// The state, once nobody holds the writer.
    pub(super) fn lock_in_turn(&self) -> MutexGuard<'_, State> {
        self.in_turn(self.lock())
    }

    /// The same where the lock is taken.
    pub(super) fn in_turn<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if !state.turns.is_held {
            return state;
        }
        state.turns.writers += 1;
        while state.turns.is_held {
            state = self.wait_for_turn(state);
        }
        state.turns.writers -= 1;
        self.tell_of_turn(&state);
        state
    }

    /// Takes hold of the writer: nobody else writes until [`let_go`](Self::let_go).
    pub(super) fn hold(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.turns.holders += 1;
        while state.turns.is_held || state.turns.writers > 0 {
            state = self.wait_for_turn(state);
        }
        state.turns.holders -= 1;
        state.turns.is_held = true;
        state
    }

    /// Lets the writer go. Those whose acknowledgement waited for that get their round, and so do records
    /// that nobody waits for.
    pub(super) fn let_go(self: &Arc<Self>, state: &mut State) {
        state.turns.is_held = false;
        self.tell_of_turn(state);
        self.lead_if_wanted(state);
        if state.closing {
            // Whoever closes the namespace waits for this.
            self.relieved.notify_all();
        }
    }

    /// Has a worker lead where a round is wanted.
    pub(super) fn lead_if_wanted(self: &Arc<Self>, state: &mut State) {
        if state.wants_a_round() {
            self.lead_elsewhere(state);
        }
    }

    fn wait_for_turn<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.let_go.wait(state).unwrap_or_else(|_| end_the_process())
    }

    fn tell_of_turn(&self, state: &State) {
        if state.turns.is_waited_for() {
            self.let_go.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
