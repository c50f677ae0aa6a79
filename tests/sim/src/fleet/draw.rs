//! What clients write, from a seed.

use super::model::{Address, Column, Draft, Key, Model, Moment, Part, Value, What};
use super::plan::below;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{Condition, MessageId};

/// Columns that a row may have.
const COLUMNS: u64 = 9;
/// Large objects.
const OBJECTS: u64 = 5;
pub(super) const TOPICS: [&str; 7] = ["a", "a/b", "a/b/c", "b/a", "x/y", "$s/a", "door/7/lock"];
pub(super) const PATTERNS: [&str; 6] = ["#", "+/b", "a/#", "door/+/lock", "$s/#", "x/y"];
/// What messages are asked for by.
pub(super) const FILTERS: [&str; 7] = ["#", "$s/#", "a/+", "+/+/#", "door/7/lock", "x/y", "+"];

/// How the clients of one seed write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    /// Different keys.
    pub(super) keys: u64,
    /// Percent of records that are batches.
    pub(super) batches: u64,
    /// Percent of records that are about rows.
    pub(super) rows: u64,
    /// Percent of records that delete.
    pub(super) deletes: u64,
    /// All values have this size, if set: then a stale frame fits where a new one was.
    pub(super) value_bytes: Option<u64>,
    /// Percent of records that belong to transactions.
    pub(super) transactions: u64,
    /// Percent of transactions that write a large object, and of other writes that delete one.
    pub(super) objects: u64,
    /// Percent of records that are about topics.
    pub(super) topics: u64,
    /// Percent of what is put that expires.
    pub(super) expiring: u64,
    /// Percent of records with a condition.
    pub(super) conditions: u64,
}

impl Writing {
    /// Keys and values, and nothing else.
    pub(super) const fn plain(keys: u64, value_bytes: Option<u64>) -> Self {
        Self {
            keys,
            batches: 0,
            rows: 0,
            deletes: 0,
            value_bytes,
            transactions: 0,
            objects: 0,
            topics: 0,
            expiring: 0,
            conditions: 0,
        }
    }

    pub(super) fn draw(prng: &mut Prng, others: &mut Prng) -> Self {
        let value_bytes = prng.chance(40).then(|| prng.between(50, 400));
        Self {
            keys: [8, 40, 200][below(prng, 3)],
            batches: [0, 10, 40][below(prng, 3)],
            rows: [0, 20, 60][below(prng, 3)],
            deletes: [0, 10, 30][below(prng, 3)],
            value_bytes,
            transactions: [0, 30, 60][below(others, 3)],
            objects: [0, 20, 60][below(others, 3)],
            topics: [0, 10, 40][below(others, 3)],
            expiring: [0, 20, 60][below(others, 3)],
            conditions: [0, 15][below(others, 2)],
        }
    }
}

/// What a client knows when it writes.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) writing: &'a Writing,
    pub(super) model: &'a Model,
    /// What the hub's clock shows.
    pub(super) wall_ms: u64,
    /// The time.
    pub(super) right_ms: u64,
}

impl Sight<'_> {
    /// A write that needs no transaction.
    pub(super) fn alone(&self, prng: &mut Prng) -> Part {
        let writing = self.writing;
        if prng.chance(writing.topics) {
            return self.of_topics(prng);
        }
        if prng.chance(writing.objects / 8) {
            return Part::new(What::DeleteObjects(vec![object(prng)]));
        }
        self.of_keys(prng)
    }

    /// A write of a transaction.
    pub(super) fn within(&self, object: Option<&Key>, prng: &mut Prng) -> Part {
        if let Some(object) = object.filter(|_| prng.chance(85)) {
            let chunk = value(self.writing, prng);
            return Part::new(What::Chunk(object.clone(), chunk));
        }
        if prng.chance(self.writing.topics) {
            return self.publishing(prng);
        }
        if prng.chance(self.writing.objects / 8) {
            return Part::new(What::DeleteObjects(vec![self::object(prng)]));
        }
        self.of_keys(prng)
    }

    fn of_keys(&self, prng: &mut Prng) -> Part {
        let writing = self.writing;
        let count = if prng.chance(writing.batches) { prng.between(2, 5) } else { 1 };
        let of_rows = prng.chance(writing.rows);
        let name = |prng: &mut Prng| {
            if of_rows { row(prng.below(writing.keys)) } else { key(prng.below(writing.keys)) }
        };
        let mut keys: Vec<_> = (0..count).map(|_| name(prng)).collect();
        keys.sort();
        keys.dedup();
        let expires_at = self.expires_at(prng);
        if expires_at > 0 && prng.chance(20) {
            let key = keys.remove(0);
            let what = if of_rows { What::ExpireRow(key) } else { What::Expire(key) };
            return Part { expires_at, ..Part::new(what) };
        }
        let what = if of_rows {
            rows(keys, writing, prng)
        } else if prng.chance(writing.deletes) {
            What::Delete(keys)
        } else {
            What::Put(keys.into_iter().map(|key| (key, value(writing, prng))).collect())
        };
        let may_expire = matches!(what, What::Put(_) | What::PutColumns(_));
        Part { expires_at: if may_expire { expires_at } else { 0 }, ..Part::new(what) }
    }

    /// Mostly soon, by the client's clock or by the hub's; sometimes over. 0 = never.
    fn expires_at(&self, prng: &mut Prng) -> u64 {
        if !prng.chance(self.writing.expiring) {
            return 0;
        }
        let now_ms = if prng.chance(50) { self.wall_ms } else { self.right_ms };
        match prng.below(10) {
            0 => now_ms.saturating_sub(prng.below(5_000)).max(1),
            1..8 => now_ms + prng.between(500, 20_000),
            _ => now_ms + prng.between(20_000, 300_000),
        }
    }

    fn of_topics(&self, prng: &mut Prng) -> Part {
        let newest = |back: u64| self.model.messages(self.model.now(0)).rev().nth(back as usize);
        match prng.below(100) {
            0..8 => {
                let known = newest(prng.below(6)).map(|known| known.id);
                let id = known.unwrap_or(MessageId { lsn: Lsn(prng.below(20)), index: 0 });
                Part::new(What::DeleteMessage(id))
            }
            8..14 => {
                let before_ms = newest(prng.below(12)).map_or(u64::MAX, |known| known.time_ms);
                let (address, to) = address(prng);
                Part::new(What::Trim(address, to, before_ms))
            }
            _ => self.publishing(prng),
        }
    }

    fn publishing(&self, prng: &mut Prng) -> Part {
        let (address, _) = address(prng);
        let count = if prng.chance(60) { 1 } else { prng.between(2, 4) };
        let drafts = (0..count).map(|_| self.message(address, prng)).collect();
        Part::new(What::Publish(address, drafts))
    }

    fn message(&self, address: Address, prng: &mut Prng) -> Draft {
        Draft {
            to: name(address, prng),
            payload: value(self.writing, prng),
            ttl_ms: prng.chance(self.writing.expiring).then(|| prng.below(30_000)),
            retain: prng.chance(30),
            expires_at: 0,
        }
    }

    /// A condition on all that a write is about.
    pub(super) fn condition(&self, part: &Part, at: Moment, prng: &mut Prng) -> Condition {
        let heads = part.heads();
        let Some(&(kind, key)) = heads.first() else { return Condition::Always };
        if matches!(part.what, What::Chunk(..)) || !prng.chance(self.writing.conditions) {
            return Condition::Always;
        }
        let current = self.model.version((kind, key), at).unwrap_or_default();
        match prng.below(4) {
            0 => Condition::Absent,
            1 => Condition::Present,
            2 => Condition::UnchangedSince(current),
            _ => Condition::UnchangedSince(Lsn(prng.below(self.model.last().0 + 2))),
        }
    }
}

/// A key or row that a commit may ask for, mostly a busy one.
pub(super) fn head(writing: &Writing, prng: &mut Prng) -> (unison_engine::Model, Key) {
    let number = prng.below(writing.keys);
    if prng.chance(writing.rows) {
        (unison_engine::Model::Row, row(number))
    } else {
        (unison_engine::Model::KeyValue, key(number))
    }
}

fn address(prng: &mut Prng) -> (Address, &'static str) {
    let address = if prng.chance(70) { Address::Topics } else { Address::Patterns };
    (address, name(address, prng))
}

fn name(address: Address, prng: &mut Prng) -> &'static str {
    match address {
        Address::Topics => TOPICS[below(prng, TOPICS.len())],
        Address::Patterns => PATTERNS[below(prng, PATTERNS.len())],
    }
}

fn rows(rows: Vec<Key>, writing: &Writing, prng: &mut Prng) -> What {
    if prng.chance(writing.deletes / 2) {
        return What::DeleteRows(rows);
    }
    let deletes = prng.chance(writing.deletes);
    let puts: Vec<(Key, Vec<(Column, Value)>)> = rows
        .into_iter()
        .map(|row| (row, columns(prng).map(|name| (name, value(writing, prng))).collect()))
        .collect();
    if !deletes {
        return What::PutColumns(puts);
    }
    let names = |columns: Vec<(Column, Value)>| columns.into_iter().map(|(name, _)| name);
    What::DeleteColumns(puts.into_iter().map(|(row, at)| (row, names(at).collect())).collect())
}

/// The key of a number.
pub(super) fn key(number: u64) -> Key {
    format!("sensor/{number:04}").into_bytes()
}

/// The row of a number: fewer than keys, so that they grow wide.
pub(super) fn row(number: u64) -> Key {
    format!("device/{:03}", number / 3).into_bytes()
}

/// Some large object.
pub(super) fn object(prng: &mut Prng) -> Key {
    format!("image-{}", prng.below(OBJECTS)).into_bytes()
}

/// One to three columns that lie beside each other.
fn columns(prng: &mut Prng) -> impl Iterator<Item = Column> + use<> {
    let (first, count) = (prng.below(COLUMNS), prng.between(1, 3));
    (first..COLUMNS.min(first + count)).map(|number| format!("column{number}"))
}

/// Sizes lie on both sides of the bound for values in the tree.
fn value(writing: &Writing, prng: &mut Prng) -> Value {
    let bytes = writing.value_bytes.unwrap_or_else(|| match prng.below(100) {
        0..10 => 0,
        10..60 => prng.between(1, 128),
        60..90 => prng.between(129, 700),
        90..99 => prng.between(700, 3_000),
        _ => prng.between(3_000, 12_000),
    });
    let mut value = vec![0; usize::try_from(bytes).unwrap_or(0)];
    prng.fill(&mut value);
    value.into()
}
