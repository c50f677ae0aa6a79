//! The patterns of a namespace that have messages.

use super::name::TopicFilter;
use super::trie::TopicTrie;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use unison_base::limits::PATTERNS_MAX;

/// Most patterns in memory, whatever a log says.
const PATTERNS_KEPT_MAX: usize = 2 * PATTERNS_MAX;

/// Patterns that were learnt since all others were put together, at most.
const RECENT_MAX: usize = 64;

/// All patterns. A copy costs no more however many there are: each new one makes one, for readers keep
/// theirs.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    all_but_recent: Arc<Set>,
    recent: Set,
}

/// Texts by id, and ids by what they find.
#[derive(Clone, Default)]
struct Set {
    texts: BTreeMap<u64, Arc<TopicFilter>>,
    trie: TopicTrie<u64>,
}

impl Set {
    fn insert(&mut self, id: u64, pattern: Arc<TopicFilter>) {
        self.trie.insert(&pattern, id);
        self.texts.insert(id, pattern);
    }
}

impl Patterns {
    /// Adds a pattern, unless its id is known, or there are more than any leader of ours lets there be.
    pub(crate) fn insert(&mut self, id: u64, pattern: TopicFilter) {
        let is_known = self.sets().any(|set| set.texts.contains_key(&id));
        if is_known || self.len() >= PATTERNS_KEPT_MAX {
            return;
        }
        self.recent.insert(id, Arc::new(pattern));
        if self.recent.texts.len() > RECENT_MAX {
            let all = Arc::make_mut(&mut self.all_but_recent);
            for (id, pattern) in core::mem::take(&mut self.recent).texts {
                all.insert(id, pattern);
            }
        }
    }

    fn sets(&self) -> impl Iterator<Item = &Set> {
        [&*self.all_but_recent, &self.recent].into_iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.sets().map(|set| set.texts.len()).sum()
    }

    /// Calls `visit` with id and text of every pattern that could find a topic which the filter
    /// finds: for one topic, of those that find it.
    pub(crate) fn overlapping(
        &self,
        filter: &TopicFilter,
        mut visit: impl FnMut(u64, &Arc<TopicFilter>),
    ) {
        for set in self.sets() {
            set.trie.overlapping(filter, |id| {
                if let Some(text) = set.texts.get(id) {
                    visit(*id, text);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Patterns, RECENT_MAX};
    use crate::models::topic::name::TopicFilter;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::sync::Arc;

    #[test]
    fn each_new_pattern_copies_a_few_of_the_others() {
        let (mut published, mut whole_copies) = (Arc::new(Patterns::default()), 0_usize);
        for id in 1..=2_000_u64 {
            let mut patterns = Patterns::clone(&published);
            patterns.insert(id, TopicFilter::new(&format!("site/{id}/+")).unwrap());
            let shares = Arc::ptr_eq(&patterns.all_but_recent, &published.all_but_recent);
            whole_copies += usize::from(!shares);
            assert!(patterns.recent.texts.len() <= RECENT_MAX);
            published = Arc::new(patterns);
        }
        assert!(whole_copies <= 2_000 / RECENT_MAX, "{whole_copies}");
        assert_eq!(published.len(), 2_000);
        let mut found = BTreeSet::new();
        published.overlapping(&TopicFilter::new("site/+/+").unwrap(), |id, _| {
            assert!(found.insert(id));
        });
        assert!(found.into_iter().eq(1..=2_000));
    }
}
