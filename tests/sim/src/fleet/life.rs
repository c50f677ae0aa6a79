//! Processes begin and end.

use super::fault::Fault;
use super::home::{Home, Opened, StartError};
use super::hub::Hub;
use super::link::Parcel;
use super::node::{HUB, NodeNumber, Process};
use super::outcome::{Breach, Promise};
use super::plan::below;
use super::queue::{Event, Life};
use super::replica::FleetReplica;
use super::story::Story;
use super::world::{World, new_disk};
use crate::disk::{Calls, Cut, Effect, Fault as DiskFault, Switch, When};
use std::rc::Rc;
use unison_base::{LogId, NamespaceName};
use unison_engine::OpenReport;
use unison_link::{ByeReason, FollowerConfig, NodeId, Role, Timing, Token};
use unison_node::FollowerSession;
use unison_ports::IoError;
use unison_walfs::LogRole;

/// The hub's log.
pub(super) const LOG_ID: LogId = LogId([7; 16]);
/// What a supervisor waits before it starts a process that failed.
const RESTART_MS: u64 = 1_000;
/// What a person needs to put another disk in.
const REPLACE_MS: u64 = 5_000;
const WINDOW_BYTES: u32 = 32 << 10;
const RUN_BYTES_MAX: u32 = 64 << 10;

/// How others hear of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// Its connections are reset.
    Reset,
    /// They hear nothing.
    None,
}

impl World {
    /// A process comes up on what is on its disk.
    pub(super) fn starts(&mut self, number: NodeNumber, life: Life) -> Result<(), Breach> {
        if self.nodes[number].life != life || self.nodes[number].process.is_some() {
            return Ok(());
        }
        self.tally.recoveries.starts += 1;
        let (now_ms, seed) = (self.now_ms, self.chance.next_u64());
        let node = &mut self.nodes[number];
        node.began_local_ms = node.clock.local_ms(now_ms);
        node.flush_due = false;
        let wall_ms = node.clock.wall_ms(now_ms);
        let started = if number == HUB {
            self.open_hub(wall_ms)
        } else {
            self.open_follower(number, seed, wall_ms)
        };
        if self.nodes[number].is_off() {
            self.nodes[number].process = None;
            return self.power_is_off(number);
        }
        match started {
            Ok((report, made_anew)) => self.started(number, &report, made_anew),
            Err(StartError::Medium(error)) => self.start_failed(number, &error),
            Err(StartError::Damaged(error))
                if self.nodes[number].marks.damaged && number != HUB =>
            {
                self.note(number, Story::Said(format!("cannot be served: {error}")));
                self.replace_disk(number);
                Ok(())
            }
            Err(StartError::Damaged(error)) => Err(self.breach(number, Promise::Damage, error)),
        }
    }

    fn open_hub(&mut self, wall_ms: u64) -> Result<(OpenReport, bool), StartError> {
        let opened: Opened = self.nodes[HUB].home.borrow_mut().open(LOG_ID, wall_ms)?;
        let found = (opened.report.clone(), opened.tree_made_anew);
        self.nodes[HUB].process = Some(Process::Hub(Box::new(Hub::new(opened))));
        Ok(found)
    }

    fn open_follower(
        &mut self,
        number: NodeNumber,
        seed: u64,
        wall_ms: u64,
    ) -> Result<(OpenReport, bool), StartError> {
        let node = &mut self.nodes[number];
        let home = Rc::clone(&node.home);
        let (replica, report, made_anew) =
            FleetReplica::open(home, self.options.plant, seed, wall_ms)?;
        let config = follower_config(&node.name, node.leads);
        let unusable = |_| StartError::Medium("the end of the log cannot be read".to_owned());
        let session = FollowerSession::new(config, seed, 0);
        let mut session = session.ok_or(StartError::Medium("sizes".to_owned()))?;
        session
            .follow(namespace(), replica)
            .map_err(unusable)?
            .map_err(|_| StartError::Medium("names".to_owned()))?;
        node.process = Some(Process::Follower(Box::new(session)));
        node.marks.generation = 0;
        Ok((report, made_anew))
    }

    fn start_failed(&mut self, number: NodeNumber, error: &str) -> Result<(), Breach> {
        self.tally.recoveries.failed_starts += 1;
        self.note(number, Story::Said(format!("does not start: {error}")));
        self.start_later(number, RESTART_MS);
        Ok(())
    }

    fn started(
        &mut self,
        number: NodeNumber,
        report: &OpenReport,
        made_anew: bool,
    ) -> Result<(), Breach> {
        self.tally.recovered(&report.recovery);
        self.tally.recoveries.trees_made_anew += u64::from(made_anew);
        let (appended, checkpoint) = (report.recovery.last, report.checkpoint);
        self.note(number, Story::Started { appended, checkpoint });
        if !report.recovery.events.is_empty() || report.missing > 0 {
            let found =
                format!("finds {:?}, {} records missing", report.recovery.events, report.missing);
            self.note(number, Story::Said(found));
        }
        self.nodes[number].connecting = false;
        self.nodes[number].started_ms = self.now_ms;
        self.nodes[number].marks.absent_ms = self.now_ms;
        self.nodes[number].marks.heard_ms = self.now_ms;
        if number == HUB {
            self.hub_recovered()?;
            self.hub_moved()?;
            self.begin_flush(HUB);
            return Ok(());
        }
        if self.follower_recovered(number, report)? {
            self.arm_follower(number);
            self.begin_flush(number);
        }
        Ok(())
    }

    /// Starts the next process of a node in a while.
    pub(super) fn start_later(&mut self, number: NodeNumber, pause_ms: u64) {
        let node = &mut self.nodes[number];
        node.life += 1;
        self.queue.push(self.now_ms + pause_ms, Event::Starts(number, node.life));
    }

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
        let home = &self.nodes[number].home;
        let disk = home.borrow().disk.crash(cut, &mut self.chance);
        home.borrow_mut().disk = disk;
    }

    /// The process is killed; its disk goes on.
    pub(super) fn kill(&mut self, number: NodeNumber) {
        self.end(number, Notice::Reset, "is killed");
        self.nodes[number].home.borrow().disk.heal();
    }

    /// The process cannot trust its disk any more; the next one recovers.
    pub(super) fn fatal(&mut self, number: NodeNumber) -> Result<(), Breach> {
        self.tally.recoveries.fatal += 1;
        self.end(number, Notice::Reset, "cannot go on");
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
                self.last_parcel(id, super::link::Direction::Up, tell.then_some(Parcel::Reset));
            } else if connection.leader == number && connection.session.is_some() {
                connection.session = None;
                self.last_parcel(id, super::link::Direction::Down, tell.then_some(Parcel::Reset));
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
        node.marks = super::node::Marks::default();
        self.start_later(number, REPLACE_MS);
    }

    /// A switch that goes off in the middle of one of the next calls of a node.
    pub(super) fn set_switch(&mut self, number: NodeNumber) {
        let directory = self.chance.chance(40);
        let nth = if directory { 1 } else { self.chance.between(1, 12) };
        let disk = self.nodes[number].home.borrow().disk.clone();
        disk.set_switch(Switch { nth, directory });
    }

    /// The first writes of the next start fail.
    pub(super) fn fail_repair(&mut self, number: NodeNumber) {
        let effect = Effect::Error(IoError::Device(5));
        let fault = DiskFault { calls: Calls::Writes, when: When::Nth(1), effect };
        self.nodes[number].home.borrow().disk.inject(fault);
    }
}

fn close(session: FollowerSession<FleetReplica>) {
    session.into_replicas().into_iter().for_each(FleetReplica::close);
}

pub(super) fn namespace() -> NamespaceName {
    NamespaceName::new("default").expect("a name within the rules")
}

fn follower_config(name: &str, leads: bool) -> FollowerConfig {
    FollowerConfig {
        node: NodeId::try_from(name).unwrap_or_default(),
        token: Token::default(),
        role: if leads { Role::Relay } else { Role::Replica },
        window_bytes: WINDOW_BYTES,
        run_bytes_max: RUN_BYTES_MAX,
        timing: Timing::default(),
    }
}
