//! What a client has subscribed to, without I/O: channels and patterns, and which of them an event of
//! a namespace goes to.
//!
//! A topic is a channel of its name, and its messages are the channel's. One that was published to a
//! pattern goes to the channels by name that the pattern matches. Keyspace notifications, as Redis has them when all are switched on:
//!
//! ```text
//! __keyspace@0__:<key>     the message is what happened: set, del, hset, hdel, expire, persist
//! __keyevent@0__:<event>   the message is the key
//! ```

use crate::glob;
use crate::output::Output;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::limits::KEY_MAX;
use unison_engine::{Change, ChangeKind, ChangeModel, TopicFilter};

/// Most channels and patterns of one connection.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;
/// Longest channel or pattern, bytes.
pub const CHANNEL_BYTES_MAX: usize = 2 * KEY_MAX;

const KEYSPACE: &[u8] = b"__keyspace@0__:";
const KEYEVENT: &[u8] = b"__keyevent@0__:";

/// A channel by its name, or all that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By name.
    Channel,
    /// By pattern.
    Pattern,
}

impl Sort {
    const fn word(self, begins: bool) -> &'static str {
        match (self, begins) {
            (Self::Channel, true) => "subscribe",
            (Self::Channel, false) => "unsubscribe",
            (Self::Pattern, true) => "psubscribe",
            (Self::Pattern, false) => "punsubscribe",
        }
    }
}

/// Why a subscription is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Too many of them.
    #[error("a connection has at most {SUBSCRIPTIONS_MAX} channels and patterns")]
    TooMany,
    /// Too long a name.
    #[error("a channel has at most {CHANNEL_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
}

/// Channels and patterns of one connection, each with the newest record that it is not told of.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeMap<Vec<u8>, Lsn>,
    patterns: BTreeMap<Vec<u8>, Lsn>,
    scratch: Vec<u8>,
}

impl Subscriptions {
    const fn of(&mut self, sort: Sort) -> &mut BTreeMap<Vec<u8>, Lsn> {
        match sort {
            Sort::Channel => &mut self.channels,
            Sort::Pattern => &mut self.patterns,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All names of one sort.
    pub fn names(&self, sort: Sort) -> impl Iterator<Item = &[u8]> {
        let names = match sort {
            Sort::Channel => &self.channels,
            Sort::Pattern => &self.patterns,
        };
        names.keys().map(Vec::as_slice)
    }

    /// Adds one, which is told of records above `from`, and answers. True when it is new.
    ///
    /// # Errors
    /// A limit is passed; nothing changed.
    pub fn add(
        &mut self,
        sort: Sort,
        name: &[u8],
        from: Lsn,
        output: &mut Output,
    ) -> Result<bool, SubscribeError> {
        if name.len() > CHANNEL_BYTES_MAX {
            return Err(SubscribeError::TooLong(name.len()));
        }
        let new = !self.of(sort).contains_key(name);
        if new && self.len() >= SUBSCRIPTIONS_MAX {
            return Err(SubscribeError::TooMany);
        }
        if new {
            self.of(sort).insert(name.to_vec(), from);
        }
        self.answer(sort, true, Some(name), output);
        Ok(new)
    }

    /// Takes one away, and answers. True when it was there.
    pub fn remove(&mut self, sort: Sort, name: &[u8], output: &mut Output) -> bool {
        let removed = self.of(sort).remove(name).is_some();
        self.answer(sort, false, Some(name), output);
        removed
    }

    /// Answers that there was nothing to take away.
    pub fn answer_none(&self, sort: Sort, output: &mut Output) {
        self.answer(sort, false, None, output);
    }

    fn answer(&self, sort: Sort, begins: bool, name: Option<&[u8]>, output: &mut Output) {
        output.push(3);
        output.bulk(sort.word(begins).as_bytes());
        match name {
            Some(name) => output.bulk(name),
            None => output.null(),
        }
        output.count(self.len() as u64);
    }

    /// Puts what is due for an event into the output: a message for each channel that it goes to, and
    /// for each pattern that matches one.
    pub fn tell(&mut self, change: &Change<'_>, output: &mut Output) {
        if change.kind == ChangeKind::Publish {
            return self.tell_message(change, output);
        }
        let Some(event) = event(change) else { return };
        self.publish(KEYSPACE, change.key, event.as_bytes(), change.id.lsn, output);
        self.publish(KEYEVENT, event.as_bytes(), change.key, change.id.lsn, output);
    }

    fn tell_message(&mut self, change: &Change<'_>, output: &mut Output) {
        // One that cannot be opened here is told to nobody.
        let Some(payload) = change.value() else { return };
        if !change.is_of_pattern {
            return self.publish(&[], change.key, payload, change.id.lsn, output);
        }
        let pattern = str::from_utf8(change.key).ok().and_then(|text| TopicFilter::new(text).ok());
        let Some(pattern) = pattern else { return };
        for (channel, from) in &self.channels {
            let matches = str::from_utf8(channel).is_ok_and(|channel| pattern.matches(channel));
            if matches && change.id.lsn > *from {
                push_message(channel, payload, output);
            }
        }
    }

    fn publish(&mut self, head: &[u8], tail: &[u8], message: &[u8], lsn: Lsn, output: &mut Output) {
        let Self { channels, patterns, scratch } = self;
        scratch.clear();
        scratch.extend_from_slice(head);
        scratch.extend_from_slice(tail);
        if channels.get(scratch).is_some_and(|from| lsn > *from) {
            push_message(scratch, message, output);
        }
        for (pattern, _) in patterns.iter().filter(|(_, from)| lsn > **from) {
            if glob::matches(pattern, scratch) {
                output.push(4);
                output.bulk(b"pmessage");
                output.bulk(pattern);
                output.bulk(scratch);
                output.bulk(message);
            }
        }
    }
}

fn push_message(channel: &[u8], message: &[u8], output: &mut Output) {
    output.push(3);
    output.bulk(b"message");
    output.bulk(channel);
    output.bulk(message);
}

/// What Redis calls an event.
fn event(change: &Change<'_>) -> Option<&'static str> {
    Some(match (change.model, change.kind) {
        (ChangeModel::Row, ChangeKind::Put) => "hset",
        (_, ChangeKind::Put) => "set",
        (_, ChangeKind::DeleteColumns) => "hdel",
        (ChangeModel::Topic, _) => return None,
        (_, ChangeKind::Delete | ChangeKind::DeleteRow) => "del",
        (_, ChangeKind::Expire) if change.expires_at.is_none() => "persist",
        (_, ChangeKind::Expire) => "expire",
        _ => return None,
    })
}
