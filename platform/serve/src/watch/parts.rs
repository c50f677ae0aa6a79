//! What was made for one watcher, for all that are at the same place and want the same.
//!
//! Watchers that keep up are at the same event, so each event is read and put into words once, however
//! many listen. One that fell behind is at a place of its own and reads for itself.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use unison_engine::{ChangeFilter, Place};

/// So many parts are remembered: for those whose sockets have not taken the one before yet.
const PARTS_MAX: usize = 4;

/// What decides how events are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Which events.
    pub(crate) filter: ChangeFilter,
    /// Whether with their values.
    pub(crate) values: bool,
}

/// The newest parts of one form.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) form: Form,
    known: Mutex<VecDeque<Part>>,
}

/// What is told between two places.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) text: Bytes,
    pub(super) events: u64,
}

impl Parts {
    pub(super) fn new(form: Form) -> Self {
        Self { form, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Part>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part that begins at a place.
    pub(super) fn find(&self, from: &Place) -> Option<Part> {
        self.known().iter().rev().find(|part| part.from == *from).cloned()
    }

    /// Remembers a part, unless it leads nowhere.
    pub(super) fn keep(&self, part: Part) {
        if part.from == part.to {
            return;
        }
        let mut known = self.known();
        if known.len() >= PARTS_MAX {
            known.pop_front();
        }
        known.push_back(part);
    }
}
