//! What topics should be: a list of messages, each with what became of it.

use super::{Shown, filter, read, shown};
use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_engine::{MessageId, MessageRequest, Snapshot, TopicFilter, TopicSettings};
use unison_sim::disk::SimStore;

/// One message, whatever became of it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) shown: Shown,
    pub(crate) retain: bool,
    /// The record that deleted or trimmed it.
    pub(crate) removed: Option<Lsn>,
}

/// All that was ever written, in order.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) messages: Vec<Known>,
    /// Names of topics, with the record that defined each.
    pub(crate) topics: BTreeMap<String, Lsn>,
    /// Watermarks of expiry.
    pub(crate) watermarks: Vec<(Lsn, u64)>,
    pub(crate) settings: Vec<(Lsn, TopicSettings)>,
}

/// The state that is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) lsn: Lsn,
    pub(crate) now_ms: u64,
}

impl Model {
    /// Forgets what a cut took.
    pub(crate) fn truncate(&mut self, last: Lsn) {
        self.messages.retain(|known| known.shown.id.lsn <= last);
        for known in &mut self.messages {
            known.removed = known.removed.filter(|lsn| *lsn <= last);
        }
        self.topics.retain(|_, defined| *defined <= last);
        self.watermarks.retain(|(lsn, _)| *lsn <= last);
        self.settings.retain(|(lsn, _)| *lsn <= last);
    }

    fn is_there(&self, known: &Known, at: Moment) -> bool {
        let raised = self.watermarks.iter().filter(|(lsn, _)| *lsn <= at.lsn);
        let watermark = raised.map(|(_, ms)| *ms).max().unwrap_or(0);
        let alive = known.shown.expires_at.is_none_or(|ms| ms > watermark.max(at.now_ms));
        alive && known.shown.id.lsn <= at.lsn && known.removed.is_none_or(|lsn| lsn > at.lsn)
    }

    pub(crate) fn there(&self, at: Moment) -> impl Iterator<Item = &Known> {
        self.messages.iter().filter(move |known| self.is_there(known, at))
    }

    /// The message with an id, if it is there.
    pub(crate) fn find(&mut self, id: MessageId, at: Moment) -> Option<&mut Known> {
        let index = self.messages.iter().position(|known| known.shown.id == id)?;
        self.is_there(&self.messages[index], at).then(|| &mut self.messages[index])
    }

    pub(crate) fn shown(&self, asked: &TopicFilter, at: Moment) -> Vec<Shown> {
        let finds = |known: &&Known| {
            let topic = &known.shown.topic;
            if known.shown.is_pattern {
                asked.overlaps(&filter(topic))
            } else {
                asked.matches(topic)
            }
        };
        let shown = self.visible(at);
        shown.into_iter().filter(finds).map(|known| known.shown.clone()).collect()
    }

    fn retained(&self, asked: &TopicFilter, at: Moment) -> Vec<Shown> {
        let mut newest: BTreeMap<Vec<&str>, &Known> = BTreeMap::new();
        for known in &self.messages {
            let counts = known.retain && !known.shown.is_pattern && known.shown.id.lsn <= at.lsn;
            if counts && asked.matches(&known.shown.topic) {
                newest.insert(known.shown.topic.split('/').collect(), known);
            }
        }
        let visible: Vec<MessageId> = self.visible(at).iter().map(|known| known.shown.id).collect();
        let there = newest.into_values().filter(|known| visible.contains(&known.shown.id));
        there.map(|known| known.shown.clone()).collect()
    }

    fn topics(&self, asked: &TopicFilter, at: Moment, own: &[&str]) -> Vec<String> {
        let known = self.topics.iter().filter(|(_, defined)| **defined <= at.lsn);
        let known = known.map(|(name, _)| name.as_str()).chain(own.iter().copied());
        let mut names: Vec<&str> = known.filter(|name| asked.matches(name)).collect();
        names.sort_by_key(|name| name.split('/').collect::<Vec<_>>());
        names.dedup();
        names.into_iter().map(String::from).collect()
    }

    /// Compares what a filter shows of a snapshot.
    pub(crate) fn check(&self, snapshot: &Snapshot<SimStore>, asked: &TopicFilter, now_ms: u64) {
        self.check_within(snapshot, asked, now_ms, &[]);
    }

    /// The same inside a transaction that has named these topics: its messages have no place yet.
    pub(crate) fn check_within(
        &self,
        snapshot: &Snapshot<SimStore>,
        asked: &TopicFilter,
        now_ms: u64,
        own: &[&str],
    ) {
        let at = Moment { lsn: snapshot.lsn(), now_ms };
        let mut expected = self.shown(asked, at);
        let request = MessageRequest::all(asked);
        assert_eq!(read(snapshot, request), expected, "{asked:?}");
        expected.reverse();
        let newest_first = MessageRequest { newest_first: true, ..request };
        assert_eq!(read(snapshot, newest_first), expected, "{asked:?}");
        let topics = snapshot.topics(asked, None).unwrap().map(|topic| topic.unwrap().name);
        assert_eq!(topics.collect::<Vec<_>>(), self.topics(asked, at, own), "{asked:?}");
        let retained = snapshot.retained(asked, None).unwrap();
        let retained: Vec<Shown> = retained.map(|message| shown(&message.unwrap())).collect();
        assert_eq!(retained, self.retained(asked, at), "{asked:?}");
    }

    /// Compares everything.
    pub(crate) fn check_all(&self, snapshot: &Snapshot<SimStore>, now_ms: u64) {
        for text in ["#", "$s/#", "+/+", "a/#", "x/x", "y/y", "a/b", "b/a"] {
            self.check(snapshot, &filter(text), now_ms);
        }
    }
}
