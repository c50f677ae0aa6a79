//! What a namespace says about its topics: how long messages live, how many a topic keeps, and in
//! which form they are stored.

use super::name::{Level, TopicFilter};
use super::trie::TopicTrie;
use crate::errors::SettingsError;
use alloc::vec::Vec;
use core::cmp::Ordering;
use unison_base::Lsn;
use unison_base::limits::{KEEP_LAST_MAX, TOPIC_RULES_BYTES_MAX, TOPIC_RULES_MAX};

/// As a time to live: never.
pub const FOREVER: u64 = u64::MAX;
/// As a number of messages to keep: all of them.
pub const KEEP_ALL: u32 = u32::MAX;

/// The settings of a namespace's topics. They are a record of the log, so all replicas have the same,
/// and one that is promoted goes on with them. They hold for what is published from then on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// How long a message lives that does not say so itself and of which no rule does, milliseconds;
    /// `None`: for ever.
    pub ttl_ms: Option<u64>,
    /// How messages are compressed; one that is hardly smaller then is stored as it is.
    pub compression: Compression,
    /// How messages are sealed. Their topics, times and sizes are not hidden.
    pub encryption: Encryption,
    /// Rules for some of the topics, in any order.
    pub rules: Vec<TopicRule>,
}

/// A way to compress messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// LZ4 blocks.
    Lz4,
}

/// A way to seal messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear.
    #[default]
    None,
    /// ChaCha20-Poly1305, with a key for each time that a writer opens the namespace.
    ChaCha20Poly1305,
}

/// What holds for the topics that a filter finds, and for the patterns of which it finds every topic.
/// Of several rules that say something about the same topic the one counts whose filter is closest:
/// level by level a name is closer than `+`, and `+` than `#`. So the longest prefix wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics; those below `a/b`, and itself, are `a/b/#`.
    pub filter: TopicFilter,
    /// How long a message lives that does not say so itself, milliseconds, or [`FOREVER`]; `None`: what
    /// another rule says.
    pub ttl_ms: Option<u64>,
    /// How many messages of each of the topics are there, the newest, or [`KEEP_ALL`]; `None`: what
    /// another rule says.
    pub keep_last: Option<u32>,
}

/// Refuses settings that break a limit.
pub(crate) fn check(settings: &TopicSettings) -> Result<(), SettingsError> {
    let rules = &settings.rules;
    if rules.len() > TOPIC_RULES_MAX {
        return Err(SettingsError::Rules { rules: rules.len(), limit: TOPIC_RULES_MAX });
    }
    let bytes = rules.iter().map(|rule| rule.filter.as_str().len()).sum();
    if bytes > TOPIC_RULES_BYTES_MAX {
        return Err(SettingsError::Bytes { bytes, limit: TOPIC_RULES_BYTES_MAX });
    }
    let mut ttls = rules.iter().map(|rule| rule.ttl_ms).chain([settings.ttl_ms]);
    if ttls.any(|ttl| ttl == Some(0)) {
        return Err(SettingsError::Ttl);
    }
    let kept = |rule: &TopicRule| match rule.keep_last {
        Some(count) => (1..=KEEP_LAST_MAX).contains(&count) || count == KEEP_ALL,
        None => true,
    };
    if !rules.iter().all(kept) {
        return Err(SettingsError::KeepLast { limit: KEEP_LAST_MAX });
    }
    let mut filters: Vec<&TopicFilter> = rules.iter().map(|rule| &rule.filter).collect();
    filters.sort_unstable();
    match filters.windows(2).any(|pair| pair.first() == pair.last()) {
        true => Err(SettingsError::Twice),
        false => Ok(()),
    }
}

/// A topic, or a pattern that messages are published to.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Topic(&'a str),
    Pattern(&'a str),
}

/// Settings, ready to be asked.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// The record that has them; [`Lsn::ZERO`] where none has.
    pub(crate) lsn: Lsn,
    /// The closest rules first.
    settings: TopicSettings,
    /// Places among the rules.
    topics: TopicTrie<u16>,
}

impl Rules {
    pub(crate) fn new(lsn: Lsn, mut settings: TopicSettings) -> Self {
        settings.rules.sort_by(|one, other| closer(&one.filter, &other.filter));
        let mut topics = TopicTrie::default();
        for (place, rule) in (0_u16..).zip(&settings.rules) {
            topics.insert(&rule.filter, place);
        }
        Self { lsn, settings, topics }
    }

    pub(crate) fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    /// How long a message lives that does not say so itself; `None`: for ever.
    pub(crate) fn ttl_ms(&self, target: Target<'_>) -> Option<u64> {
        let ruled = self.closest(target, |rule| rule.ttl_ms);
        ruled.or(self.settings.ttl_ms).filter(|ttl_ms| *ttl_ms != FOREVER)
    }

    /// How many messages a topic, or the stream of a pattern, keeps; `None`: all.
    pub(crate) fn keep_last(&self, target: Target<'_>) -> Option<u32> {
        self.closest(target, |rule| rule.keep_last).filter(|count| *count != KEEP_ALL)
    }

    /// Whether any rule says how many messages are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.settings.rules.iter().any(|rule| rule.keep_last.is_some())
    }

    /// What the closest rule says that says something.
    fn closest<T>(&self, target: Target<'_>, said: impl Fn(&TopicRule) -> Option<T>) -> Option<T> {
        let rules = &self.settings.rules;
        let rule = match target {
            Target::Topic(name) => {
                let mut first = usize::MAX;
                self.topics.matching(name, |&place| {
                    let place = usize::from(place);
                    if place < first && rules.get(place).and_then(&said).is_some() {
                        first = place;
                    }
                });
                rules.get(first)
            }
            Target::Pattern(text) => {
                let pattern = TopicFilter::new(text).ok()?;
                rules.iter().find(|rule| said(rule).is_some() && rule.filter.covers(&pattern))
            }
        };
        rule.and_then(said)
    }
}

/// The order of filters that find the same topic: the closest first.
fn closer(one: &TopicFilter, other: &TopicFilter) -> Ordering {
    let distance = |level: Level<'_>| match level {
        Level::Literal(_) => 0_u8,
        Level::One => 1,
        Level::Rest => 2,
    };
    let order = one.levels().map(distance).cmp(other.levels().map(distance));
    order.then_with(|| one.cmp(other))
}
