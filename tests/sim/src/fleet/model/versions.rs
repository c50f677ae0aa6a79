//! What was under each key after each record.

use super::change::Key;
use std::collections::BTreeMap;
use unison_base::Lsn;

/// Versions of keys, the oldest first; `None` where a key was removed.
#[derive(Debug)]
pub(super) struct Versions<T>(BTreeMap<Key, Vec<(Lsn, Option<T>)>>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Versions<T> {
    /// The record at `lsn` leaves this; what it left before counts no more.
    pub(super) fn put(&mut self, key: &Key, lsn: Lsn, value: Option<T>) {
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), Vec::new());
        }
        let Some(versions) = self.0.get_mut(key) else { return };
        if versions.last().is_some_and(|&(newest, _)| newest == lsn) {
            versions.pop();
        }
        if value.is_some() || versions.last().is_some_and(|(_, before)| before.is_some()) {
            versions.push((lsn, value));
        }
    }

    pub(super) fn newest(&self, key: &[u8]) -> Option<&T> {
        self.at(key, Lsn::MAX).map(|(_, value)| value)
    }

    /// What is there after the record at `lsn`, and the record that wrote it.
    pub(super) fn at(&self, key: &[u8], lsn: Lsn) -> Option<(Lsn, &T)> {
        newest(self.0.get(key)?, lsn)
    }

    /// All keys that are there after the record at `lsn`, in order of keys.
    pub(super) fn all(&self, lsn: Lsn) -> impl Iterator<Item = (&Key, Lsn, &T)> {
        self.0.iter().filter_map(move |(key, versions)| {
            newest(versions, lsn).map(|(lsn, value)| (key, lsn, value))
        })
    }

    /// Forgets what records above `last` left.
    pub(super) fn truncate(&mut self, last: Lsn) {
        for versions in self.0.values_mut() {
            let kept = versions.partition_point(|&(lsn, _)| lsn <= last);
            versions.truncate(kept);
        }
    }
}

fn newest<T>(versions: &[(Lsn, Option<T>)], lsn: Lsn) -> Option<(Lsn, &T)> {
    let at = versions.partition_point(|&(written, _)| written <= lsn);
    let (written, value) = versions.get(at.checked_sub(1)?)?;
    value.as_ref().map(|value| (*written, value))
}
