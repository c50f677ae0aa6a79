//! What the namespace holds after each record, computed from what was written and from nothing
//! else.

mod change;
mod topics;
mod versions;

pub(super) use change::{Address, Change, Column, Draft, Key, Part, Value, What};
pub(super) use topics::{Known, meet};

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use topics::Topics;
use unison_base::Lsn;
use unison_engine::{MessageId, Model as Kind};
use versions::Versions;

/// The value of a key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) value: Value,
    /// 0 = never.
    pub(super) expires_at: u64,
}

/// A row that has a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Values, and the records that wrote them.
    pub(super) columns: BTreeMap<Column, (Lsn, Value)>,
    /// 0 = never.
    pub(super) expires_at: u64,
}

/// A state, and what has expired in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The newest record in it.
    pub(super) lsn: Lsn,
    /// What expires up to this time is gone.
    passed_ms: u64,
}

impl Moment {
    pub(super) const fn is_past(&self, expires_at: u64) -> bool {
        expires_at != 0 && expires_at <= self.passed_ms
    }
}

/// Every record that may be in the log, and every version it made.
#[derive(Debug, Default)]
pub(super) struct Model {
    records: Vec<Change>,
    /// Records whose append failed, each with the one before the first of them. Their clients were
    /// told of an error, not of a loss: until another append succeeds, a power cut may bring them
    /// back.
    failed: Vec<(Lsn, Vec<Change>)>,
    pairs: Versions<Pair>,
    rows: Versions<Rc<Row>>,
    objects: Versions<Value>,
    topics: Topics,
    /// Each is later than the one before.
    watermarks: Vec<(Lsn, u64)>,
}

/// What parts of one record have done before.
struct Fold {
    lsn: Lsn,
    time_ms: u64,
    /// What has expired up to it begins anew.
    watermark_ms: u64,
    /// Versions from here on are its own: between them no time passes.
    own: Lsn,
    /// Objects that it has begun.
    begun: BTreeSet<Key>,
    messages: u32,
}

/// Added to the records of a transaction, whose versions are the newest of all to itself.
const OWN: Lsn = Lsn(1 << 63);

impl Model {
    /// The newest record.
    pub(super) fn last(&self) -> Lsn {
        Lsn(self.records.len() as u64)
    }

    /// The next record was handed to the log.
    pub(super) fn written(&mut self, change: Change) {
        let lsn = self.last().next();
        match &change {
            Change::Silent => {}
            Change::Define(address, names) => self.topics.define(lsn, *address, names),
            Change::Raise(ms) => self.watermarks.push((lsn, *ms)),
            Change::Parts(parts, time_ms) => self.apply(lsn, parts, *time_ms),
        }
        self.records.push(change);
    }

    fn apply(&mut self, lsn: Lsn, parts: &[Part], time_ms: u64) {
        let (watermark_ms, begun) = (self.watermark(lsn), BTreeSet::new());
        let mut fold = Fold { lsn, time_ms, watermark_ms, own: lsn, begun, messages: 0 };
        parts.iter().for_each(|part| self.take(part, &mut fold));
    }

    /// What a transaction sees that has written these parts, each by a record: of the keys, rows and
    /// objects that they are about, and of nothing else.
    pub(super) fn within<'a>(&self, parts: impl Iterator<Item = (&'a Part, Lsn)> + Clone) -> Self {
        let mut seen = Self { watermarks: self.watermarks.clone(), ..Self::default() };
        for (kind, key) in parts.clone().flat_map(|(part, _)| part.heads()) {
            seen.copy(self, kind, key);
        }
        let (watermark_ms, begun) = (self.watermark(Lsn::MAX), BTreeSet::new());
        let mut fold = Fold { lsn: OWN, time_ms: 0, watermark_ms, own: OWN, begun, messages: 0 };
        for (part, lsn) in parts {
            fold.lsn = Lsn(OWN.0 | lsn.0);
            seen.take(part, &mut fold);
        }
        seen
    }

    fn copy(&mut self, from: &Self, kind: Kind, key: &Key) {
        match kind {
            Kind::KeyValue => copy(&mut self.pairs, &from.pairs, key),
            Kind::Row => copy(&mut self.rows, &from.rows, key),
            Kind::Object => copy(&mut self.objects, &from.objects, key),
        }
    }

    fn take(&mut self, part: &Part, fold: &mut Fold) {
        let (lsn, expires_at) = (fold.lsn, part.expires_at);
        match &part.what {
            What::Put(pairs) => {
                for (key, value) in pairs {
                    let pair = Pair { value: Value::clone(value), expires_at };
                    self.pairs.put(key, lsn, Some(pair));
                }
            }
            What::Delete(keys) => keys.iter().for_each(|key| self.pairs.put(key, lsn, None)),
            What::Expire(key) => {
                let before = self.pairs.at(key, lsn);
                let kept = before.filter(|(at, pair)| !fold.is_over(*at, pair.expires_at));
                let kept = kept.map(|(_, pair)| Pair { expires_at, ..pair.clone() });
                self.pairs.put(key, lsn, kept);
            }
            What::PutColumns(_) | What::DeleteColumns(_) | What::ExpireRow(_) => {
                for (index, row) in part.rows().into_iter().enumerate() {
                    self.change_row(row, &part.what, (index, part.said[index]), fold);
                }
            }
            What::DeleteRows(rows) => rows.iter().for_each(|row| self.rows.put(row, lsn, None)),
            What::Chunk(key, chunk) => {
                let begins = fold.begun.insert(key.clone());
                let before = self.objects.newest(key).filter(|_| !begins);
                let bytes = [before.map(|bytes| &**bytes).unwrap_or_default(), chunk].concat();
                self.objects.put(key, lsn, Some(bytes.into()));
            }
            What::DeleteObjects(keys) => {
                for key in keys {
                    fold.begun.remove(key);
                    self.objects.put(key, lsn, None);
                }
            }
            What::Publish(address, drafts) => {
                for draft in drafts {
                    self.topics.define(lsn, *address, &[draft.to]);
                    let id = MessageId { lsn, index: fold.messages };
                    self.topics.publish(id, fold.time_ms, *address, draft);
                    fold.messages += 1;
                }
            }
            What::DeleteMessage(id) => self.topics.delete(lsn, *id),
            What::Trim(address, to, before_ms) => {
                let bound = (*before_ms, Lsn::ZERO).min((fold.time_ms, lsn));
                self.topics.trim(lsn, (*address, to), bound);
            }
        }
    }

    /// A row that has expired by the watermark begins anew.
    fn change_row(
        &mut self,
        key: &Key,
        what: &What,
        (index, expires_at): (usize, u64),
        fold: &Fold,
    ) {
        let before = self.rows.at(key, fold.lsn);
        let kept = before.filter(|(at, row)| !fold.is_over(*at, row.expires_at));
        let mut row = kept.map(|(_, row)| Row::clone(row)).unwrap_or_default();
        row.expires_at = expires_at;
        match what {
            What::PutColumns(rows) => {
                let columns = rows[index].1.iter();
                let cell = |(name, value): &(Column, Value)| {
                    (name.clone(), (fold.lsn, Value::clone(value)))
                };
                row.columns.extend(columns.map(cell));
            }
            What::DeleteColumns(rows) => {
                row.columns.retain(|name, _| !rows[index].1.contains(name));
            }
            _ => {}
        }
        let left = (!row.columns.is_empty()).then(|| Rc::new(row));
        self.rows.put(key, fold.lsn, left);
    }

    /// An append succeeded: nothing that failed before it can come back.
    pub(super) fn settle(&mut self) {
        self.failed.clear();
    }

    /// The append of what is above `last` failed, and of what a call had staged behind it.
    pub(super) fn fail_above(&mut self, last: Lsn, behind: Vec<Change>) {
        let kept = usize::try_from(last.0).unwrap_or(usize::MAX);
        let failed = self.records.get(kept..).unwrap_or_default();
        let failed = failed.iter().cloned().chain(behind).collect();
        self.truncate(last);
        self.failed.push((last, failed));
    }

    /// Another history of the newest records that may have come true, if there is one left.
    pub(super) fn recall(&mut self) -> bool {
        let Some((last, records)) = self.failed.pop() else { return false };
        self.truncate(last);
        records.into_iter().for_each(|change| self.written(change));
        true
    }

    /// Records above `last` are gone.
    pub(super) fn truncate(&mut self, last: Lsn) {
        if self.last() <= last {
            return;
        }
        self.records.truncate(usize::try_from(last.0).unwrap_or(usize::MAX));
        self.pairs.truncate(last);
        self.rows.truncate(last);
        self.objects.truncate(last);
        self.topics.truncate(last);
        self.watermarks.retain(|&(lsn, _)| lsn <= last);
    }

    /// Whether a record has an LSN of its own.
    pub(super) fn has(&self, lsn: Lsn) -> bool {
        lsn <= self.last()
    }

    /// Whether a record says that something has expired.
    pub(super) fn raises(&self, lsn: Lsn) -> bool {
        self.watermarks.iter().any(|&(at, _)| at == lsn)
    }

    /// What has expired up to this time is gone after the record at `lsn`, whoever looks.
    pub(super) fn watermark(&self, lsn: Lsn) -> u64 {
        let raised = self.watermarks.iter().rev().find(|&&(at, _)| at <= lsn);
        raised.map_or(0, |&(_, ms)| ms)
    }

    /// The state after the record at `lsn`, for somebody whose clock shows `clock_ms`.
    pub(super) fn moment(&self, lsn: Lsn, clock_ms: u64) -> Moment {
        Moment { lsn, passed_ms: self.watermark(lsn).max(clock_ms) }
    }

    /// The newest state, for somebody whose clock shows `clock_ms`.
    pub(super) fn now(&self, clock_ms: u64) -> Moment {
        self.moment(Lsn::MAX, clock_ms)
    }

    /// The value of a key, and the record that wrote it.
    pub(super) fn pair(&self, key: &[u8], at: Moment) -> Option<(Lsn, &Pair)> {
        self.pairs.at(key, at.lsn).filter(|(_, pair)| !at.is_past(pair.expires_at))
    }

    /// All keys, in order of keys.
    pub(super) fn pairs(&self, at: Moment) -> impl Iterator<Item = (&Key, Lsn, &Pair)> {
        self.pairs.all(at.lsn).filter(move |(_, _, pair)| !at.is_past(pair.expires_at))
    }

    /// A row, and the record that changed it last.
    pub(super) fn row(&self, row: &[u8], at: Moment) -> Option<(Lsn, &Row)> {
        let found = self.rows.at(row, at.lsn).map(|(lsn, row)| (lsn, &**row));
        found.filter(|(_, row)| !at.is_past(row.expires_at))
    }

    /// All rows, in order of rows.
    pub(super) fn rows(&self, at: Moment) -> impl Iterator<Item = (&Key, Lsn, &Row)> {
        let rows = self.rows.all(at.lsn).map(|(key, lsn, row)| (key, lsn, &**row));
        rows.filter(move |(_, _, row)| !at.is_past(row.expires_at))
    }

    /// A large object, and the record that committed it.
    pub(super) fn object(&self, key: &[u8], at: Moment) -> Option<(Lsn, &Value)> {
        self.objects.at(key, at.lsn)
    }

    /// All large objects, in order of keys.
    pub(super) fn objects(&self, at: Moment) -> impl Iterator<Item = (&Key, Lsn, &Value)> {
        self.objects.all(at.lsn)
    }

    /// All messages, the oldest first.
    pub(super) fn messages(&self, at: Moment) -> impl DoubleEndedIterator<Item = &Known> {
        self.topics.there(at)
    }

    /// The retained messages, in the order of topics.
    pub(super) fn retained(&self, at: Moment) -> impl Iterator<Item = &Known> {
        self.topics.retained(at)
    }

    /// The names of topics, in the order of their levels.
    pub(super) fn topics(&self, at: Moment) -> impl Iterator<Item = &'static str> {
        self.topics.names(at.lsn)
    }

    /// Whether a topic or pattern is known by now.
    pub(super) fn is_defined(&self, address: Address, name: &'static str) -> bool {
        self.topics.is_defined(address, name)
    }

    /// The record that changed a key, row or object last, if it is there.
    pub(super) fn version(&self, (kind, key): (Kind, &[u8]), at: Moment) -> Option<Lsn> {
        let lsn = match kind {
            Kind::KeyValue => self.pair(key, at).map(|(lsn, _)| lsn),
            Kind::Row => self.row(key, at).map(|(lsn, _)| lsn),
            Kind::Object => self.object(key, at).map(|(lsn, _)| lsn),
        };
        lsn.map(|lsn| Lsn(lsn.0 & !OWN.0))
    }

    /// How many keys, rows and messages are there.
    pub(super) fn counts(&self, at: Moment) -> [u64; 3] {
        let messages = self.messages(at).count();
        [self.pairs(at).count(), self.rows(at).count(), messages].map(|count| count as u64)
    }
}

fn copy<T: Clone>(to: &mut Versions<T>, from: &Versions<T>, key: &Key) {
    if let Some((lsn, value)) = from.at(key, Lsn::MAX).filter(|_| to.newest(key).is_none()) {
        to.put(key, lsn, Some(value.clone()));
    }
}

impl Fold {
    /// Whether something had expired before the record; between its own parts no time passes.
    fn is_over(&self, written: Lsn, expires_at: u64) -> bool {
        written < self.own && expires_at != 0 && expires_at <= self.watermark_ms
    }
}
