//! One watcher.

use std::ops::{ControlFlow, Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use tokio::sync::watch;
use unison_engine::{Change, ChangeFilter, ChangeId, Changes, ChangesError, Reached};
use unison_linux::FileStore;

use super::parts::{Part, Parts};
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

    /// Goes to another place in the log, with an eye for other events.
    pub(crate) fn go_behind(&mut self, event: ChangeId, filter: ChangeFilter) {
        self.changes = self.place.namespace.reader().changes(filter, event);
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
        self.begin_look()?;
        let mut events = 0;
        let reached = self.changes.read(LOOK_BYTES, &mut |change| {
            events += 1;
            visit(change)
        });
        self.changes.rest();
        self.end_look(events);
        Ok(reached?)
    }

    fn begin_look(&mut self) -> Result<(), Ended> {
        match *self.beats.borrow_and_update() {
            true => Err(self.watchers.why(&self.place)),
            false => Ok(()),
        }
    }

    fn end_look(&self, events: u64) {
        self.watchers.events.inc_by(events);
        self.place.lsn.store(self.position().lsn.0, Ordering::Relaxed);
    }
}

/// A watcher who is told texts.
#[derive(Debug)]
pub(crate) struct TextWatcher {
    watcher: Watcher,
    parts: Arc<Parts>,
}

impl TextWatcher {
    pub(super) const fn new(watcher: Watcher, parts: Arc<Parts>) -> Self {
        Self { watcher, parts }
    }

    /// See [`Watcher::look`]. What `write` appends for the events makes a part of about `bytes` bytes,
    /// which may be empty; it is the same for all of the same form.
    pub(crate) fn part(
        &mut self,
        bytes: usize,
        write: &dyn Fn(&Change<'_>, &mut Vec<u8>),
    ) -> Result<(Bytes, Reached), Ended> {
        let watcher = &mut self.watcher;
        watcher.begin_look()?;
        if let Some(part) = self.parts.find(watcher.changes.place()) {
            watcher.changes.go_on_from(&part.to);
            watcher.end_look(part.events);
            // There may be more since then, of which the beat has told already.
            return Ok((part.text, Reached::More));
        }
        let (part, reached) = read(&mut watcher.changes, bytes, write)?;
        watcher.end_look(part.events);
        let text = part.text.clone();
        self.parts.keep(part, Arc::strong_count(&self.parts) - 1);
        Ok((text, reached))
    }
}

/// Reads from where a watcher is. Why it cannot go on is told once nothing comes before it any more.
fn read(
    changes: &mut Changes<FileStore>,
    bytes: usize,
    write: &dyn Fn(&Change<'_>, &mut Vec<u8>),
) -> Result<(Part, Reached), ChangesError> {
    let (from, mut text, mut events) = (changes.place().clone(), Vec::new(), 0);
    let reached = changes.read(LOOK_BYTES, &mut |change| {
        events += 1;
        write(change, &mut text);
        if text.len() < bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    changes.rest();
    let reached = match reached {
        Err(_) if events > 0 => Reached::More,
        reached => reached?,
    };
    let to = changes.place().clone();
    Ok((Part { from, to, text: text.into(), events }, reached))
}

impl Deref for TextWatcher {
    type Target = Watcher;

    fn deref(&self) -> &Watcher {
        &self.watcher
    }
}

impl DerefMut for TextWatcher {
    fn deref_mut(&mut self) -> &mut Watcher {
        &mut self.watcher
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watchers.leave(self.number);
    }
}
