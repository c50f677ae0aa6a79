//! Who listens to what on this server, for `PUBSUB`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use unison_resp::glob;
use unison_resp::subscriptions::Sort;

/// How many connections listen to each channel and to each pattern.
#[derive(Debug, Default)]
pub(super) struct Audience(Mutex<[Counts; 2]>);

type Counts = BTreeMap<Vec<u8>, usize>;

impl Audience {
    fn counts(&self) -> MutexGuard<'_, [Counts; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, sort: Sort, look: impl FnOnce(&mut Counts) -> R) -> R {
        let [channels, patterns] = &mut *self.counts();
        look(if sort == Sort::Channel { channels } else { patterns })
    }

    pub(super) fn enter(&self, sort: Sort, name: &[u8]) {
        self.with(sort, |counts| *counts.entry(name.to_vec()).or_default() += 1);
    }

    pub(super) fn leave(&self, sort: Sort, name: &[u8]) {
        self.with(sort, |counts| {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        });
    }

    /// The names that are listened to.
    pub(super) fn names(&self, sort: Sort, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        self.with(sort, |counts| counts.keys().filter(|name| wanted(name)).cloned().collect())
    }

    /// How many hear what is said on a channel.
    pub(super) fn listeners(&self, channel: &[u8]) -> usize {
        let by_pattern = self.with(Sort::Pattern, |patterns| {
            let heard = patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel));
            heard.map(|(_, count)| count).sum::<usize>()
        });
        self.count(Sort::Channel, channel) + by_pattern
    }

    /// How many listen to one.
    pub(super) fn count(&self, sort: Sort, name: &[u8]) -> usize {
        self.with(sort, |counts| counts.get(name).copied().unwrap_or(0))
    }
}
