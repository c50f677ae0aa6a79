//! Names of topics that a filter finds, and what the keys of topics say.

use super::entries::{Content, Entries};
use super::value::{Pin, Place};
use super::view::View;
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::At;
use crate::memtable::{Direction, Entry};
use crate::models::successor;
use crate::models::topic::key::{self, KeyKind, MessageId, MessagePosition};
use crate::models::topic::name::TopicFilter;
use crate::models::topic::number::pair_of;
use crate::models::topic::patterns::Patterns;
use crate::models::topic::walk::{Next, Walk};
use crate::records::{Kind, Record, decode, messages};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;
use unison_walfs::LogReader;

/// Keys that a walk passes over one by one before it looks for the next one anew.
const STEPS_MAX: u32 = 8;

const CORRUPT: TreeError = TreeError::Corrupt { table: TreeTable::Data };

/// Iterator over the names of topics that a filter finds, in the order of their levels. After an
/// error it yields nothing more.
pub struct Topics<S: SegmentStore> {
    names: Names<S>,
    filter: TopicFilter,
}

/// A topic of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicName {
    /// Its name.
    pub name: String,
    pub(crate) id: u64,
}

/// A place among the keys of names.
pub(super) struct Names<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
    kind: KeyKind,
    entries: Entries<S>,
    end: Vec<u8>,
    /// Keys below this one are passed over.
    seek: Option<Vec<u8>>,
    limit: usize,
    looked_at: usize,
    ended: bool,
}

impl<S: SegmentStore> Names<S> {
    /// The names that a filter may find, behind `after`.
    pub(super) fn new(
        pin: &Arc<Pin<S>>,
        at: At,
        (kind, filter): (KeyKind, &TopicFilter),
        after: Option<&str>,
    ) -> Result<Self, ReadError> {
        let walk = Walk::new(kind, filter);
        let (first, end) = (walk.prefix(), walk.end());
        let low = match after.map(|after| key::name(kind, after)) {
            Some(after) if after >= first => Bound::Excluded(after),
            _ => Bound::Included(first),
        };
        let bounds = (low, Bound::Excluded(end.clone()));
        let entries = Entries::new(Arc::clone(pin), at, bounds, Direction::Forward)?;
        let (seek, limit, looked_at) = (None, usize::MAX, 0);
        let pin = Arc::clone(pin);
        Ok(Self { pin, at, kind, entries, end, seek, limit, looked_at, ended: false })
    }

    /// As it is, but it fails when it has looked at so many names.
    pub(super) fn within(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn next(&mut self, filter: &TopicFilter) -> Result<Option<TopicName>, ReadError> {
        let (walk, mut passed) = (Walk::new(self.kind, filter), 0);
        while !self.ended {
            let Some(version) = self.entries.step()? else { break };
            if self.looked_at == self.limit {
                return Err(ReadError::Names { limit: self.limit });
            }
            self.looked_at = self.looked_at.saturating_add(1);
            if let Some(seek) = self.seek.take_if(|seek| version.key() < seek.as_slice()) {
                passed += 1;
                self.pass_to(seek, &mut passed)?;
                continue;
            }
            self.seek = None;
            let (matched, next) = walk.look(version.key());
            match next {
                Next::Following => {}
                Next::From(seek) => self.seek = Some(seek),
                Next::End => self.ended = true,
            }
            if let Content::Value(place) = &version.content
                && matched
            {
                let name = key::text(self.kind, version.key()).ok_or(CORRUPT)?;
                return Ok(Some(TopicName { name, id: pair(place)?.0 }));
            }
        }
        self.ended = true;
        Ok(None)
    }

    fn pass_to(&mut self, seek: Vec<u8>, passed: &mut u32) -> Result<(), ReadError> {
        if *passed > STEPS_MAX {
            let bounds = (Bound::Included(seek), Bound::Excluded(self.end.clone()));
            let pin = Arc::clone(&self.pin);
            self.entries = Entries::new(pin, self.at, bounds, Direction::Forward)?;
            *passed = 0;
        } else {
            self.seek = Some(seek);
        }
        Ok(())
    }
}

impl<S: SegmentStore> Topics<S> {
    pub(super) fn new(
        pin: &Arc<Pin<S>>,
        at: At,
        filter: &TopicFilter,
        (after, limit): (Option<&str>, usize),
    ) -> Result<Self, ReadError> {
        let names = Names::new(pin, at, (KeyKind::Name, filter), after)?.within(limit);
        Ok(Self { names, filter: filter.clone() })
    }
}

impl<S: SegmentStore> Iterator for Topics<S> {
    type Item = Result<TopicName, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let topic = self.names.next(&self.filter).transpose();
        self.names.ended |= !matches!(topic, Some(Ok(_)));
        topic
    }
}

impl<S: SegmentStore> fmt::Debug for Topics<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("filter", &self.filter).finish_non_exhaustive()
    }
}

fn pair<S: SegmentStore>(place: &Place<S>) -> Result<(u64, u64), TreeError> {
    match place {
        Place::Inline(bytes) => pair_of(bytes).ok_or(CORRUPT),
        Place::Log(_) => Err(CORRUPT),
    }
}

/// The numbers of a key at `lsn`, with the record that wrote them.
pub(crate) fn numbers(
    view: &View,
    key: &[u8],
    lsn: Lsn,
) -> Result<Option<(Lsn, u64, u64)>, ReadError> {
    match view.memtables().find_map(|memtable| memtable.find(key, lsn)) {
        Some((lsn, Entry::Numbers(numbers))) => Ok(Some((lsn, numbers.first, numbers.second))),
        Some(_) => Ok(None),
        None => {
            let found = view.tree.find(key, |entry| (entry.lsn, entry.inline().and_then(pair_of)));
            let Some((lsn, pair)) = found? else { return Ok(None) };
            let (first, second) = pair.ok_or(CORRUPT)?;
            Ok(Some((lsn, first, second)))
        }
    }
}

/// The first key of a stream that no trim has taken.
pub(crate) fn trimmed_to(view: &View, stream: u64, lsn: Lsn) -> Result<Vec<u8>, TreeError> {
    let head = key::stream(stream);
    let bounds = view.memtables().filter_map(|memtable| match memtable.find(&head, lsn) {
        Some((_, Entry::Numbers(bound))) => {
            Some(key::from_record(stream, bound.first, Lsn(bound.second)))
        }
        _ => None,
    });
    let unfinished = view.tree.trim(stream)?.map(|trim| trim.bound());
    Ok(bounds.chain(unfinished).max().unwrap_or_else(|| key::from_time(stream, 0)))
}

/// The highest id that a topic or a pattern has, staged ones included.
pub(crate) fn last_id<S: SegmentStore>(
    view: Arc<View>,
    log: &LogReader<S>,
) -> Result<u64, ReadError> {
    let pin = Arc::new(Pin { view, log: log.clone() });
    let mut last = 0;
    for kind in [KeyKind::Topic, KeyKind::Pattern] {
        let first = kind.prefix().to_vec();
        let bounds = (Bound::Excluded(first.clone()), Bound::Excluded(successor(&first)));
        let mut ids = Entries::new(Arc::clone(&pin), At::newest(0), bounds, Direction::Backward)?;
        if let Some(version) = ids.step()? {
            last = last.max(key::id_of(kind, version.key()).ok_or(CORRUPT)?);
        }
    }
    Ok(last)
}

/// All patterns, staged ones included.
pub(crate) fn load_patterns<S: SegmentStore>(pin: &Arc<Pin<S>>) -> Result<Patterns, TreeError> {
    // Ids and texts lie in memory and in the tree, so nothing else is read.
    all_patterns(pin).map_err(|error| match error {
        ReadError::Tree(error) => error,
        _ => CORRUPT,
    })
}

fn all_patterns<S: SegmentStore>(pin: &Arc<Pin<S>>) -> Result<Patterns, ReadError> {
    let first = KeyKind::Text.prefix().to_vec();
    let bounds = (Bound::Included(first.clone()), Bound::Excluded(successor(&first)));
    let mut entries = Entries::new(Arc::clone(pin), At::newest(0), bounds, Direction::Forward)?;
    let mut patterns = Patterns::default();
    while let Some(version) = entries.step()? {
        let text = key::text(KeyKind::Text, version.key()).ok_or(CORRUPT)?;
        if let Content::Value(place) = &version.content {
            patterns.insert(pair(place)?.0, TopicFilter::new(&text).map_err(|_| CORRUPT)?);
        }
    }
    Ok(patterns)
}

/// Stream and time of a message that is there, staged deletions counted. The log must still have the
/// record that wrote it.
pub(crate) fn message_by_id<S: SegmentStore>(
    view: &View,
    log: &LogReader<S>,
    (id, now_ms): (MessageId, u64),
) -> Result<Option<(u64, u64)>, ReadError> {
    if id.lsn == Lsn::ZERO || id.lsn > log.appended() {
        return Ok(None);
    }
    let mut cursor = log.cursor(id.lsn, unison_walfs::Bound::Appended)?;
    let Some(record) = cursor.next()?.filter(|record| record.lsn == id.lsn) else {
        return Ok(None);
    };
    let Ok(record) = decode(&record.payload) else { return Ok(None) };
    let index = usize::try_from(id.index).unwrap_or(usize::MAX);
    let stream = match record.previous() {
        Some(place) => streams_of_transaction(log, place)?.get(index).copied(),
        None => streams_of(&record).nth(index),
    };
    let Some(stream) = stream else { return Ok(None) };
    let time_ms = record.hlc().millis();
    let at = MessagePosition { time_ms, lsn: id.lsn, index: id.index };
    let key = key::message(stream, &at);
    if key < trimmed_to(view, stream, Lsn::MAX)? {
        return Ok(None);
    }
    Ok(view.find::<S>(&key, At::newest(now_ms))?.map(|_| (stream, time_ms)))
}

/// The streams of the messages of a record.
pub(crate) fn streams_of<'a>(record: &Record<'a>) -> impl Iterator<Item = u64> {
    let publishes = matches!(record.kind, Kind::Publish | Kind::PublishPatterns);
    messages(record).take_while(move |_| publishes).map(|(message, _, _)| message.stream)
}

/// The streams of the messages of a transaction, in order: each of its records says where the one
/// before it is.
fn streams_of_transaction<S: SegmentStore>(
    log: &LogReader<S>,
    last: Position,
) -> Result<Vec<u64>, ReadError> {
    let (mut streams, mut next) = (Vec::new(), Some(last));
    while let Some(place) = next {
        let found = log.record_at(place)?;
        let Ok(record) = decode(&found.payload) else { return Ok(Vec::new()) };
        let mut own: Vec<u64> = streams_of(&record).collect();
        own.reverse();
        streams.append(&mut own);
        // Records lie one behind the other, so this comes to an end.
        next = record.previous().filter(|before| *before < place);
    }
    streams.reverse();
    Ok(streams)
}
