//! Processes end: in order, killed, with the power, or because they cannot trust their disk.

use super::Plant;
use super::fault::Fault;
use super::home::Home;
use super::life::RESTART_MS;
use super::link::{Direction, Parcel};
use super::node::{HUB, Marks, NodeNumber, Process};
use super::outcome::Breach;
use super::plan::below;
use super::replica::FleetReplica;
use super::story::Story;
use super::world::{World, new_disk};
use crate::disk::{Calls, Cut, Effect, Fault as DiskFault, Switch, When};
use unison_base::Lsn;
use unison_link::ByeReason;
use unison_node::FollowerSession;
use unison_ports::IoError;
use unison_walfs::LogRole;

/// What a person needs to put another disk in.
const REPLACE_MS: u64 = 5_000;

/// How others hear of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// Its connections are reset.
    Reset,
    /// They hear nothing.
    None,
}

impl World {
    /// The power went in the middle of a call of this node.
    pub(super) fn power_is_off(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let cut = self.any_cut();
        self.cut_power(number, cut);
        if self.is_on(Fault::CutInRecovery) && self.chance.chance(40) {
            // Troubles come in pairs: what the first cut has left must survive the second.
            self.tally.fault(Fault::CutInRecovery);
            self.set_switch(number);
        }
        let pause_ms = self.downtime_ms();
        self.start_later(number, pause_ms);
        Ok(())
    }

    pub(super) fn any_cut(&mut self) -> Cut {
        Cut::ALL[below(&mut self.chance, Cut::ALL.len())]
    }

    /// How long a node is down.
    pub(super) fn downtime_ms(&mut self) -> u64 {
        if self.calm || self.chance.chance(70) {
            self.chance.between(100, 3_000)
        } else {
            self.chance.between(3_000, 30_000)
        }
    }

    /// The power goes, and with it the process and what was not synced.
    pub(super) fn cut_power(&mut self, number: NodeNumber, cut: Cut) {
        self.end(number, Notice::None, "loses power");
        self.nodes[number].marks.is_stale = false;
        self.forget_answers(number);
        let home = &self.nodes[number].home;
        let disk = home.borrow().disk.crash(cut, &mut self.chance);
        home.borrow_mut().disk = disk;
    }

    /// The process is killed; its disk goes on.
    pub(super) fn kill(&mut self, number: NodeNumber) {
        self.end(number, Notice::Reset, "is killed");
        let mut home = self.nodes[number].home.borrow_mut();
        if number == HUB && self.options.plant == Some(Plant::LostInProcess) {
            home.disk = home.disk.crash(Cut::LOST, &mut self.chance);
        }
        home.disk.heal();
    }

    /// What was answered before its sync may be gone: with the power, or because a sync failed.
    fn forget_answers(&mut self, number: NodeNumber) {
        if number == HUB {
            self.answered = Lsn::ZERO;
        }
    }

    /// The process cannot trust its disk any more; the next one recovers.
    pub(super) fn fatal(&mut self, number: NodeNumber) -> Result<(), Breach> {
        self.tally.recoveries.fatal += 1;
        self.forget_answers(number);
        self.end(number, Notice::Reset, "cannot go on");
        if self.is_on(Fault::RepairFails) && self.chance.chance(60) {
            // What a failed sync has left in doubt is written again, which fails too.
            self.tally.fault(Fault::RepairFails);
            self.fail_repair(number);
            self.nodes[number].cut_soon = true;
        }
        self.start_later(number, RESTART_MS);
        Ok(())
    }

    /// The process ends in order.
    pub(super) fn stop(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let (now_ms, node) = (self.now_ms, &mut self.nodes[number]);
        let local_ms = node.local_ms(now_ms);
        if let Some(session) = node.follower() {
            session.link().leave(ByeReason::Shutdown);
            self.transmit_up(number, local_ms);
        }
        let process = self.end(number, Notice::Reset, "stops");
        match process {
            Some(Process::Hub(hub)) => {
                // A log that does not close in order is recovered.
                let _ = hub.engine.close();
            }
            Some(Process::Follower(session)) => close(*session),
            None => {}
        }
        if self.nodes[number].is_off() { self.power_is_off(number) } else { Ok(()) }
    }

    fn end(&mut self, number: NodeNumber, notice: Notice, how: &'static str) -> Option<Process> {
        if self.nodes[number].process.is_some() {
            self.note(number, Story::Ended(how));
        }
        if number == HUB {
            // What was not acknowledged may go with the process.
            self.owed = None;
            self.open.iter_mut().for_each(|transaction| transaction.is_lost = true);
        }
        let node = &mut self.nodes[number];
        let process = node.process.take();
        node.life += 1;
        node.connection = None;
        node.connecting = false;
        node.wake_at_ms = 0;
        node.flush_due = false;
        self.leave_connections(number, notice == Notice::Reset);
        process
    }

    /// Closes a node's side of all its connections; with `tell` the others hear of it.
    fn leave_connections(&mut self, number: NodeNumber, tell: bool) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let tell = tell && !connection.silent;
            if connection.follower == number && connection.follower_open {
                connection.follower_open = false;
                self.last_parcel(id, Direction::Up, tell.then_some(Parcel::Reset));
            } else if connection.leader == number && connection.session.is_some() {
                connection.session = None;
                self.last_parcel(id, Direction::Down, tell.then_some(Parcel::Reset));
            }
        }
    }

    /// A person has been told of damage and puts an empty disk in.
    pub(super) fn replace_disk(&mut self, number: NodeNumber) {
        self.tally.recoveries.replaced_disks += 1;
        self.end(number, Notice::Reset, "gets another disk");
        let nth = self.tally.recoveries.replaced_disks;
        let disk = new_disk(&self.options, number, nth);
        let node = &mut self.nodes[number];
        *node.home.borrow_mut() =
            Home::new(disk, LogRole::Follower, self.plan.memtable_bytes, self.options.plant);
        node.marks = Marks::default();
        self.start_later(number, REPLACE_MS);
    }

    /// A switch that goes off in the middle of one of the next calls of a node.
    pub(super) fn set_switch(&mut self, number: NodeNumber) {
        let directory = self.chance.chance(40);
        let nth = if directory { 1 } else { self.chance.between(1, 12) };
        let disk = self.nodes[number].home.borrow().disk.clone();
        disk.set_switch(Switch { nth, directory });
    }

    /// One of the first writes of the next start fails.
    pub(super) fn fail_repair(&mut self, number: NodeNumber) {
        let effect = Effect::Error(IoError::Device(5));
        let when = When::Nth(if self.chance.chance(60) { 1 } else { self.chance.between(2, 4) });
        let fault = DiskFault { calls: Calls::Writes, when, effect };
        self.nodes[number].home.borrow().disk.inject(fault);
    }
}

fn close(session: FollowerSession<FleetReplica>) {
    session.into_replicas().into_iter().for_each(FleetReplica::close);
}
