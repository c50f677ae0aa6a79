//! Processes begin.

use super::home::{Opened, StartError};
use super::hub::Hub;
use super::node::{HUB, NodeNumber, Process};
use super::outcome::{Breach, Promise};
use super::queue::{Event, Life};
use super::replica::FleetReplica;
use super::story::Story;
use super::world::World;
use std::rc::Rc;
use unison_base::{LogId, NamespaceName};
use unison_engine::OpenReport;
use unison_link::{FollowerConfig, NodeId, Role, Timing, Token};
use unison_node::FollowerSession;

/// The hub's log.
pub(super) const LOG_ID: LogId = LogId([7; 16]);
/// What a supervisor waits before it starts a process that failed.
pub(super) const RESTART_MS: u64 = 1_000;
const WINDOW_BYTES: u32 = 32 << 10;
const RUN_BYTES_MAX: u32 = 64 << 10;

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
        let rotted = self.look_for_rot(number);
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
            Ok((report, made_anew)) => {
                self.rot_is_said(number, rotted, &report)?;
                self.started(number, &report, made_anew)
            }
            Err(StartError::Medium(error)) => self.start_failed(number, &error),
            Err(StartError::Damaged(error)) if number != HUB && self.may_be_damaged(number) => {
                self.note(number, Story::Said(format!("cannot be served: {error}")));
                self.replace_disk(number);
                Ok(())
            }
            Err(StartError::Damaged(error)) => Err(self.breach(number, Promise::Damage, error)),
        }
    }

    /// Frames have rotted, or there is no log yet: then nothing proves what a damaged tree had held.
    fn may_be_damaged(&self, number: NodeNumber) -> bool {
        let node = &self.nodes[number];
        node.marks.damaged || node.home.borrow().segments().is_empty()
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
