//! What a namespace holds after each record, computed from the operations alone.

use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_base::prng::Prng;

/// One record.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    Delete(Vec<Vec<u8>>),
}

/// Keys and values.
pub(crate) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Every record, in order of LSN.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Change>);

impl History {
    pub(crate) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    /// The newest record.
    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.0.len() as u64)
    }

    pub(crate) fn truncate(&mut self, last: Lsn) {
        self.0.truncate(usize::try_from(last.0).unwrap());
    }

    /// The content after the record at `lsn`.
    pub(crate) fn content(&self, lsn: Lsn) -> Content {
        let mut content = Content::new();
        for change in &self.0[..usize::try_from(lsn.0).unwrap()] {
            match change {
                Change::Put(entries) => content.extend(entries.iter().cloned()),
                Change::Delete(keys) => keys.iter().for_each(|key| drop(content.remove(key))),
            }
        }
        content
    }
}

/// A random record over a few keys, with values on both sides of the bound for inline ones.
pub(crate) fn change(prng: &mut Prng) -> Change {
    let count = if prng.chance(15) { prng.between(2, 5) } else { 1 };
    let keys: Vec<_> = (0..count).map(|_| format!("key{:02}", prng.below(24)).into()).collect();
    if prng.chance(20) {
        return Change::Delete(keys);
    }
    let value = |prng: &mut Prng| {
        let sizes = [0, 20, 128, 129, 700, 4_000, 14_000];
        let mut value = vec![0; sizes[usize::try_from(prng.below(7)).unwrap()]];
        prng.fill(&mut value);
        value
    };
    Change::Put(keys.into_iter().map(|key| (key, value(prng))).collect())
}
