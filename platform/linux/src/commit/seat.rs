//! Where a blocked writer waits: woken alone, with its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;
use unison_engine::WriteError;

/// How often a waiting writer looks whether there is still somebody to tell it.
const LOOK_UP: Duration = Duration::from_millis(500);

/// A seat for the current thread.
pub(super) struct Seat {
    thread: Thread,
    answer: Mutex<Option<Result<(), WriteError>>>,
}

impl Seat {
    pub(super) fn take() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), answer: Mutex::new(None) })
    }

    /// Blocks until told. `is_lost` says that nobody will tell any more: whoever led has panicked.
    pub(super) fn wait(&self, is_lost: impl Fn() -> bool) -> Result<(), WriteError> {
        loop {
            if let Some(told) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return told;
            }
            if is_lost() {
                return Err(WriteError::Poisoned);
            }
            thread::park_timeout(LOOK_UP);
        }
    }

    pub(super) fn tell(&self, answer: Result<(), WriteError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.thread.unpark();
    }
}
