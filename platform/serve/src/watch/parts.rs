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
    /// Each with how many may still ask for it.
    known: Mutex<VecDeque<(usize, Part)>>,
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

    fn known(&self) -> MutexGuard<'_, VecDeque<(usize, Part)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part that begins at a place, for one more watcher. The last one that may ask takes it along.
    pub(super) fn find(&self, from: &Place) -> Option<Part> {
        let mut known = self.known();
        let at = known.iter().rposition(|(_, part)| part.from == *from)?;
        match known.get_mut(at) {
            Some((left, part)) if *left > 1 => {
                *left -= 1;
                Some(part.clone())
            }
            _ => known.remove(at).map(|(_, part)| part),
        }
    }

    /// Remembers a part that leads somewhere for so many others, unless one of them was faster.
    pub(super) fn keep(&self, part: Part, others: usize) {
        let mut known = self.known();
        let is_known = known.iter().any(|(_, known)| known.from == part.from);
        if others == 0 || is_known || part.from == part.to {
            return;
        }
        if known.len() >= PARTS_MAX {
            known.pop_front();
        }
        known.push_back((others, part));
    }
}
