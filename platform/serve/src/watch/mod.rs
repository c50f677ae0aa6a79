//! Watchers of namespaces, whatever protocol they speak.
//!
//! ```text
//! commit, or a follower's run -> visible -> one call a namespace -> its beat (a task) -> watchers
//!                                                                                         | each reads the log
//!                                                                                         v by its own cursor
//!                                                                                       sockets
//! ```
//!
//! A watcher is a cursor and a filter. A writer only sets a flag; the beat wakes the watchers, and
//! while they are at work further writes are gathered into the next beat; where many watch, it waits a
//! little for more. Watchers who want the same are told the same bytes. A socket that is not read
//! holds up its own watcher alone.

mod beat;
mod parts;
mod watcher;

pub(crate) use parts::Form;
pub(crate) use watcher::{Ended, TextWatcher, Watcher};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beat::Beat;
use prometheus_client::metrics::counter::Counter;
use unison_base::NamespaceName;
use unison_engine::{ChangeFilter, ChangeId};
use unison_linux::store::{Namespace, Store};

use crate::shutdown::Shutdown;

/// Watchers of all protocols at a time, unless told otherwise.
pub(crate) const WATCHERS_DEFAULT: u32 = 4_096;

/// There are as many watchers as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many watchers, the limit is {0} (watchers-max)")]
pub struct TooManyWatchers(pub usize);

/// All watchers of a node.
#[derive(Debug)]
pub(crate) struct Watchers {
    store: Arc<Store>,
    shutdown: Shutdown,
    limit: usize,
    known: Mutex<Known>,
    /// Follows every beat of any namespace.
    #[cfg(feature = "zeromq")]
    any: tokio::sync::watch::Sender<()>,
    /// Events told.
    pub(crate) events: Counter,
    /// Watchers that ended because they could not go on.
    pub(crate) ended: Counter,
}

#[derive(Debug, Default)]
struct Known {
    beats: HashMap<NamespaceName, Arc<Beat>>,
    places: HashMap<u64, Arc<Place>>,
    next: u64,
}

/// Where a watcher is, for those who look from outside.
#[derive(Debug)]
struct Place {
    namespace: Arc<Namespace>,
    lsn: AtomicU64,
}

impl Watchers {
    pub(crate) fn new(store: Arc<Store>, shutdown: Shutdown, limit: u32) -> Arc<Self> {
        Arc::new(Self {
            store,
            shutdown,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            known: Mutex::default(),
            #[cfg(feature = "zeromq")]
            any: tokio::sync::watch::Sender::new(()),
            events: Counter::default(),
            ended: Counter::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watcher of what comes behind an event.
    pub(crate) fn watch(
        self: &Arc<Self>,
        namespace: &Arc<Namespace>,
        filter: ChangeFilter,
        behind: ChangeId,
    ) -> Result<Watcher, TooManyWatchers> {
        self.enter(namespace, filter, behind).map(|(watcher, _)| watcher)
    }

    fn enter(
        self: &Arc<Self>,
        namespace: &Arc<Namespace>,
        filter: ChangeFilter,
        behind: ChangeId,
    ) -> Result<(Watcher, Arc<Beat>), TooManyWatchers> {
        let mut known = self.known();
        if known.places.len() >= self.limit {
            return Err(TooManyWatchers(self.limit));
        }
        let number = known.next;
        known.next += 1;
        let lsn = AtomicU64::new(behind.lsn.0);
        let place = Arc::new(Place { namespace: Arc::clone(namespace), lsn });
        known.places.insert(number, Arc::clone(&place));
        let beat = known.beats.get(namespace.name()).filter(|beat| beat.is_of(namespace)).cloned();
        let beat = beat.unwrap_or_else(|| {
            let beat = Beat::start(self, namespace);
            known.beats.insert(namespace.name().clone(), Arc::clone(&beat));
            beat
        });
        drop(known);
        let changes = namespace.reader().changes(filter, behind);
        Ok((Watcher::new(Arc::clone(self), number, place, &beat, changes), beat))
    }

    /// A watcher who is told texts, which it shares with all others of the same form.
    pub(crate) fn watch_text(
        self: &Arc<Self>,
        namespace: &Arc<Namespace>,
        form: Form,
        behind: ChangeId,
    ) -> Result<TextWatcher, TooManyWatchers> {
        let (watcher, beat) = self.enter(namespace, form.filter.clone(), behind)?;
        Ok(TextWatcher::new(watcher, beat.parts(form)))
    }

    /// Beats of all namespaces that are watched.
    #[cfg(feature = "zeromq")]
    pub(crate) fn all_beats(&self) -> tokio::sync::watch::Receiver<()> {
        self.any.subscribe()
    }

    fn leave(&self, number: u64) {
        self.known().places.remove(&number);
    }

    /// A beat that has ended is not asked for again.
    fn forget(&self, beat: &Arc<Beat>) {
        self.known().beats.retain(|_, known| !Arc::ptr_eq(known, beat));
    }

    /// How many there are, and how many visible records the last of them is behind.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let known = self.known();
        let behind = known.places.values().map(|place| {
            place.namespace.reader().applied().0.saturating_sub(place.lsn.load(Ordering::Relaxed))
        });
        (known.places.len(), behind.max().unwrap_or(0))
    }

    /// Why a beat was the last one.
    fn why(&self, place: &Place) -> Ended {
        let stops = self.shutdown.has_begun() || self.is_present(&place.namespace);
        if stops { Ended::Shutdown } else { Ended::Gone }
    }

    /// Whether a namespace is still the one that its name stands for.
    fn is_present(&self, namespace: &Arc<Namespace>) -> bool {
        let present = self.store.namespace(namespace.name().as_str());
        present.is_some_and(|present| Arc::ptr_eq(&present, namespace))
    }
}
