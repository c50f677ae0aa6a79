//! Which handles are open, so that a rename or a removal takes them along.

use crate::segment::{Held, Place};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentKind};

type Key = (SegmentId, SegmentKind);
type Open = HashMap<Key, Vec<Weak<Place>>>;

/// Places of all handles that were given out and not dropped.
#[derive(Debug, Default)]
pub(super) struct Handles(Mutex<Open>);

/// All handles of one file, held still.
pub(super) struct HeldAll<'a> {
    places: Vec<Held<'a>>,
    now: After,
}

enum After {
    Same,
    Moved(Key),
    Removed,
}

impl HeldAll<'_> {
    /// Makes sure that each can do without the path.
    pub(super) fn keep(&mut self) -> Result<(), IoError> {
        self.places.iter_mut().try_for_each(Held::keep)
    }

    /// The file answers to another path now.
    pub(super) fn moved(&mut self, to: Key, path: &Path) {
        self.places.iter_mut().for_each(|place| place.moved(path));
        self.now = After::Moved(to);
    }

    /// The path is gone, or another file's.
    pub(super) fn removed(&mut self) {
        self.places.iter_mut().for_each(Held::removed);
        self.now = After::Removed;
    }
}

impl Handles {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, key: Key, place: &Arc<Place>) {
        add_to(&mut self.open(), key, place);
    }

    /// Adds what `find` finds; no rename or removal comes between.
    pub(super) fn add_found(
        &self,
        key: Key,
        find: impl FnOnce() -> Result<(u64, Arc<Place>), IoError>,
    ) -> Result<(u64, Arc<Place>), IoError> {
        let mut open = self.open();
        let found = find()?;
        add_to(&mut open, key, &found.1);
        Ok(found)
    }

    /// Makes sure that every handle whose file is there can do without its path.
    pub(super) fn keep_all(&self) -> Result<(), IoError> {
        let open = self.open();
        let places: Vec<_> = open.values().flatten().filter_map(Weak::upgrade).collect();
        let keep = |place: &Arc<Place>| match place.hold().keep() {
            Err(IoError::NotFound) => Ok(()),
            kept => kept,
        };
        places.iter().try_for_each(keep)
    }

    /// Runs `change` while no handle of the file can open its path, and none can be added.
    pub(super) fn while_held(
        &self,
        key: Key,
        change: impl FnOnce(&mut HeldAll<'_>) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        let mut open = self.open();
        let weak = open.remove(&key).unwrap_or_default();
        let places: Vec<_> = weak.iter().filter_map(Weak::upgrade).collect();
        let held = places.iter().map(|place| place.hold()).collect();
        let mut all = HeldAll { places: held, now: After::Same };
        let result = change(&mut all);
        match all.now {
            After::Removed => {}
            After::Same => open.entry(key).or_default().extend(weak),
            After::Moved(to) => open.entry(to).or_default().extend(weak),
        }
        result
    }
}

fn add_to(open: &mut Open, key: Key, place: &Arc<Place>) {
    let places = open.entry(key).or_default();
    places.retain(|place| place.strong_count() > 0);
    places.push(Arc::downgrade(place));
}
