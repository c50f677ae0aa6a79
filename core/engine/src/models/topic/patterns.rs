//! The patterns of a namespace that have messages.

use super::name::TopicFilter;
use super::trie::TopicTrie;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use unison_base::limits::PATTERNS_MAX;

/// Most patterns in memory, whatever a log says.
const PATTERNS_KEPT_MAX: usize = 2 * PATTERNS_MAX;

/// Texts by id, and ids by what they find.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    texts: BTreeMap<u64, Arc<TopicFilter>>,
    trie: TopicTrie<u64>,
}

impl Patterns {
    /// Adds a pattern, unless its id is known, or there are more than any leader of ours lets there be.
    pub(crate) fn insert(&mut self, id: u64, pattern: TopicFilter) {
        if self.texts.len() < PATTERNS_KEPT_MAX && !self.texts.contains_key(&id) {
            self.trie.insert(&pattern, id);
            self.texts.insert(id, Arc::new(pattern));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Calls `visit` with id and text of every pattern that could find a topic which the filter
    /// finds: for one topic, of those that find it.
    pub(crate) fn overlapping(
        &self,
        filter: &TopicFilter,
        mut visit: impl FnMut(u64, &Arc<TopicFilter>),
    ) {
        self.trie.overlapping(filter, |id| {
            if let Some(text) = self.texts.get(id) {
                visit(*id, text);
            }
        });
    }
}
