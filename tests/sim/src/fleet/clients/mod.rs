//! Clients at the hub: what they ask for, what they are told, and what the model learns of it.

mod transactions;
mod upkeep;
mod writes;

use super::draw::{Sight, Writing};
use super::happened::Happened;
use super::hub::Hub;
use super::model::{Address, Change, Model, Moment, Part, What};
use super::outcome::Promise;
use super::transaction::Transaction;
use super::{Plant, Store};
use std::collections::BTreeSet;
use unison_base::prng::Prng;
use unison_engine::{Engine, WriteError};

/// Why clients stop for now.
#[derive(Debug)]
pub(super) enum Stop {
    /// The hub takes no writes at the moment.
    Refused(WriteError),
    /// It broke a promise.
    Broken(Promise, String),
}

/// Where clients meet the hub, for one group of writes.
pub(super) struct Desk<'a> {
    pub(super) hub: &'a mut Hub,
    pub(super) model: &'a mut Model,
    pub(super) prng: &'a mut Prng,
    pub(super) writing: &'a Writing,
    pub(super) open: &'a mut Vec<Transaction>,
    pub(super) happened: &'a mut Happened,
    pub(super) plant: Option<Plant>,
    pub(super) now_ms: u64,
    /// What the time is, milliseconds since 1970.
    pub(super) right_ms: u64,
    /// What the hub's clock shows.
    pub(super) wall_ms: u64,
    /// It is no clock that shows the time.
    pub(super) is_wrong: bool,
    /// Something was staged.
    pub(super) staged: bool,
}

impl Desk<'_> {
    /// The hub does what is due, then clients do so many things.
    pub(super) fn meet(&mut self, expires: bool, acts: u64) -> Result<(), Stop> {
        self.tend()?;
        if expires {
            self.expire()?;
        }
        (0..acts).try_for_each(|_| self.act())
    }

    /// One client does one thing.
    fn act(&mut self) -> Result<(), Stop> {
        if self.prng.chance(self.writing.transactions) { self.transact() } else { self.write() }
    }

    fn sight(&mut self) -> (Sight<'_>, &mut Prng) {
        let Self { writing, model, wall_ms, right_ms, .. } = self;
        (Sight { writing, model, wall_ms: *wall_ms, right_ms: *right_ms }, self.prng)
    }

    /// What clients see by the hub's clock.
    fn at(&self) -> Moment {
        self.model.now(self.wall_ms)
    }

    fn is_planted(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// The records that go before the one that is asked for.
    fn leading(&self, part: &Part) -> Vec<Change> {
        if let What::Publish(address, drafts) = &part.what {
            let mut new: Vec<_> = drafts.iter().map(|draft| draft.to).collect();
            new.retain(|name| !self.model.is_defined(*address, name));
            return define(*address, new);
        }
        // A row that has expired by the clock alone is gone before it is written again.
        let (by_clock, by_log) = (self.at(), self.model.now(0));
        let is_late = |row: &[u8]| {
            self.model.row(row, by_log).is_some() && self.model.row(row, by_clock).is_none()
        };
        let late = part.keeps_expiry() && part.rows().into_iter().any(|row| is_late(row));
        if late { vec![Change::Raise(self.wall_ms)] } else { Vec::new() }
    }

    /// Calls the engine. Returns how many records it has made, which the model does not know yet; what
    /// an append that failed has taken back it knows: all that was staged, and of `leading`, which go
    /// before the record that is asked for, some.
    fn call<T>(
        &mut self,
        leading: &[Change],
        call: impl FnOnce(&mut Engine<Store>) -> Result<T, WriteError>,
    ) -> (Result<T, WriteError>, u64) {
        let engine = &mut self.hub.engine;
        let before = engine.appended();
        let result = call(engine);
        let (appended, next) = (engine.appended(), engine.next_lsn());
        if appended > before {
            self.model.settle();
        }
        let failed = matches!(result, Err(WriteError::Append(_) | WriteError::NoSpace));
        let undone = result.is_err() && (failed || self.model.last() > appended);
        if undone && next == appended.next() {
            self.model.fail_above(appended, leading.to_vec());
            self.open.iter_mut().for_each(|transaction| transaction.may_fail = true);
        }
        (result, next.prev().0.saturating_sub(self.model.last().0))
    }

    /// Takes note of `made` records before the one that was asked for. Calls about transactions may
    /// have ended some, which nobody sees.
    fn note(&mut self, leading: Vec<Change>, made: u64, ends_some: bool) -> Result<(), Stop> {
        let silent = made.saturating_sub(leading.len() as u64);
        if silent > 0 && !ends_some {
            let detail = format!("record {} was written by nobody", self.model.last().next());
            return Err(Stop::Broken(Promise::Written, detail));
        }
        (0..silent).for_each(|_| self.model.written(Change::Silent));
        for change in leading.into_iter().take(usize::try_from(made).unwrap_or(usize::MAX)) {
            self.happened.raised_late += u64::from(matches!(change, Change::Raise(_)));
            self.write_down(change);
        }
        Ok(())
    }

    /// The same when the call was successful: all of them were made.
    fn note_all(&mut self, leading: Vec<Change>, made: u64, ends_some: bool) -> Result<(), Stop> {
        if made < leading.len() as u64 {
            let detail = format!("{leading:?} did not go before {}", self.model.last().next());
            return Err(Stop::Broken(Promise::State, detail));
        }
        self.note(leading, made, ends_some)
    }

    /// The next record is known.
    fn write_down(&mut self, change: Change) {
        let expires = matches!(change, Change::Raise(_));
        let before = if expires { self.model.counts(self.model.now(0)) } else { [0; 3] };
        self.model.written(change);
        if expires {
            let [keys, rows, messages] = self.model.counts(self.model.now(0));
            self.happened.raised += 1;
            self.happened.expired_keys += before[0] - keys;
            self.happened.expired_rows += before[1] - rows;
            self.happened.expired_messages += before[2] - messages;
        }
        self.staged = true;
    }
}

fn define(address: Address, mut new: Vec<&'static str>) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    new.retain(|name| seen.insert(*name));
    if new.is_empty() { Vec::new() } else { vec![Change::Define(address, new)] }
}
