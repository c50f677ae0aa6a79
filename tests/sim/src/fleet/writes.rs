//! Clients write, the hub makes it durable, memory goes into trees.

use super::Plant;
use super::clients::{Desk, Stop};
use super::clock::Wall;
use super::durability::Durability;
use super::hub::Fatal;
use super::node::{HUB, NodeNumber, Process};
use super::outcome::Breach;
use super::queue::{Event, Life};
use super::replica::FleetReplica;
use super::story::Story;
use super::world::World;
use unison_engine::WriteError;

/// How often the hub says what has expired.
const EXPIRE_EVERY_MS: u64 = 2_000;

impl World {
    /// Clients write a group, and the hub begins to make it durable.
    pub(super) fn clients_write(&mut self) -> Result<(), Breach> {
        if self.busy {
            let pause_ms = 1 + self.clients.below(2 * self.plan.write_every_ms);
            self.queue.push(self.now_ms + pause_ms, Event::Clients);
        }
        let (staged, stop) = self.clients_meet();
        match stop {
            Some(Stop::Broken(promise, detail)) if !self.nodes[HUB].is_off() => {
                return Err(self.breach(HUB, promise, detail));
            }
            // A store that takes nothing more ends its process, whoever hears of it first.
            Some(Stop::Refused(WriteError::Poisoned)) => return self.fatal(HUB),
            Some(Stop::Refused(error)) => self.refusal = Some(error),
            _ => {}
        }
        let wall_ms = self.nodes[HUB].clock.wall_ms(self.now_ms);
        let Some(Process::Hub(hub)) = &mut self.nodes[HUB].process else { return Ok(()) };
        let appended = hub.append(&mut self.model, wall_ms);
        if self.plan.durability != Durability::Always {
            // What an append that failed has left in the log is shown too.
            let shown = hub.publish();
            self.answered = self.answered.max(shown);
        }
        if self.nodes[HUB].is_off() {
            return self.power_is_off(HUB);
        }
        match appended {
            Ok(lsn) => {
                self.note(HUB, Story::Wrote(lsn));
                if self.calm && staged && self.owed.is_none() {
                    self.owed = Some(lsn);
                }
                if self.options.plant == Some(Plant::AnswerBeforeSync) {
                    self.acknowledged = lsn;
                }
            }
            Err(WriteError::Poisoned) => return self.fatal(HUB),
            Err(error) => {
                self.open.iter_mut().for_each(|transaction| transaction.may_fail = true);
                self.note(HUB, Story::Said(format!("cannot append: {error}")));
                self.refusal = Some(error);
            }
        }
        self.begin_sync();
        self.begin_flush(HUB);
        self.critical(HUB)
    }

    /// What clients do at one time. Returns whether anything was staged, and why they stopped.
    fn clients_meet(&mut self) -> (bool, Option<Stop>) {
        let clock = self.nodes[HUB].clock;
        let Some(Process::Hub(hub)) = &mut self.nodes[HUB].process else { return (false, None) };
        let acts = self.clients.between(1, self.plan.group_max);
        let mut desk = Desk {
            hub,
            model: &mut self.model,
            prng: &mut self.clients,
            writing: &self.plan.writing,
            open: &mut self.open,
            happened: &mut self.tally.happened,
            plant: self.options.plant,
            now_ms: self.now_ms,
            right_ms: clock.right_ms(self.now_ms),
            wall_ms: clock.wall_ms(self.now_ms),
            is_wrong: clock.wall != Wall::Right,
            staged: false,
        };
        let expires = self.expires_ms <= self.now_ms;
        if expires {
            self.expires_ms = self.now_ms + EXPIRE_EVERY_MS;
        }
        let stop = desk.meet(expires, acts).err();
        (desk.staged, stop)
    }

    pub(super) fn begin_sync(&mut self) {
        let node = &mut self.nodes[HUB];
        let Some(Process::Hub(hub)) = &mut node.process else { return };
        match self.plan.durability.sync_after_ms() {
            Some(pause_ms) if hub.calls_for_sync() => {
                self.queue.push(self.now_ms + pause_ms, Event::SyncDue(node.life));
            }
            None if hub.begin_sync() => {
                self.queue.push(self.now_ms + node.sync_ms, Event::Synced(node.life));
            }
            _ => {}
        }
    }

    pub(super) fn sync_is_due(&mut self, life: Life) {
        let node = &mut self.nodes[HUB];
        let Some(Process::Hub(hub)) = &mut node.process else { return };
        if node.life == life && hub.begin_called_sync() {
            self.queue.push(self.now_ms + node.sync_ms, Event::Synced(node.life));
        }
    }

    pub(super) fn hub_synced(&mut self, life: Life) -> Result<(), Breach> {
        let node = &mut self.nodes[HUB];
        let Some(Process::Hub(hub)) = &mut node.process else { return Ok(()) };
        if node.life != life {
            return Ok(());
        }
        let synced = hub.finish_sync();
        if node.is_off() {
            return self.power_is_off(HUB);
        }
        if synced == Err(Fatal) {
            return self.fatal(HUB);
        }
        self.hub_moved()?;
        self.begin_sync();
        self.critical(HUB)
    }

    /// More may be durable at the hub: it is acknowledged and served.
    pub(super) fn hub_moved(&mut self) -> Result<(), Breach> {
        let before = self.truth.durable();
        self.look_at_hub()?;
        if self.truth.durable() > before {
            self.acknowledged = self.acknowledged.max(self.truth.durable());
            self.note(HUB, Story::Acknowledged(self.acknowledged));
            self.writable |= self.owed.is_some_and(|owed| owed <= self.acknowledged);
            self.durable_moved(HUB)?;
        }
        Ok(())
    }

    /// What expired long ago goes from the tree although nobody writes.
    pub(super) fn free_expired(&mut self, number: NodeNumber) {
        let node = &mut self.nodes[number];
        let wall_ms = node.clock.wall_ms(self.now_ms);
        let freed = match &mut node.process {
            Some(Process::Hub(hub)) => hub.engine.free_expired(wall_ms),
            Some(Process::Follower(session)) => {
                session.replicas_mut().iter_mut().any(|replica| replica.free_expired(wall_ms))
            }
            None => false,
        };
        self.tally.happened.freed += u64::from(freed);
        self.begin_flush(number);
    }

    pub(super) fn begin_flush(&mut self, number: NodeNumber) {
        let node = &mut self.nodes[number];
        let mut has_room = node.home.borrow().has_room();
        if number == HUB && self.options.plant == Some(Plant::BusyForEver) {
            self.was_full |= !has_room;
            has_room = !self.was_full;
        }
        let begun = match &mut node.process {
            Some(Process::Hub(hub)) => hub.begin_flush(has_room),
            Some(Process::Follower(session)) => {
                session.replicas_mut().iter_mut().any(FleetReplica::begin_flush)
            }
            None => false,
        };
        if begun && !node.flush_due {
            node.flush_due = true;
            // Sometimes it overtakes the sync of what it holds.
            let took_ms = 1 + self.chance.below(3 * node.sync_ms);
            self.queue.push(self.now_ms + took_ms, Event::Flushed(number, node.life));
        }
    }

    pub(super) fn flushed(&mut self, number: NodeNumber, life: Life) -> Result<(), Breach> {
        let node = &mut self.nodes[number];
        if node.life != life {
            return Ok(());
        }
        node.flush_due = false;
        let mut fatal = false;
        match &mut node.process {
            Some(Process::Hub(hub)) => fatal = hub.finish_flush() == Err(Fatal),
            Some(Process::Follower(session)) => {
                for replica in session.replicas_mut() {
                    replica.finish_flush();
                    fatal |= replica.tree_failed;
                }
            }
            None => return Ok(()),
        }
        if node.is_off() {
            return self.power_is_off(number);
        }
        self.note(number, Story::Flushed);
        if fatal {
            return self.fatal(number);
        }
        if number == HUB {
            self.hub_moved()?;
        }
        self.begin_flush(number);
        self.critical(number)
    }
}
