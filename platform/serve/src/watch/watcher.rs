//! One watcher.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use unison_engine::{Change, ChangeId, Changes, ChangesError, Reached};
use unison_linux::FileStore;

use super::{Beat, Place, Watchers};

/// Most bytes of log that one look goes through, so that others get their turn.
const LOOK_BYTES: usize = 1 << 20;

/// A place in the log of a namespace, and what wakes it.
#[derive(Debug)]
pub(crate) struct Watcher {
    watchers: Arc<Watchers>,
    number: u64,
    place: Arc<Place>,
    beats: watch::Receiver<bool>,
    changes: Changes<FileStore>,
}

/// Why a watcher cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// The namespace was dropped, or began anew.
    #[error("the namespace was dropped or began anew")]
    Gone,
    /// The node stops.
    #[error("the node stops")]
    Shutdown,
    /// The next event cannot be told.
    #[error(transparent)]
    Changes(#[from] ChangesError),
}

impl Watcher {
    pub(super) fn new(
        watchers: Arc<Watchers>,
        number: u64,
        place: Arc<Place>,
        beat: &Beat,
        changes: Changes<FileStore>,
    ) -> Self {
        let mut beats = beat.listen();
        // What happened before it listened is looked for too.
        beats.mark_changed();
        Self { watchers, number, place, beats, changes }
    }

    /// Whether the next event can be told, if it is there.
    pub(crate) fn check(&mut self) -> Result<(), ChangesError> {
        self.changes.check()
    }

    /// All events up to here were told or not wanted.
    pub(crate) const fn position(&self) -> ChangeId {
        self.changes.position()
    }

    /// Returns once there may be more to look at. May be dropped and called again.
    pub(crate) async fn beat(&mut self) {
        // A beat that has ended said so, and is not waited for: `look` finds out why.
        let _ = self.beats.changed().await;
    }

    /// Counts that it cannot go on.
    pub(crate) fn count_end(&self, ended: &Ended) {
        if *ended != Ended::Shutdown {
            self.watchers.ended.inc();
        }
    }

    /// Tells of some events, and lets go of the log's files again. [`Reached::End`] means that the
    /// next beat is to be waited for.
    pub(crate) fn look(
        &mut self,
        visit: &mut dyn FnMut(&Change<'_>) -> ControlFlow<()>,
    ) -> Result<Reached, Ended> {
        if *self.beats.borrow_and_update() {
            return Err(self.watchers.why(&self.place));
        }
        let mut events = 0;
        let reached = self.changes.read(LOOK_BYTES, &mut |change| {
            events += 1;
            visit(change)
        });
        self.changes.rest();
        self.watchers.events.inc_by(events);
        self.place.lsn.store(self.position().lsn.0, Ordering::Relaxed);
        Ok(reached?)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watchers.leave(self.number);
    }
}
