//! Where a blocked writer waits: woken alone, either with its answer or to lead the next round.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;
use unison_engine::WriteError;

/// How often a waiting writer looks whether there is still somebody to tell it.
const LOOK_UP: Duration = Duration::from_millis(500);

/// What a waiting writer is told.
pub(super) enum Word {
    /// The outcome of its write.
    Done(Result<(), WriteError>),
    /// Nobody leads: append, sync and publish for all, itself included.
    Lead,
}

/// A seat for the current thread.
pub(super) struct Seat {
    thread: Thread,
    word: Mutex<Option<Word>>,
}

impl Seat {
    pub(super) fn take() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), word: Mutex::new(None) })
    }

    /// Blocks until told. `is_lost` says that nobody will tell any more: whoever led has panicked.
    pub(super) fn wait(&self, is_lost: impl Fn() -> bool) -> Word {
        loop {
            if let Some(word) = self.word.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return word;
            }
            if is_lost() {
                return Word::Done(Err(WriteError::Poisoned));
            }
            thread::park_timeout(LOOK_UP);
        }
    }

    pub(super) fn tell(&self, word: Word) {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
        self.thread.unpark();
    }
}
