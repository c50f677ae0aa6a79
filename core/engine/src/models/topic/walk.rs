//! From one name that exists to the next one that a filter may find: levels that cannot match are
//! passed over with one look, however many names are below them.

use super::key::{KeyKind, levels};
use super::name::{Level, TopicFilter, is_of_system};
use crate::models::successor;
use alloc::vec::Vec;

/// The byte behind every end of a level: everything below that level sorts before it.
const BEHIND_LEVEL: u8 = 1;
/// The first byte of a name that is behind all names of the system.
const BEHIND_SYSTEM: u8 = b'%';

/// A filter over the keys of names.
pub(crate) struct Walk<'a> {
    kind: KeyKind,
    levels: Vec<Level<'a>>,
}

/// Where to look next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At the key that follows.
    Following,
    /// At the first key from here on.
    From(Vec<u8>),
    /// Nowhere.
    End,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(kind: KeyKind, filter: &'a TopicFilter) -> Self {
        Self { kind, levels: filter.levels().collect() }
    }

    /// What every key that the filter finds begins with.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        let mut key = self.kind.prefix().to_vec();
        for level in &self.levels {
            let Level::Literal(literal) = level else { break };
            push(&mut key, literal);
        }
        key
    }

    /// The first key behind them.
    pub(crate) fn end(&self) -> Vec<u8> {
        successor(&self.prefix())
    }

    /// Whether the filter finds the name of a key, and where the next one may be. A key that is no
    /// name is passed over.
    pub(crate) fn look(&self, key: &[u8]) -> (bool, Next) {
        let Some(names) = levels(self.kind, key) else { return (false, Next::Following) };
        let mut passed: Vec<&str> = Vec::new();
        let mut names = names.fuse();
        for &wanted in &self.levels {
            let name = names.next();
            if passed.is_empty() && self.is_blind(name.unwrap_or_default()) {
                let behind = [&self.kind.prefix()[..], &[BEHIND_SYSTEM]].concat();
                return (false, Next::From(behind));
            }
            match (wanted, name) {
                (Level::Rest, _) => return (true, Next::Following),
                (Level::Literal(literal), Some(name)) if name < literal => {
                    return (false, Next::From(self.below(&passed, literal)));
                }
                (Level::Literal(literal), Some(name)) if name > literal => {
                    return (false, self.behind(&passed));
                }
                (Level::Literal(literal), None) => {
                    return (false, Next::From(self.below(&passed, literal)));
                }
                (Level::One, None) => return (false, Next::Following),
                (_, Some(name)) => passed.push(name),
            }
        }
        (names.next().is_none(), self.behind(&passed))
    }

    /// Leading wildcards do not see names of the system.
    fn is_blind(&self, first: &str) -> bool {
        !matches!(self.levels.first(), Some(Level::Literal(_))) && is_of_system(first)
    }

    /// The key of a level below others.
    fn below(&self, passed: &[&str], literal: &str) -> Vec<u8> {
        let mut key = self.kind.prefix().to_vec();
        passed.iter().for_each(|level| push(&mut key, level));
        push(&mut key, literal);
        key
    }

    /// Behind everything below the last of these levels that may be another one.
    fn behind(&self, passed: &[&str]) -> Next {
        let free = self.levels.iter().take(passed.len()).rposition(|level| *level == Level::One);
        let Some((last, before)) =
            free.and_then(|free| passed.get(..=free)).and_then(<[_]>::split_last)
        else {
            return Next::End;
        };
        let mut key = self.below(before, last);
        key.pop();
        key.push(BEHIND_LEVEL);
        Next::From(key)
    }
}

fn push(key: &mut Vec<u8>, level: &str) {
    key.extend_from_slice(level.as_bytes());
    key.push(0);
}
