//! Filters by level: subscriptions, and the patterns that messages are published to.
//!
//! A node is a level: children by literal, one child for `+`, and the set of filters that end here
//! with `#`. Looking up a topic costs its levels and what it finds, unless filters with `+` in many
//! places share their literals; it never costs more than all nodes. A changed trie shares what did
//! not change with the one before, so readers keep theirs.

use super::name::{Level, TopicFilter, is_of_system};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Filters, each with a value.
#[derive(Clone, Debug)]
pub struct TopicTrie<V> {
    root: Arc<Node<V>>,
    len: usize,
    generation: u64,
}

#[derive(Clone, Debug)]
struct Node<V> {
    literals: Children<V>,
    one: Option<Arc<Node<V>>>,
    /// Filters that end at this level.
    here: Vec<V>,
    /// Filters that end with `#` below it.
    rest: Vec<V>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { literals: Children::default(), one: None, here: Vec::new(), rest: Vec::new() }
    }
}

/// Children by their level. Most nodes have very few: for those a map would take the most memory of
/// all.
#[derive(Clone, Debug)]
enum Children<V> {
    Few(Vec<Child<V>>),
    Many(BTreeMap<Box<str>, Arc<Node<V>>>),
}

type Child<V> = (Box<str>, Arc<Node<V>>);

/// More children than this are found through a map.
const FEW: usize = 8;

impl<V> Default for Children<V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<V> Children<V> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    fn get(&self, level: &str) -> Option<&Arc<Node<V>>> {
        match self {
            Self::Few(few) => few.iter().find(|(own, _)| **own == *level).map(|(_, child)| child),
            Self::Many(many) => many.get(level),
        }
    }

    fn get_mut(&mut self, level: &str) -> Option<&mut Arc<Node<V>>> {
        match self {
            Self::Few(few) => {
                few.iter_mut().find(|(own, _)| **own == *level).map(|(_, child)| child)
            }
            Self::Many(many) => many.get_mut(level),
        }
    }

    /// The child of a level, made when it is not there.
    fn child(&mut self, level: &str) -> &mut Arc<Node<V>> {
        if let Self::Few(few) = self
            && few.len() == FEW
            && few.iter().all(|(own, _)| **own != *level)
        {
            *self = Self::Many(core::mem::take(few).into_iter().collect());
        }
        match self {
            Self::Few(few) => {
                let known = few.iter().position(|(own, _)| **own == *level);
                let child = known.map(|at| few.swap_remove(at));
                few.reserve_exact(1);
                &mut few.push_mut(child.unwrap_or_else(|| (level.into(), Arc::default()))).1
            }
            Self::Many(many) => many.entry(level.into()).or_default(),
        }
    }

    fn remove(&mut self, level: &str) {
        match self {
            Self::Few(few) => few.retain(|(own, _)| **own != *level),
            Self::Many(many) => drop(many.remove(level)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Node<V>>)> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(level, child)| (&**level, child));
        let many = many.into_iter().flatten().map(|(level, child)| (&**level, child));
        few.chain(many)
    }
}

impl<V> Default for TopicTrie<V> {
    fn default() -> Self {
        Self { root: Arc::new(Node::default()), len: 0, generation: 0 }
    }
}

impl<V: Clone + PartialEq> TopicTrie<V> {
    /// Filters in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without filters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Another number after every change: what was found by an older one has to be looked up again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds a filter's value.
    pub fn insert(&mut self, filter: &TopicFilter, value: V) {
        let mut node = Arc::make_mut(&mut self.root);
        for level in filter.levels() {
            let child = match level {
                Level::Rest => {
                    node.rest.push(value);
                    return self.changed(1);
                }
                Level::One => node.one.get_or_insert_default(),
                Level::Literal(literal) => node.literals.child(literal),
            };
            node = Arc::make_mut(child);
        }
        node.here.push(value);
        self.changed(1);
    }

    /// Takes one such value of a filter out. False when it is not there.
    pub fn remove(&mut self, filter: &TopicFilter, value: &V) -> bool {
        let levels: Vec<Level<'_>> = filter.levels().collect();
        let removed = Arc::make_mut(&mut self.root).remove(&levels, value);
        if removed {
            self.changed(-1);
        }
        removed
    }

    fn changed(&mut self, by: isize) {
        self.len = self.len.saturating_add_signed(by);
        self.generation = self.generation.wrapping_add(1);
    }

    /// Calls `visit` with the value of every filter that finds the topic.
    pub fn matching(&self, topic: &str, mut visit: impl FnMut(&V)) {
        let levels: Vec<&str> = topic.split('/').collect();
        let blind = levels.first().is_some_and(|first| is_of_system(first));
        self.root.matching(&levels, blind, &mut visit);
    }

    /// Calls `visit` with the value of every filter that could find a topic that this one finds too.
    pub fn overlapping(&self, filter: &TopicFilter, mut visit: impl FnMut(&V)) {
        let levels: Vec<Level<'_>> = filter.levels().collect();
        self.root.overlapping(&levels, true, &mut visit);
    }
}

impl<V: Clone + PartialEq> Node<V> {
    fn is_empty(&self) -> bool {
        let none = self.here.is_empty() && self.rest.is_empty();
        none && self.literals.is_empty() && self.one.is_none()
    }

    fn remove(&mut self, levels: &[Level<'_>], value: &V) -> bool {
        let (level, below) = match levels.split_first() {
            None => return take(&mut self.here, value),
            Some((Level::Rest, _)) => return take(&mut self.rest, value),
            Some(split) => split,
        };
        let child = match level {
            Level::Literal(literal) => self.literals.get_mut(literal),
            _ => self.one.as_mut(),
        };
        let Some(child) = child.map(Arc::make_mut) else { return false };
        let removed = child.remove(below, value);
        if child.is_empty() {
            match level {
                Level::Literal(literal) => self.literals.remove(literal),
                _ => self.one = None,
            }
        }
        removed
    }

    /// `blind`: what is left begins the name of a topic of the system.
    fn matching(&self, levels: &[&str], blind: bool, visit: &mut impl FnMut(&V)) {
        if !blind {
            self.rest.iter().for_each(&mut *visit);
        }
        let Some((level, below)) = levels.split_first() else {
            return self.here.iter().for_each(visit);
        };
        if let Some(child) = self.literals.get(level) {
            child.matching(below, false, visit);
        }
        if let Some(child) = self.one.as_ref().filter(|_| !blind) {
            child.matching(below, false, visit);
        }
    }

    /// `first`: at the beginning of the names, where wildcards are blind for the system.
    fn overlapping(&self, levels: &[Level<'_>], first: bool, visit: &mut impl FnMut(&V)) {
        let wanted = levels.first();
        let of_system =
            matches!(wanted, Some(Level::Literal(literal)) if first && is_of_system(literal));
        if !of_system {
            self.rest.iter().for_each(&mut *visit);
        }
        let below = levels.get(1..).unwrap_or_default();
        match wanted {
            None => self.here.iter().for_each(visit),
            Some(Level::Literal(literal)) => {
                if let Some(child) = self.literals.get(literal) {
                    child.overlapping(below, false, visit);
                }
                if let Some(child) = self.one.as_ref().filter(|_| !of_system) {
                    child.overlapping(below, false, visit);
                }
            }
            Some(Level::One) => {
                self.seen(first).for_each(|child| child.overlapping(below, false, visit));
            }
            Some(Level::Rest) => {
                self.here.iter().for_each(&mut *visit);
                self.seen(first).for_each(|child| child.overlapping(levels, false, visit));
            }
        }
    }

    /// The children that a wildcard sees.
    fn seen(&self, first: bool) -> impl Iterator<Item = &Arc<Self>> {
        let literals = self.literals.iter();
        let literals = literals.filter(move |(level, _)| !first || !is_of_system(level));
        literals.map(|(_, child)| child).chain(&self.one)
    }
}

fn take<V: PartialEq>(values: &mut Vec<V>, value: &V) -> bool {
    let at = values.iter().position(|other| other == value);
    at.map(|at| values.swap_remove(at)).is_some()
}

/// What a trie found for topics, kept by their ids until the trie changes.
#[derive(Debug)]
pub struct TopicMemo<V> {
    generation: u64,
    found: BTreeMap<u64, Arc<[V]>>,
    limit: usize,
}

impl<V: Clone + PartialEq> TopicMemo<V> {
    /// Keeps the answers for that many topics; when there are more, it begins anew.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { generation: 0, found: BTreeMap::new(), limit }
    }

    /// The values of the filters that find a topic, `name` asked for only when it is not known.
    pub fn matching<N: AsRef<str>>(
        &mut self,
        trie: &TopicTrie<V>,
        topic: u64,
        name: impl FnOnce() -> N,
    ) -> Arc<[V]> {
        if self.generation != trie.generation() || self.found.len() >= self.limit {
            self.found.clear();
            self.generation = trie.generation();
        }
        let find = || {
            let mut values = Vec::new();
            trie.matching(name().as_ref(), |value| values.push(value.clone()));
            values.into()
        };
        Arc::clone(self.found.entry(topic).or_insert_with(find))
    }
}
