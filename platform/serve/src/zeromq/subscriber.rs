//! What one subscriber listens to, and where it is in each namespace.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use unison_base::{Lsn, NamespaceName};
use unison_engine::{ChangeFilter, ChangeId, ChangeModel, Reached};
use unison_linux::store::Namespace;

use super::event::{push_message, topic};
use super::protocol::Frame;
use crate::node::Node;
use crate::watch::{Ended, TooManyWatchers, Watcher};

/// Most prefixes of one subscriber.
const PREFIXES_MAX: usize = 1_024;
/// Longest prefix that is kept: no topic is longer.
const PREFIX_BYTES_MAX: usize = unison_base::limits::NAMESPACE_NAME_MAX + 16;

/// Why a subscriber is not served any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SubscriberError {
    #[error("more than {PREFIXES_MAX} subscriptions")]
    TooManyPrefixes,
    #[error(transparent)]
    TooManyWatchers(#[from] TooManyWatchers),
    #[error(transparent)]
    Ended(Ended),
}

/// One subscriber.
pub(super) struct Subscriber {
    node: Arc<Node>,
    /// Each with how often it was asked for.
    prefixes: BTreeMap<Vec<u8>, usize>,
    watched: BTreeMap<NamespaceName, Watched>,
    /// Namespaces that are made from now on are heard from their beginning.
    knows_namespaces: bool,
}

struct Watched {
    namespace: Arc<Namespace>,
    watcher: Watcher,
    /// For each model its topic, while it is listened to.
    topics: [Option<String>; ChangeModel::ALL.len()],
}

impl Subscriber {
    pub(super) fn new(node: Arc<Node>) -> Self {
        let (prefixes, watched) = (BTreeMap::new(), BTreeMap::new());
        Self { node, prefixes, watched, knows_namespaces: false }
    }

    /// Takes a message of the subscriber: 1 and a prefix to listen to, or 0 and one to forget.
    pub(super) fn take(&mut self, message: Frame<'_>) -> Result<(), SubscriberError> {
        match message.body.split_first() {
            Some((1, prefix)) if prefix.len() <= PREFIX_BYTES_MAX => {
                *self.prefixes.entry(prefix.to_vec()).or_default() += 1;
                if self.prefixes.len() > PREFIXES_MAX {
                    return Err(SubscriberError::TooManyPrefixes);
                }
            }
            Some((0, prefix)) => {
                if let Some(count) = self.prefixes.get_mut(prefix) {
                    *count -= 1;
                    if *count == 0 {
                        self.prefixes.remove(prefix);
                    }
                }
            }
            _ => return Ok(()),
        }
        self.knows_namespaces = false;
        self.watch()
    }

    /// Has a cursor in every namespace that is listened to, and in no other.
    pub(super) fn watch(&mut self) -> Result<(), SubscriberError> {
        let first_time = !std::mem::replace(&mut self.knows_namespaces, true);
        let mut watched = std::mem::take(&mut self.watched);
        for namespace in self.node.store.list() {
            let topics = self.topics(namespace.name());
            if topics.iter().all(Option::is_none) {
                continue;
            }
            let known = watched.remove(namespace.name());
            let known = known.filter(|known| Arc::ptr_eq(&known.namespace, &namespace));
            let watched = match known {
                Some(known) => Watched { topics, ..known },
                None => self.begin(namespace, topics, first_time)?,
            };
            self.watched.insert(watched.namespace.name().clone(), watched);
        }
        Ok(())
    }

    fn begin(
        &self,
        namespace: Arc<Namespace>,
        topics: [Option<String>; ChangeModel::ALL.len()],
        from_now: bool,
    ) -> Result<Watched, SubscriberError> {
        let now = ChangeId::whole(namespace.reader().applied());
        let has_all = namespace.log().first() <= Lsn::FIRST;
        let behind = if from_now || !has_all { now } else { ChangeId::default() };
        let watchers = &self.node.watchers;
        let watcher = watchers.watch(&namespace, ChangeFilter::default(), behind)?;
        Ok(Watched { namespace, watcher, topics })
    }

    fn topics(&self, name: &NamespaceName) -> [Option<String>; ChangeModel::ALL.len()] {
        ChangeModel::ALL.map(|model| {
            let topic = topic(name, model.name());
            let starts = |prefix: &Vec<u8>| topic.as_bytes().starts_with(prefix);
            self.prefixes.keys().any(starts).then_some(topic)
        })
    }

    /// Puts messages into the output, about as many as `bytes` holds, of each namespace in its turn.
    pub(super) fn tell(
        &mut self,
        output: &mut Vec<u8>,
        bytes: usize,
    ) -> Result<Reached, SubscriberError> {
        let mut reached = Reached::End;
        let mut gone = false;
        for watched in self.watched.values_mut() {
            if output.len() >= bytes {
                return Ok(Reached::More);
            }
            match watched.tell(output, bytes) {
                Ok(Reached::End) => {}
                Ok(Reached::More) => reached = Reached::More,
                Err(Ended::Gone) => gone = true,
                Err(ended) => {
                    watched.watcher.count_end(&ended);
                    return Err(SubscriberError::Ended(ended));
                }
            }
        }
        if gone {
            self.watch()?;
        }
        Ok(reached)
    }
}

impl Watched {
    fn tell(&mut self, output: &mut Vec<u8>, bytes: usize) -> Result<Reached, Ended> {
        let Self { namespace, watcher, topics } = self;
        watcher.look(&mut |change| {
            let at = ChangeModel::ALL.iter().position(|model| *model == change.model);
            let topic = at.and_then(|at| topics.get(at)).and_then(Option::as_ref);
            if let Some(topic) = topic {
                push_message(topic, namespace.name(), change, output);
            }
            if output.len() < bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }
}
