//! The loop: one event after the other, until faults end and all nodes agree.

use super::Options;
use super::clock::NodeClock;
use super::fault::Tally;
use super::home::Home;
use super::link::{Connection, ConnectionId};
use super::model::Model;
use super::node::{HUB, Marks, Node, NodeNumber, Upstream};
use super::outcome::{Breach, Outcome, Promise};
use super::plan::Plan;
use super::queue::{Event, Queue};
use super::story::Story;
use super::trace::Trace;
use super::transaction::Transaction;
use super::truth::Truth;
use crate::disk::{CrashDisk, DiskOptions};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::WriteError;
use unison_walfs::LogRole;

/// Between two looks at everything.
const LOOK_EVERY_MS: u64 = 5_000;
/// Events at one moment, beyond which something goes round in circles.
const EVENTS_AT_ONCE_MAX: u64 = 200_000;

/// Nodes, lines, and what must be true of them.
pub(super) struct World {
    pub(super) options: Options,
    pub(super) plan: Plan,
    pub(super) now_ms: u64,
    pub(super) queue: Queue,
    pub(super) nodes: Vec<Node>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) connections_made: ConnectionId,
    pub(super) model: Model,
    pub(super) truth: Truth,
    pub(super) acknowledged: Lsn,
    /// What a hub of weaker durability has answered: it survives a kill and no power cut.
    pub(super) answered: Lsn,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    /// One stream of chances each, so that one part does not change another's luck.
    pub(super) network: Prng,
    pub(super) chance: Prng,
    pub(super) clients: Prng,
    pub(super) looks: Prng,
    /// Clients write.
    pub(super) busy: bool,
    /// Faults have ended.
    pub(super) calm: bool,
    /// A write that was taken after the faults, until it is acknowledged.
    pub(super) owed: Option<Lsn>,
    /// A write that was taken after the faults has been acknowledged.
    pub(super) writable: bool,
    /// What the hub said when it refused a write last.
    pub(super) refusal: Option<WriteError>,
    /// The hub's disk was full once, which a planted bug never forgets.
    pub(super) was_full: bool,
    pub(super) converged_ms: u64,
    pub(super) digests: (u64, u64),
    /// Bytes sent to followers.
    pub(super) sent_down_bytes: u64,
    /// Transactions that clients take for open.
    pub(super) open: Vec<Transaction>,
    /// When the hub says next what has expired.
    pub(super) expires_ms: u64,
    /// Whose turn it is.
    acting: NodeNumber,
}

impl World {
    pub(super) fn new(options: &Options) -> Self {
        let stream = |number: u64| Prng::new(options.seed ^ (number << 56) ^ 0x5EED);
        let plan = Plan::draw(options, &mut stream(1), &mut stream(7)).favour(options.plant);
        let mut lines = stream(2);
        let nodes = (0..=plan.leaders.len()).map(|number| node(options, &plan, number, &mut lines));
        Self {
            options: *options,
            now_ms: 0,
            queue: Queue::default(),
            nodes: nodes.collect(),
            connections: BTreeMap::new(),
            connections_made: 0,
            model: Model::default(),
            truth: Truth::default(),
            acknowledged: Lsn::ZERO,
            answered: Lsn::ZERO,
            trace: Trace::new(options.teller),
            tally: Tally::default(),
            network: stream(3),
            chance: stream(4),
            clients: stream(5),
            looks: stream(6),
            busy: true,
            calm: false,
            owed: None,
            writable: false,
            refusal: None,
            was_full: false,
            converged_ms: 0,
            digests: (0, 0),
            sent_down_bytes: 0,
            open: Vec::new(),
            expires_ms: 0,
            acting: HUB,
            plan,
        }
    }

    /// Runs to the end; the first broken promise ends it sooner.
    pub(super) fn run(&mut self) -> Result<(), Breach> {
        let minutes_ms = self.options.minutes * 60_000;
        let plan = format!("{:?}", self.plan);
        self.note(HUB, Story::Said(plan));
        for number in 0..self.nodes.len() {
            self.queue.push(0, Event::Starts(number, 0));
        }
        self.queue.push(1, Event::Clients);
        self.queue.push(1_000, Event::Strikes);
        self.queue.push(LOOK_EVERY_MS, Event::Looks);
        self.go_on_until(minutes_ms)?;
        self.calm_down()?;
        self.converge()
    }

    pub(super) fn go_on_until(&mut self, until_ms: u64) -> Result<(), Breach> {
        let (mut moment_ms, mut at_once) = (self.now_ms, 0);
        while let Some((at_ms, event)) = self.queue.pop(until_ms) {
            at_once = if at_ms == moment_ms { at_once + 1 } else { 0 };
            moment_ms = at_ms;
            self.now_ms = at_ms;
            self.acting = self.node_of(event).unwrap_or(HUB);
            if at_once > EVENTS_AT_ONCE_MAX {
                return Err(self.breach(HUB, Promise::Alive, format!("hangs at {event:?}")));
            }
            self.handle(event)?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Breach> {
        if let Some(number) = self.node_of(event)
            && self.nodes[number].is_paused(self.now_ms)
        {
            self.put_off(number, event);
            return Ok(());
        }
        match event {
            Event::Clients => self.clients_write(),
            Event::SyncDue(life) => {
                self.sync_is_due(life);
                Ok(())
            }
            Event::Synced(life) => self.hub_synced(life),
            Event::Flushed(number, life) => self.flushed(number, life),
            Event::Arrives(id, direction) => self.arrives(id, direction),
            Event::FollowerTimer(number, life) => self.follower_timer(number, life),
            Event::LeaderTimer(id) => self.leader_timer(id),
            Event::Connects(number, life) => self.connects(number, life),
            Event::ConnectTimeout(number, life) => self.not_connected(number, life),
            Event::Starts(number, life) => self.starts(number, life),
            Event::Strikes => self.strikes(),
            Event::RoomAgain(number) => {
                self.nodes[number].home.borrow().disk.set_free_bytes(None);
                Ok(())
            }
            Event::Looks => {
                self.queue.push(self.now_ms + LOOK_EVERY_MS, Event::Looks);
                self.look_at_all()
            }
        }
    }

    /// What a process sleeps through comes when it wakes up.
    fn put_off(&mut self, number: NodeNumber, event: Event) {
        let (now_ms, at_ms) = (self.now_ms, self.nodes[number].paused_until_ms);
        let wake_at_ms = match event {
            Event::FollowerTimer(..) => Some(&mut self.nodes[number].wake_at_ms),
            Event::LeaderTimer(id) => self.connections.get_mut(&id).map(|at| &mut at.wake_at_ms),
            _ => None,
        };
        if let Some(wake_at_ms) = wake_at_ms.filter(|wake_at_ms| **wake_at_ms == now_ms) {
            *wake_at_ms = at_ms;
        }
        self.queue.push(at_ms, event);
    }

    /// Whose process has to be awake for an event.
    fn node_of(&self, event: Event) -> Option<NodeNumber> {
        match event {
            Event::Clients | Event::SyncDue(_) | Event::Synced(_) => Some(HUB),
            Event::Flushed(number, _)
            | Event::FollowerTimer(number, _)
            | Event::Connects(number, _)
            | Event::ConnectTimeout(number, _) => Some(number),
            Event::Starts(number, _) => Some(number),
            Event::Arrives(id, direction) => self.destination(id, direction),
            Event::LeaderTimer(id) => self.connections.get(&id).map(|at| at.leader),
            _ => None,
        }
    }

    pub(super) fn note(&mut self, number: NodeNumber, story: Story) {
        self.trace.note(self.now_ms, &self.nodes[number].name, &story);
    }

    pub(super) fn breach(&self, number: NodeNumber, promise: Promise, detail: String) -> Breach {
        let node = self.nodes[number].name.clone();
        Breach { promise, node, at_ms: self.now_ms, detail }
    }

    /// What a panic means.
    pub(super) fn panicked(&self, panic: &(dyn Any + Send)) -> Breach {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        self.breach(self.acting, Promise::Alive, format!("panicked: {text}"))
    }

    pub(super) fn outcome(self, result: Result<(), Breach>) -> Outcome {
        Outcome {
            seed: self.options.seed,
            hash: self.trace.hash(),
            simulated_ms: self.now_ms,
            converged_ms: self.converged_ms,
            events: self.trace.events(),
            records: self.truth.durable().0,
            log_bytes: self.truth.bytes(),
            digests: self.digests,
            tally: self.tally,
            breach: result.err(),
        }
    }
}

fn node(options: &Options, plan: &Plan, number: NodeNumber, prng: &mut Prng) -> Node {
    let upstream = number.checked_sub(1).map(|at| {
        let leader = plan.leaders[at];
        Upstream { leader, line: Plan::line(prng) }
    });
    let name = match number {
        HUB => "hub".to_owned(),
        relay if relay <= plan.relays => format!("relay-{relay}"),
        edge => format!("edge-{}", edge - plan.relays),
    };
    let role = if number == HUB { LogRole::Leader } else { LogRole::Follower };
    let disk = new_disk(options, number, 0);
    let NodeClock { wall, drift_ppm } = Plan::clock();
    Node {
        name,
        upstream,
        leads: number == HUB || plan.leaders.contains(&number),
        clock: NodeClock { wall, drift_ppm },
        home: Rc::new(RefCell::new(Home::new(disk, role, plan.memtable_bytes, options.plant))),
        process: None,
        life: 0,
        began_local_ms: 0,
        connection: None,
        connecting: false,
        wake_at_ms: 0,
        paused_until_ms: 0,
        sync_ms: plan.sync_ms,
        flush_due: false,
        cut_soon: false,
        started_ms: 0,
        marks: Marks::default(),
    }
}

/// An empty disk; `nth` counts the disks a node has had.
pub(super) fn new_disk(options: &Options, number: NodeNumber, nth: u64) -> CrashDisk {
    let seed = options.seed ^ ((number as u64) << 32) ^ (nth << 48);
    CrashDisk::with(DiskOptions { mapped: false, seed })
}
