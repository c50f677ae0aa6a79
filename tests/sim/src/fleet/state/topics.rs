//! Topics: their names, their messages, and what they retain.

use super::super::Store;
use super::super::model::{Address, Known, meet};
use super::super::trace::Digest;
use super::{Look, Looked};
use unison_engine::{Message, MessageRequest, TopicFilter};

/// They find everything together: those of the system are found by none of the others.
const EVERYTHING: [&str; 2] = ["#", "$s/#"];

impl Look<'_> {
    pub(super) fn at_topics(&self, digest: &mut Digest) -> Looked {
        for filter in EVERYTHING {
            let detail = self.at_messages(filter, digest)?.or(self.at_names(filter)?);
            if detail.is_some() {
                return Ok(detail);
            }
        }
        Ok(None)
    }

    pub(super) fn at_filter(&self, filter: &str) -> Looked {
        self.at_messages(filter, &mut Digest::default())
    }

    fn at_messages(&self, text: &str, digest: &mut Digest) -> Looked {
        let Ok(filter) = TopicFilter::new(text) else { return Ok(None) };
        let mut due = self.model.messages(self.at).filter(|known| meet(text, known.to));
        for message in self.snapshot.messages(MessageRequest::all(&filter))? {
            let message = message?;
            digest.take(message.topic.as_bytes());
            digest.take(message.payload());
            if due.next().is_none_or(|known| !is(known, &message)) {
                let (topic, at) = (&message.topic, message.at);
                return Ok(Some(format!("{at:?} to {topic} at {:?} is not due", self.at)));
            }
        }
        if let Some(known) = due.next() {
            let (to, id) = (known.to, known.id);
            return Ok(Some(format!("{id:?} to {to} is missing at {:?}", self.at)));
        }
        self.at_retained(text, &filter)
    }

    fn at_retained(&self, text: &str, filter: &TopicFilter) -> Looked {
        let mut due = self.model.retained(self.at).filter(|known| meet(text, known.to));
        for message in self.snapshot.retained(filter, None)? {
            let message = message?;
            if due.next().is_none_or(|known| !is(known, &message)) {
                let (topic, at) = (&message.topic, message.at);
                return Ok(Some(format!("{at:?} retained by {topic} at {:?} is not due", self.at)));
            }
        }
        let missing = due.next().map(|known| (known.to, known.id));
        Ok(missing.map(|(to, id)| format!("{id:?}, retained by {to}, is missing at {:?}", self.at)))
    }

    fn at_names(&self, text: &str) -> Looked {
        let Ok(filter) = TopicFilter::new(text) else { return Ok(None) };
        let mut due = self.model.topics(self.at).filter(|name| meet(text, name));
        for topic in self.snapshot.topics(&filter, None)? {
            let topic = topic?;
            if due.next() != Some(&topic.name) {
                return Ok(Some(format!("topic {} at {:?} is not due", topic.name, self.at)));
            }
        }
        Ok(due.next().map(|name| format!("topic {name} is missing at {:?}", self.at)))
    }
}

fn is(known: &Known, message: &Message<Store>) -> bool {
    let expires_at = message.expires_at.unwrap_or(0);
    let at = (message.at.time_ms, message.at.id(), expires_at);
    (known.time_ms, known.id, known.expires_at) == at
        && known.to == &*message.topic
        && (known.address == Address::Patterns) == message.is_pattern
        && known.payload[..] == *message.payload()
}
