//! Messages of all topics and patterns that a filter reaches, merged in the order of time.

use super::entries::{Content, Entries, until_end};
use super::keys_left::KeysLeft;
use super::rules::{is_kept, kept_from};
use super::seal::epoch_key;
use super::topics::{Names, numbers, trimmed_to};
use super::value::{Found, Pin};
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::At;
use crate::memtable::Direction;
use crate::models::successor;
use crate::models::topic::key::{self, KeyKind, MessagePosition};
use crate::models::topic::name::TopicFilter;
use crate::models::topic::patterns::Patterns;
use crate::models::topic::settings::{Rules, Target};
use crate::records::message_of_entry;
use crate::seal::{Opened, Opener};
use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Bound;
use unison_base::limits::READ_STREAMS_MAX;
use unison_ports::SegmentStore;
use unison_walfs::Slice;

/// Which messages, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct MessageRequest<'a> {
    /// Messages of the topics that it finds, and of the patterns that could find one of those.
    pub filter: &'a TopicFilter,
    /// Not before this time, ms since 1970.
    pub from_ms: u64,
    /// Before this time, ms since 1970.
    pub to_ms: u64,
    /// The newest message first.
    pub newest_first: bool,
    /// Begin behind this one: where a page ended.
    pub after: Option<MessagePosition>,
}

impl<'a> MessageRequest<'a> {
    /// All messages, the oldest first.
    #[must_use]
    pub const fn all(filter: &'a TopicFilter) -> Self {
        let (from_ms, to_ms) = (0, u64::MAX);
        Self { filter, from_ms, to_ms, newest_first: false, after: None }
    }
}

/// How much a read of messages may take.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Most topics and patterns that are merged.
    pub streams: usize,
    /// Most names of topics that a filter with wildcards looks at.
    pub names: usize,
    /// Most keys of messages that are looked at, those that are passed over counted.
    pub keys: usize,
    /// Most bytes of a message, headers included: as it is stored, and as it is unfolded.
    pub message_bytes: usize,
}

impl Default for MessageLimits {
    /// What every reader keeps to.
    fn default() -> Self {
        let all = usize::MAX;
        Self { streams: READ_STREAMS_MAX, names: all, keys: all, message_bytes: all }
    }
}

/// One message.
pub struct Message<S: SegmentStore> {
    /// The topic that it was published to; of a pattern's message, the pattern.
    pub topic: Arc<str>,
    /// Whether it was published to a pattern.
    pub is_pattern: bool,
    /// Time and identity.
    pub at: MessagePosition,
    /// When it expires, ms since 1970.
    pub expires_at: Option<u64>,
    /// Published to become its topic's retained message.
    pub retained: bool,
    body: Body<S>,
}

/// Where headers and payload are.
enum Body<S: SegmentStore> {
    /// In the entry as it is stored.
    Stored(Slice<S>),
    Opened(Opened),
}

impl<S: SegmentStore> Message<S> {
    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Stored(entry) => message_of_entry(entry).map(|message| message.payload()),
            Body::Opened(opened) => Some(opened.payload()),
        }
        .unwrap_or_default()
    }

    /// Names and values, in the order in which they were given.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let (stored, opened) = match &self.body {
            Body::Stored(entry) => (message_of_entry(entry), None),
            Body::Opened(opened) => (None, Some(opened)),
        };
        let stored = stored.into_iter().flat_map(|message| message.headers());
        stored.chain(opened.into_iter().flat_map(|opened| opened.headers()))
    }

    /// The message with its value.
    pub(super) fn load(
        (pin, opener, bytes_max): (&Arc<Pin<S>>, &mut Opener, usize),
        (topic, is_pattern): (&Arc<str>, bool),
        (at, found): (MessagePosition, Found<S>),
    ) -> Result<Self, ReadError> {
        let entry = found.lazy(pin);
        if entry.len() > bytes_max {
            return Err(ReadError::MessageSize { bytes: entry.len(), limit: bytes_max });
        }
        let entry = entry.into_bytes()?;
        let corrupt = TreeError::Corrupt { table: TreeTable::Data };
        let message = message_of_entry(&entry).ok_or(corrupt)?;
        let expires_at = (message.expires_at > 0).then_some(message.expires_at);
        let (topic, retained) = (Arc::clone(topic), message.retained);
        let opened = opener.open(&message, &at, |epoch| epoch_key(&pin.view, &pin.log, epoch))?;
        let body = opened.map_or(Body::Stored(entry), Body::Opened);
        Ok(Self { topic, is_pattern, at, expires_at, retained, body })
    }
}

/// Iterator over messages of one snapshot. After an error it yields nothing more.
pub struct Messages<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    rules: Arc<Rules>,
    opener: Opener,
    limits: MessageLimits,
    keys: KeysLeft,
    newest_first: bool,
    streams: Vec<Stream<S>>,
    heads: BinaryHeap<Head>,
    ended: bool,
}

/// The messages of one topic or pattern.
struct Stream<S: SegmentStore> {
    topic: Arc<str>,
    is_pattern: bool,
    entries: Entries<S>,
    /// How many more messages may be shown of it, if so many are kept.
    left: Option<u32>,
    /// Until the first message is shown.
    unchecked: Option<Unchecked>,
    next: Option<(MessagePosition, Found<S>)>,
}

/// A stream of which it is not known yet from where on it is kept. To find out is a walk back from its
/// end over as many as are kept, which waits until its first message would be shown.
struct Unchecked {
    id: u64,
    at: At,
    count: u32,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
}

/// Where a stream is; the greatest one comes first.
struct Head {
    at: MessagePosition,
    newest_first: bool,
    stream: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.at.cmp(&other.at).then_with(|| self.stream.cmp(&other.stream));
        if self.newest_first { order } else { order.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl<S: SegmentStore> Messages<S> {
    /// Of no stream yet.
    fn none(
        pin: &Arc<Pin<S>>,
        (rules, opener): (Arc<Rules>, Opener),
        (request, limits): (&MessageRequest<'_>, MessageLimits),
    ) -> Self {
        let (streams, heads) = (Vec::new(), BinaryHeap::new());
        let (pin, ended) = (Arc::clone(pin), false);
        let (keys, newest_first) = (KeysLeft::new(limits.keys), request.newest_first);
        Self { pin, rules, opener, limits, keys, newest_first, streams, heads, ended }
    }

    pub(super) fn new(
        pin: &Arc<Pin<S>>,
        at: At,
        (patterns, rules, opener): (&Patterns, Arc<Rules>, Opener),
        (request, limits): (&MessageRequest<'_>, MessageLimits),
    ) -> Result<Self, ReadError> {
        let mut messages = Self::none(pin, (rules, opener), (request, limits));
        messages.add_topics(at, request)?;
        let mut found = Vec::new();
        patterns.overlapping(request.filter, |id, text| found.push((id, Arc::clone(text))));
        for (id, text) in found {
            messages.add(at, request, id, (text.as_str().into(), true))?;
        }
        Ok(messages)
    }

    /// Of these topics, and patterns (`true`), alone.
    pub(super) fn of<'a>(
        pin: &Arc<Pin<S>>,
        at: At,
        (rules, opener): (Arc<Rules>, Opener),
        streams: impl Iterator<Item = (&'a str, bool)>,
        (request, limits): (&MessageRequest<'_>, MessageLimits),
    ) -> Result<Self, ReadError> {
        let mut messages = Self::none(pin, (rules, opener), (request, limits));
        for stream in streams {
            messages.add_named(at, request, stream)?;
        }
        Ok(messages)
    }

    /// A topic or a pattern that may not be there.
    fn add_named(
        &mut self,
        at: At,
        request: &MessageRequest<'_>,
        (name, is_pattern): (&str, bool),
    ) -> Result<(), ReadError> {
        let kind = if is_pattern { KeyKind::Text } else { KeyKind::Name };
        match numbers(&self.pin.view, &key::name(kind, name), at.lsn)? {
            Some((_, id, _)) => self.add(at, request, id, (name.into(), is_pattern)),
            None => Ok(()),
        }
    }

    fn add_topics(&mut self, at: At, request: &MessageRequest<'_>) -> Result<(), ReadError> {
        let filter = request.filter;
        if filter.is_topic() {
            return self.add_named(at, request, (filter.as_str(), false));
        }
        let names = Names::new(&self.pin, at, (KeyKind::Name, filter), None)?;
        let mut names = names.within(self.limits.names);
        while let Some(topic) = names.next(filter)? {
            self.add(at, request, topic.id, (topic.name.into(), false))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        at: At,
        request: &MessageRequest<'_>,
        id: u64,
        (topic, is_pattern): (Arc<str>, bool),
    ) -> Result<(), ReadError> {
        let (low, high) = bounds(id, request, trimmed_to(&self.pin.view, id, at.lsn)?);
        let target = if is_pattern { Target::Pattern(&topic) } else { Target::Topic(&topic) };
        let kept = self.rules.keep_last(target);
        // Whoever reads the newest ones first counts them meanwhile.
        let counts = request.newest_first && request.after.is_none() && request.to_ms == u64::MAX;
        let left = kept.filter(|_| counts);
        let direction = if self.newest_first { Direction::Backward } else { Direction::Forward };
        let pin = Arc::clone(&self.pin);
        let entries = Entries::new(pin, at, (low.clone(), high.clone()), direction)?;
        let unchecked = kept.filter(|_| !counts);
        let unchecked = unchecked.map(|count| Unchecked { id, at, count, low, high });
        let mut stream = Stream { topic, is_pattern, entries, left, unchecked, next: None };
        if !stream.advance(&mut self.keys)? {
            return Ok(());
        }
        let limit = self.limits.streams;
        if self.streams.len() >= limit {
            return Err(ReadError::Streams { limit });
        }
        self.streams.push(stream);
        self.push_head(self.streams.len().saturating_sub(1));
        Ok(())
    }

    fn push_head(&mut self, stream: usize) {
        let next = self.streams.get(stream).and_then(|stream| stream.next.as_ref());
        if let Some((at, _)) = next {
            self.heads.push(Head { at: *at, newest_first: self.newest_first, stream });
        }
    }

    fn next_message(&mut self) -> Result<Option<Message<S>>, ReadError> {
        while let Some(head) = self.heads.pop() {
            let Some(stream) = self.streams.get_mut(head.stream) else { continue };
            if stream.passes(&self.pin, &head.at, &mut self.keys)? {
                self.push_head(head.stream);
                continue;
            }
            let Some(next) = stream.next.take() else { continue };
            let topic = (&stream.topic, stream.is_pattern);
            let load = (&self.pin, &mut self.opener, self.limits.message_bytes);
            let message = Message::load(load, topic, next)?;
            stream.advance(&mut self.keys)?;
            self.push_head(head.stream);
            return Ok(Some(message));
        }
        Ok(None)
    }
}

impl<S: SegmentStore> Stream<S> {
    /// Whether the message at hand is not kept any more: the stream has gone on to one that is, or to
    /// its end.
    fn passes(
        &mut self,
        pin: &Arc<Pin<S>>,
        message: &MessagePosition,
        keys: &mut KeysLeft,
    ) -> Result<bool, ReadError> {
        let Some(Unchecked { id, at, count, low, high }) = self.unchecked.take() else {
            return Ok(false);
        };
        let (direction, here) = (self.entries.direction, key::message(id, message));
        let lowest = match (direction, low) {
            (Direction::Backward, Bound::Included(low)) => low,
            _ => here.clone(),
        };
        let first = kept_from(pin, (id, at), (lowest, count), keys)?;
        let (bounds, passes) = match direction {
            Direction::Forward if first == here => return Ok(false),
            Direction::Forward => ((Bound::Included(first), high), true),
            Direction::Backward => {
                let passes = first > here;
                ((Bound::Included(first), Bound::Excluded(here)), passes)
            }
        };
        self.entries = Entries::new(Arc::clone(pin), at, bounds, direction)?;
        if passes {
            self.next = None;
            self.advance(keys)?;
        }
        Ok(passes)
    }

    /// Goes to the next message that is there. False at the end.
    fn advance(&mut self, keys: &mut KeysLeft) -> Result<bool, ReadError> {
        if self.left == Some(0) {
            return Ok(false);
        }
        while let Some(version) = self.entries.step()? {
            keys.look()?;
            let corrupt = TreeError::Corrupt { table: TreeTable::Data };
            let (_, at) = key::message_of(version.key()).ok_or(corrupt)?;
            let (lsn, expiry) = (version.lsn, version.expiry);
            if let Content::Value(place) = version.content {
                self.left = self.left.map(|left| left.saturating_sub(1));
                self.next = Some((at, Found { lsn, expiry, place }));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Lowest and highest key: the tightest of times, trim, and where the page before ended.
fn bounds(
    id: u64,
    request: &MessageRequest<'_>,
    trimmed_to: Vec<u8>,
) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let from = key::from_time(id, request.from_ms).max(trimmed_to);
    let behind = successor(&key::stream(id));
    let to = if request.to_ms == u64::MAX { behind } else { key::from_time(id, request.to_ms) };
    match request.after.map(|at| key::message(id, &at)) {
        Some(after) if request.newest_first => {
            (Bound::Included(from), Bound::Excluded(to.min(after)))
        }
        Some(after) if after >= from => (Bound::Excluded(after), Bound::Excluded(to)),
        _ => (Bound::Included(from), Bound::Excluded(to)),
    }
}

impl<S: SegmentStore> Iterator for Messages<S> {
    type Item = Result<Message<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        until_end(self, |messages| &mut messages.ended, Self::next_message)
    }
}

/// Iterator over the retained messages of topics, in the order of their names. After an error it
/// yields nothing more.
pub struct RetainedMessages<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
    rules: Arc<Rules>,
    opener: Opener,
    names: Names<S>,
    keys: KeysLeft,
    filter: TopicFilter,
    bytes_max: usize,
    ended: bool,
}

impl<S: SegmentStore> RetainedMessages<S> {
    pub(super) fn new(
        pin: &Arc<Pin<S>>,
        at: At,
        (rules, opener): (Arc<Rules>, Opener),
        (filter, after, limits): (&TopicFilter, Option<&str>, MessageLimits),
    ) -> Result<Self, ReadError> {
        let names = Names::new(pin, at, (KeyKind::Name, filter), after)?.within(limits.names);
        let (pin, filter, bytes_max) = (Arc::clone(pin), filter.clone(), limits.message_bytes);
        let keys = KeysLeft::new(limits.keys);
        Ok(Self { pin, at, rules, opener, names, keys, filter, bytes_max, ended: false })
    }

    fn next_message(&mut self) -> Result<Option<Message<S>>, ReadError> {
        while let Some(topic) = self.names.next(&self.filter)? {
            let message = self.retained(topic.id, topic.name)?;
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// The retained message of a topic, if it is still there.
    fn retained(&mut self, id: u64, name: String) -> Result<Option<Message<S>>, ReadError> {
        let (view, key) = (&self.pin.view, key::by_id(KeyKind::Retained, id));
        let Some((lsn, time_ms, index)) = numbers(view, &key, self.at.lsn)? else {
            return Ok(None);
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let at = MessagePosition { time_ms, lsn, index };
        let key = key::message(id, &at);
        if key < trimmed_to(view, id, self.at.lsn)? {
            return Ok(None);
        }
        let Some(found) = view.find(&key, self.at)? else { return Ok(None) };
        if let Some(count) = self.rules.keep_last(Target::Topic(&name))
            && !is_kept(&self.pin, (id, self.at), (&at, count), &mut self.keys)?
        {
            return Ok(None);
        }
        let load = (&self.pin, &mut self.opener, self.bytes_max);
        Ok(Some(Message::load(load, (&name.into(), false), (at, found))?))
    }
}

impl<S: SegmentStore> Iterator for RetainedMessages<S> {
    type Item = Result<Message<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        until_end(self, |messages| &mut messages.ended, Self::next_message)
    }
}

impl<S: SegmentStore> fmt::Debug for Message<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Message");
        debug.field("topic", &self.topic).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for Messages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for RetainedMessages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedMessages").field("filter", &self.filter).finish_non_exhaustive()
    }
}
