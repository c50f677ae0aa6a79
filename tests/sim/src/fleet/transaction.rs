//! A transaction as its client knows it: what it has asked for, and on which conditions it happens.

use super::model::{Address, Key, Model, Moment, Part, What};
use std::collections::BTreeMap;
use unison_base::prng::Prng;
use unison_base::{Lsn, TxnId};
use unison_engine::{Condition, Model as Kind};

type Head = (Kind, Key);

/// An open transaction, or one that its client takes for open.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: TxnId,
    /// What it has written, and the records that did it.
    pub(super) parts: Vec<(Part, Lsn)>,
    /// The object that it writes.
    pub(super) object: Option<Key>,
    /// Its client does not come back before it has timed out.
    pub(super) is_forgotten: bool,
    /// The hub's process has ended since: nobody can go on with it.
    pub(super) is_lost: bool,
    /// Something may have made it fail: an append that did.
    pub(super) may_fail: bool,
    /// When it was used last.
    pub(super) used_ms: u64,
    /// When it was begun.
    pub(super) begun_ms: u64,
    /// Keys, rows and objects that it has written to; those that are left, or were put again.
    touched: BTreeMap<Head, bool>,
    /// When its rows expire.
    said: BTreeMap<Key, u64>,
    /// Versions that must still be there at its commit.
    checked: BTreeMap<Head, Lsn>,
    /// Rows that must still expire then, for it repeats that.
    kept: BTreeMap<Key, u64>,
}

impl Transaction {
    pub(super) fn new(id: TxnId, object: Option<Key>, is_forgotten: bool, now_ms: u64) -> Self {
        Self {
            id,
            parts: Vec::new(),
            object,
            is_forgotten,
            is_lost: false,
            may_fail: false,
            used_ms: now_ms,
            begun_ms: now_ms,
            touched: BTreeMap::new(),
            said: BTreeMap::new(),
            checked: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    /// What it sees of what it is about.
    pub(super) fn sees(&self, model: &Model) -> Model {
        model.within(self.parts.iter().map(|(part, lsn)| (part, *lsn)))
    }

    /// Whether a condition holds for everything that a part is about.
    pub(super) fn allows(
        &self,
        model: &Model,
        part: &Part,
        condition: Condition,
        at: Moment,
    ) -> bool {
        let own = self.sees(model);
        part.heads().into_iter().all(|(kind, key)| {
            let is_own = self.touched.contains_key(&(kind, key.clone()));
            let seen = if is_own { &own } else { model };
            is_met(condition, part, seen.version((kind, key), at))
        })
    }

    /// When the rows of a part expire from now on. One that it has emptied begins anew.
    pub(super) fn says(&self, model: &Model, part: &Part, at: Moment) -> Vec<u64> {
        let (own, by_log) = (self.sees(model), model.now(0));
        let says = |row: &Key| match self.said.get(row) {
            _ if part.asked() > 0 || part.expires_only() => part.asked(),
            Some(&said) if by_log.is_past(said) || own.row(row, by_log).is_some() => said,
            Some(_) => 0,
            None => expiry(model, row, at),
        };
        part.rows().into_iter().map(says).collect()
    }

    /// A part of it was staged, as the record at `lsn`.
    pub(super) fn takes(
        &mut self,
        model: &Model,
        (part, lsn): (Part, Lsn),
        condition: Condition,
        at: Moment,
    ) {
        let depends = condition != Condition::Always || part.expires_only();
        for (kind, key) in part.heads() {
            let head = (kind, key.clone());
            if depends && !self.touched.contains_key(&head) {
                let version = model.version((kind, key), at).unwrap_or_default();
                self.checked.entry(head).or_insert(version);
            }
        }
        for (row, &said) in part.rows().into_iter().zip(&part.said) {
            let is_first = !self.touched.contains_key(&(Kind::Row, row.clone()));
            if is_first && part.keeps_expiry() && part.asked() == 0 {
                self.kept.entry(row.clone()).or_insert(said);
            }
            self.said.insert(row.clone(), said);
        }
        if let What::DeleteRows(rows) = &part.what {
            self.said.extend(rows.iter().map(|row| (row.clone(), 0)));
        }
        for (kind, key) in part.heads() {
            self.touched.insert((kind, key.clone()), !part.removes());
        }
        self.parts.push((part, lsn));
    }

    /// Whether it may be committed.
    pub(super) fn holds(&self, model: &Model, at: Moment) -> bool {
        let is_same = |(head, &version): (&Head, &Lsn)| {
            model.version((head.0, &head.1), at).unwrap_or_default() == version
        };
        let repeats = |row: &Key, kept: u64| {
            let is_there = self.touched.get(&(Kind::Row, row.clone())) == Some(&true);
            is_there && self.said.get(row) == Some(&kept)
        };
        let expires =
            |(row, &kept): (&Key, &u64)| !repeats(row, kept) || expiry(model, row, at) == kept;
        self.checked.iter().all(is_same) && self.kept.iter().all(expires)
    }

    /// Whether it publishes to a topic or a pattern.
    pub(super) fn has_named(&self, address: Address, name: &str) -> bool {
        self.parts.iter().any(|(part, _)| match &part.what {
            What::Publish(to, drafts) if *to == address => {
                drafts.iter().any(|draft| draft.to == name)
            }
            _ => false,
        })
    }

    /// How many models it writes to.
    pub(super) fn models(&self) -> usize {
        let has = |wanted: fn(&What) -> bool| self.parts.iter().any(|(part, _)| wanted(&part.what));
        let models: [fn(&What) -> bool; 4] = [
            |what| matches!(what, What::Put(_) | What::Delete(_) | What::Expire(_)),
            |what| {
                matches!(
                    what,
                    What::PutColumns(_)
                        | What::DeleteColumns(_)
                        | What::DeleteRows(_)
                        | What::ExpireRow(_)
                )
            },
            |what| matches!(what, What::Chunk(..) | What::DeleteObjects(_)),
            |what| matches!(what, What::Publish(..)),
        ];
        models.into_iter().filter(|&wanted| has(wanted)).count()
    }
}

/// When a row expires that is there; 0 = never.
pub(super) fn expiry(model: &Model, row: &Key, at: Moment) -> u64 {
    model.row(row, at).map_or(0, |(_, row)| row.expires_at)
}

/// Whether a condition holds for what is there.
pub(super) fn is_met(condition: Condition, part: &Part, version: Option<Lsn>) -> bool {
    match condition {
        _ if part.expires_only() && version.is_none() => false,
        Condition::Always => true,
        Condition::Absent => version.is_none(),
        Condition::Present => version.is_some(),
        Condition::UnchangedSince(lsn) => version.unwrap_or_default() == lsn,
    }
}

pub(super) fn random_id(prng: &mut Prng) -> TxnId {
    let mut id = TxnId::default();
    prng.fill(&mut id.0);
    id
}
