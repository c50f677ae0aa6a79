//! Transactions: several at once, their records between those of others.

use super::{Desk, Stop};
use crate::fleet::Plant;
use crate::fleet::draw::{head, object};
use crate::fleet::home::{TRANSACTION_IDLE_MS, TRANSACTION_TOTAL_MS};
use crate::fleet::model::{Change, Part, What};
use crate::fleet::outcome::Promise;
use crate::fleet::plan::below;
use crate::fleet::stage::{How, stage};
use crate::fleet::transaction::{Transaction, random_id};
use unison_base::{Lsn, TxnId};
use unison_engine::{Check, Operation, TransactionError, Write, WriteError};

/// Clients that have a transaction each.
const CLIENTS: usize = 4;

impl Desk<'_> {
    pub(super) fn transact(&mut self) -> Result<(), Stop> {
        let client = below(self.prng, CLIENTS);
        let Some(transaction) = self.open.get(client) else { return self.begin() };
        if transaction.is_forgotten {
            let comes_ms = transaction.used_ms + TRANSACTION_IDLE_MS + 2_000;
            return if self.now_ms < comes_ms { Ok(()) } else { self.commit(client) };
        }
        match self.prng.below(100) {
            0..60 => self.add(client),
            60..90 => self.commit(client),
            90..96 => self.abort(client),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), Stop> {
        let (id, wall_ms) = (random_id(self.prng), self.wall_ms);
        let object = self.prng.chance(self.writing.objects).then(|| object(self.prng));
        let is_forgotten = self.prng.chance(10);
        let write = Write::new(Operation::Begin).within(id);
        let (result, made) = self.call(&[], |engine| engine.stage(&write, wall_ms));
        self.note(Vec::new(), made, true)?;
        result.map_err(Stop::Refused)?;
        self.open.push(Transaction::new(id, object, is_forgotten, self.now_ms));
        Ok(())
    }

    fn add(&mut self, client: usize) -> Result<(), Stop> {
        let object = self.open[client].object.clone();
        let (sight, prng) = self.sight();
        let mut part = sight.within(object.as_ref(), prng);
        let condition = self.condition(&part);
        let (at, transaction) = (self.at(), &self.open[client]);
        part.said = transaction.says(self.model, &part, at);
        let holds = transaction.allows(self.model, &part, condition, at);
        let (id, lost) = (transaction.id, self.is_left_out(&part));
        if lost {
            self.takes(client, part, condition);
            return Ok(());
        }
        let alone = self.is_planted(Plant::ShowPrepared) && may_stand_alone(&part);
        let leading = if alone { self.leading(&part) } else { self.leading_within(client, &part) };
        let transaction = (!alone).then_some(id);
        let how = How { condition, transaction, wall_ms: self.wall_ms };
        let asked = self.as_planted(&part);
        let (result, made) = self.call(&leading, |engine| stage(engine, &asked, how));
        match result {
            Ok(_) => {
                self.must_hold(holds, &part)?;
                self.note_all(leading, made - 1, true)?;
                self.write_down(Change::Silent);
                self.goes_on(client)?;
                self.takes(client, part, condition);
                Ok(())
            }
            Err(WriteError::Transaction(error)) => {
                self.note(Vec::new(), made, true)?;
                self.is_over(client, error)
            }
            Err(error) => {
                self.note(leading, made, true)?;
                self.refused(holds, &part, error)
            }
        }
    }

    /// What a transaction publishes to and nobody knows yet, it defines itself: that changes nothing.
    fn leading_within(&self, client: usize, part: &Part) -> Vec<Change> {
        let mut leading = self.leading(part);
        if let [Change::Define(address, new)] = leading.as_mut_slice() {
            let transaction = &self.open[client];
            new.retain(|name| !transaction.has_named(*address, name));
            leading = if new.is_empty() { Vec::new() } else { vec![Change::Silent] };
        }
        leading
    }

    /// A hub with a bug loses it.
    fn is_left_out(&mut self, part: &Part) -> bool {
        let plant = match part.what {
            What::Chunk(..) => Plant::HalfObject,
            _ => Plant::HalfCommit,
        };
        self.is_planted(plant) && self.prng.chance(20)
    }

    fn takes(&mut self, client: usize, mut part: Part, condition: unison_engine::Condition) {
        let at = self.at();
        if let What::Publish(_, drafts) = &mut part.what {
            self.expire_messages(drafts, self.hub.engine.hlc().millis());
        }
        let transaction = &mut self.open[client];
        transaction.used_ms = self.now_ms;
        let staged = (part, self.model.last());
        transaction.takes(self.model, staged, condition, at);
        self.happened.interleaved += u64::from(self.open.len() > 1);
    }

    /// What a hub begins anew it does not go on with.
    fn goes_on(&self, client: usize) -> Result<(), Stop> {
        if self.open[client].is_lost {
            let detail = "a transaction of before its restart goes on".to_owned();
            return Err(Stop::Broken(Promise::Transactions, detail));
        }
        Ok(())
    }

    fn commit(&mut self, client: usize) -> Result<(), Stop> {
        let (id, at) = (self.open[client].id, self.at());
        let (kind, key) = head(self.writing, self.prng);
        let current = self.model.version((kind, &key), at).unwrap_or_default();
        let is_wrong = self.prng.chance(30);
        let version = if is_wrong { Lsn(self.prng.below(current.0 + 2)) } else { current };
        let check = Check { model: kind, key: &key, version };
        let checks: &[Check<'_>] =
            if self.prng.chance(2 * self.writing.conditions) { &[check] } else { &[] };
        let holds =
            self.open[client].holds(self.model, at) && (checks.is_empty() || version == current);
        let asked = if self.is_planted(Plant::IgnoreConditions) { &[] } else { checks };
        match self.end(id, Operation::Commit(asked))? {
            Ok(()) => self.committed(client, holds),
            Err(WriteError::Conflict { .. }) if holds => {
                let detail = "refuses a commit whose conditions hold".to_owned();
                Err(Stop::Broken(Promise::Conditions, detail))
            }
            Err(WriteError::Conflict { .. }) => {
                self.open.swap_remove(client);
                self.happened.conflicts += 1;
                Ok(())
            }
            Err(WriteError::Transaction(error)) => self.is_over(client, error),
            Err(error) => Err(Stop::Refused(error)),
        }
    }

    /// Stages the end of a transaction; the record of one that is committed is not noted yet.
    fn end(&mut self, id: TxnId, operation: Operation<'_>) -> Result<Result<(), WriteError>, Stop> {
        let (wall_ms, commits) = (self.wall_ms, matches!(operation, Operation::Commit(_)));
        let forgets = commits && self.is_planted(Plant::ForgetCommit) && self.prng.chance(20);
        let operation = if forgets { Operation::Abort } else { operation };
        let write = Write::new(operation).within(id);
        let (result, made) = self.call(&[], |engine| engine.stage(&write, wall_ms));
        let is_noted = !(commits && result.is_ok());
        self.note(Vec::new(), made.saturating_sub(u64::from(!is_noted)), true)?;
        self.staged |= made > 0;
        Ok(result.map(|_| ()))
    }

    fn committed(&mut self, client: usize, holds: bool) -> Result<(), Stop> {
        self.goes_on(client)?;
        if !holds {
            let detail = "commits what its conditions forbid".to_owned();
            return Err(Stop::Broken(Promise::Conditions, detail));
        }
        let transaction = self.open.swap_remove(client);
        self.count(&transaction);
        let time_ms = self.hub.engine.hlc().millis();
        let parts = transaction.parts.into_iter().map(|(part, _)| part).collect();
        self.write_down(Change::Parts(parts, time_ms));
        self.stays_over(transaction.id)
    }

    fn count(&mut self, transaction: &Transaction) {
        self.happened.commits += 1;
        self.happened.mixed_commits += u64::from(transaction.models() > 1);
        let at = self.model.now(0);
        for (part, _) in &transaction.parts {
            if let What::Publish(address, drafts) = &part.what {
                self.count_messages(*address, drafts.len());
            }
        }
        if let Some(object) = &transaction.object {
            let writes = |(part, _): &(Part, Lsn)| matches!(&part.what, What::Chunk(key, _) if key == object);
            let written = u64::from(transaction.parts.iter().any(writes));
            let replaces = self.model.object(object, at).is_some();
            self.happened.objects += written;
            self.happened.objects_replaced += if replaces { written } else { 0 };
        }
    }

    /// Nothing can be added behind the commit.
    fn stays_over(&mut self, id: TxnId) -> Result<(), Stop> {
        if self.prng.chance(80) {
            return Ok(());
        }
        let (wall_ms, write) = (self.wall_ms, Write::put(b"late", b"").within(id));
        let (result, made) = self.call(&[], |engine| engine.stage(&write, wall_ms));
        self.note(Vec::new(), made, true)?;
        match result {
            Ok(_) => {
                let detail = "a transaction goes on behind its commit".to_owned();
                Err(Stop::Broken(Promise::Transactions, detail))
            }
            Err(WriteError::Transaction(_)) => Ok(()),
            Err(error) => Err(Stop::Refused(error)),
        }
    }

    fn abort(&mut self, client: usize) -> Result<(), Stop> {
        match self.end(self.open[client].id, Operation::Abort)? {
            Ok(()) => {
                self.goes_on(client)?;
                self.open.swap_remove(client);
                self.happened.aborts += 1;
                Ok(())
            }
            Err(WriteError::Transaction(error)) => self.is_over(client, error),
            Err(error) => Err(Stop::Refused(error)),
        }
    }

    /// The hub says that a transaction does not go on, for which it has to have a reason.
    fn is_over(&mut self, client: usize, error: TransactionError) -> Result<(), Stop> {
        let transaction = self.open.swap_remove(client);
        let idle_ms = self.now_ms - transaction.used_ms;
        let total_ms = self.now_ms - transaction.begun_ms;
        let took_too_long = idle_ms > TRANSACTION_IDLE_MS || total_ms > TRANSACTION_TOTAL_MS;
        let (counter, excused) = match error {
            TransactionError::TimedOut => {
                (&mut self.happened.timed_out, took_too_long || self.is_wrong)
            }
            TransactionError::Failed | TransactionError::Unknown if transaction.is_lost => {
                (&mut self.happened.ended_by_restart, true)
            }
            TransactionError::Failed | TransactionError::Unknown => {
                (&mut self.happened.failed, transaction.may_fail)
            }
            _ => (&mut self.happened.failed, false),
        };
        *counter += 1;
        if excused {
            return Ok(());
        }
        let detail = format!("ends a transaction without a reason: {error}");
        Err(Stop::Broken(Promise::Transactions, detail))
    }
}

/// Chunks need a transaction.
const fn may_stand_alone(part: &Part) -> bool {
    !matches!(part.what, What::Chunk(..))
}
