//! What a node shows is its log, folded: keys, rows, large objects and topics against the model, at
//! its newest record and at older ones, by the log's watermark alone and by the node's own clock too.

mod keys;
mod objects;
mod topics;

use super::draw::{FILTERS, key, object, row};
use super::model::{Model, Moment};
use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::plan::below;
use super::trace::Digest;
use super::world::World;
use super::{Plant, Store};
use unison_base::Lsn;
use unison_engine::{Engine, ReadError, Reader, Snapshot};

/// What was found: nothing, or what is not as it should be.
pub(super) type Looked = Result<Option<String>, ReadError>;

/// What a node shows at a moment, and what it should show.
pub(super) struct Look<'a> {
    model: &'a Model,
    reader: Reader<Store>,
    snapshot: Snapshot<Store>,
    at: Moment,
}

impl<'a> Look<'a> {
    /// The newest state, by the log's watermark alone.
    pub(super) fn new(model: &'a Model, engine: &Engine<Store>) -> Self {
        Self::by_clock(model, engine.reader(), 0)
    }

    fn by_clock(model: &'a Model, reader: Reader<Store>, clock_ms: u64) -> Self {
        let snapshot = reader.snapshot();
        let at = model.moment(snapshot.lsn(), clock_ms);
        Self { model, reader, snapshot, at }
    }

    /// Everything, and nothing else.
    pub(super) fn at_all(&self, digest: &mut Digest) -> Looked {
        let looks = [Self::at_keys, Self::at_rows, Self::at_objects, Self::at_topics];
        for look in looks {
            if let Some(detail) = look(self, digest)? {
                return Ok(Some(detail));
            }
        }
        let (held, due) = (self.snapshot.expired_to(), self.model.watermark(self.at.lsn));
        Ok((held != due).then(|| format!("watermark {held} at {:?} instead of {due}", self.at)))
    }
}

impl World {
    /// A key, a row and a large object; sometimes what a filter finds, which is many messages.
    pub(super) fn spot_check(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let at = self.looks.below(self.plan.writing.keys);
        let (key, row, object) = (key(at), row(at), object(&mut self.looks));
        let filter = FILTERS[below(&mut self.looks, FILTERS.len())];
        let (clock_ms, of_topics) = (self.some_clock(number), self.looks.chance(15));
        let Some(engine) = self.nodes[number].engine() else { return Ok(()) };
        let look = self.look(number, engine, clock_ms);
        let disk = self.nodes[number].home.borrow().disk.clone();
        let read = disk.unwatched(|| {
            let looked = look.at_key(&key)?.or(look.at_row(&row)?).or(look.at_object(&object)?);
            if of_topics { Ok(looked.or(look.at_filter(filter)?)) } else { Ok(looked) }
        });
        self.judge(number, read)
    }

    /// Nobody's clock, or the node's own.
    fn some_clock(&mut self, number: NodeNumber) -> u64 {
        let wall_ms = self.nodes[number].clock.wall_ms(self.now_ms);
        if self.looks.chance(30) { wall_ms } else { 0 }
    }

    fn look(&self, number: NodeNumber, engine: &Engine<Store>, clock_ms: u64) -> Look<'_> {
        let mut look = Look::by_clock(&self.model, engine.reader().at(clock_ms), clock_ms);
        let follows = self.nodes[number].upstream.is_some();
        match self.options.plant.filter(|_| follows) {
            Some(Plant::HideByClock) => {
                let reader = engine.reader().at(self.nodes[number].clock.wall_ms(self.now_ms));
                (look.snapshot, look.reader) = (reader.snapshot(), reader);
            }
            Some(Plant::ShowExpired) if self.model.raises(look.at.lsn) => {
                let before = look.reader.snapshot_at(look.at.lsn.prev());
                before.into_iter().for_each(|before| look.snapshot = before);
            }
            _ => {}
        }
        look
    }

    /// True while the tree is ahead of a log of which a failed cut has taken too much.
    fn lost_by_a_cut(&self, number: NodeNumber) -> bool {
        let node = &self.nodes[number];
        let behind = |engine: &Engine<Store>| engine.appended() < engine.stats().checkpoint;
        node.marks.cut_failed && node.engine().is_some_and(behind)
    }

    pub(super) fn judge(&self, number: NodeNumber, read: Looked) -> Result<(), Breach> {
        match read {
            Ok(None) => Ok(()),
            Ok(Some(detail)) => Err(self.breach(number, Promise::State, detail)),
            Err(_) if self.nodes[number].marks.damaged || self.lost_by_a_cut(number) => Ok(()),
            Err(error) => Err(self.breach(number, Promise::Damage, error.to_string())),
        }
    }

    /// Everything that a node shows, and now and then what it showed before.
    pub(super) fn state_check(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let clock_ms = self.some_clock(number);
        let (back, looks_back) = (self.looks.next_u64(), self.looks.chance(30));
        let Some(engine) = self.nodes[number].engine() else { return Ok(()) };
        let disk = self.nodes[number].home.borrow().disk.clone();
        let mut look = self.look(number, engine, clock_ms);
        let read = disk.unwatched(|| look.at_all(&mut Digest::default()));
        self.judge(number, read)?;
        let (skipped, marks) = (engine.stats().skipped_records, &self.nodes[number].marks);
        if skipped > 0 && !marks.damaged && !marks.cut_failed {
            let detail = format!("passes over {skipped} records of its own version");
            return Err(self.breach(number, Promise::State, detail));
        }
        let oldest = engine.stats().checkpoint;
        let states = look.at.lsn.0.saturating_sub(oldest.0);
        if !looks_back || states == 0 {
            return Ok(());
        }
        let lsn = Lsn(oldest.0 + back % states);
        let Ok(past) = look.reader.snapshot_at(lsn) else { return Ok(()) };
        (look.snapshot, look.at) = (past, self.model.moment(lsn, clock_ms));
        let read = disk.unwatched(|| look.at_all(&mut Digest::default()));
        self.judge(number, read)?;
        self.tally.happened.past_looks += 1;
        Ok(())
    }
}
