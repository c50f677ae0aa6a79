//! Where a blocked writer waits: woken alone, with its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use unison_engine::WriteError;

/// A seat for the current thread.
pub(super) struct Seat {
    thread: Thread,
    answer: Mutex<Option<Result<(), WriteError>>>,
}

impl Seat {
    pub(super) fn take() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), answer: Mutex::new(None) })
    }

    /// Blocks until told.
    pub(super) fn wait(&self) -> Result<(), WriteError> {
        loop {
            if let Some(told) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return told;
            }
            thread::park();
        }
    }

    pub(super) fn tell(&self, answer: Result<(), WriteError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.thread.unpark();
    }
}
