//! Which events somebody wants.

use super::{Change, ChangeKind};
use crate::models::topic::name::TopicFilter;
use alloc::boxed::Box;

/// A model of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeModel {
    /// Keys and values.
    Kv,
    /// Rows of columns.
    Row,
    /// Large objects.
    Object,
    /// Messages of topics.
    Topic,
}

impl ChangeModel {
    /// Every model.
    pub const ALL: [Self; 4] = [Self::Kv, Self::Row, Self::Object, Self::Topic];

    /// Its name in texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Row => "row",
            Self::Object => "lob",
            Self::Topic => "topic",
        }
    }

    /// The model of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Kv => 1,
            Self::Row => 2,
            Self::Topic => 4,
            Self::Object => 8,
        }
    }
}

/// A set of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Models(u8);

impl Models {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them, those of later versions too.
    pub const ALL: Self = Self(u8::MAX);

    /// These and one more.
    #[must_use]
    pub const fn with(self, model: ChangeModel) -> Self {
        Self(self.0 | model.bit())
    }

    /// Whether a model is among them.
    #[must_use]
    pub const fn contains(self, model: ChangeModel) -> bool {
        self.0 & model.bit() != 0
    }
}

/// Which events a watcher wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFilter {
    /// What keys begin with; empty for all.
    pub prefix: Box<[u8]>,
    /// Of which models.
    pub models: Models,
    /// Of which topics; `None` for all. A message to a pattern is told of when a topic can be of both.
    pub topics: Option<TopicFilter>,
}

impl Default for ChangeFilter {
    fn default() -> Self {
        Self { prefix: Box::default(), models: Models::ALL, topics: None }
    }
}

impl ChangeFilter {
    pub(super) fn wants(&self, change: &Change<'_>) -> bool {
        if change.kind == ChangeKind::ExpiredTo {
            return [ChangeModel::Kv, ChangeModel::Row]
                .iter()
                .any(|model| self.models.contains(*model));
        }
        let wanted = self.models.contains(change.model) && change.key.starts_with(&self.prefix);
        wanted && (change.model != ChangeModel::Topic || self.wants_topic(change))
    }

    fn wants_topic(&self, change: &Change<'_>) -> bool {
        let (Some(filter), Ok(name)) = (&self.topics, str::from_utf8(change.key)) else {
            return self.topics.is_none();
        };
        if change.is_of_pattern {
            return TopicFilter::new(name).is_ok_and(|pattern| filter.overlaps(&pattern));
        }
        filter.matches(name)
    }
}
