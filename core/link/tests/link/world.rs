//! One leader node, one follower node, the line between them, and time.

use crate::line::{Fate, Line};
use crate::log::FakeLog;
use crate::node::{Connection, leader_events, send_piece, with_false_acks};
use std::collections::{BTreeMap, VecDeque};
use unison_base::{Hlc, LogId, NamespaceName};
use unison_link::{
    CloseReason, Divergence, FollowerConfig, FollowerEvent, HeapFollower, Leader, LeaderConfig,
    LogEnd, NodeId, Refusal, Role, RunFault, SendError, Timing, Token, Transmit,
};

/// What has been seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) closes: Vec<CloseReason>,
    pub(crate) leader_closes: Vec<CloseReason>,
    pub(crate) waiting: Vec<(u32, Refusal)>,
    pub(crate) diverged: Vec<(u32, Divergence)>,
    pub(crate) faults: Vec<RunFault>,
    pub(crate) welcomes: u64,
    pub(crate) runs: Vec<(u32, u32)>,
    pub(crate) send_errors: Vec<SendError>,
    pub(crate) seals: u64,
    pub(crate) beats: u64,
    pub(crate) attempts_ms: Vec<u64>,
    pub(crate) frame_bytes_sent: u64,
    pub(crate) down_bytes: u64,
    pub(crate) up_bytes: u64,
    pub(crate) largest_transmit: usize,
}

impl Seen {
    fn news(&mut self, event: &FollowerEvent<'_>) {
        match *event {
            FollowerEvent::Waiting { namespace, reason } => self.waiting.push((namespace, reason)),
            FollowerEvent::Diverged { namespace, why } => self.diverged.push((namespace, why)),
            FollowerEvent::BadRun { fault, .. } => self.faults.push(fault),
            FollowerEvent::Close { reason } => self.closes.push(reason),
            FollowerEvent::Beat { .. } => self.beats += 1,
            _ => {}
        }
    }
}

/// Bugs on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bugs {
    /// The leader's driver serves every cursor.
    pub(crate) trusting: bool,
    /// The leader's driver begins so many records too late.
    pub(crate) late_by: u64,
    /// The follower acknowledges one record more than it has.
    pub(crate) false_acks: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) delay_ms: u64,
    /// Bytes per delivery; the machines must not care.
    pub(crate) chunk: usize,
    pub(crate) leader_logs: BTreeMap<String, FakeLog>,
    pub(crate) follower: HeapFollower,
    pub(crate) follower_logs: Vec<FakeLog>,
    pub(crate) connection: Option<Connection>,
    pub(crate) fates: VecDeque<Fate>,
    pub(crate) reachable: bool,
    /// The follower's disk keeps up.
    pub(crate) appending: bool,
    pub(crate) refuse_runs: u32,
    pub(crate) leader_timing: Timing,
    pub(crate) bugs: Bugs,
    pub(crate) seen: Seen,
}

pub(crate) fn config(timing: Timing) -> FollowerConfig {
    FollowerConfig {
        node: NodeId::try_from("edge-1").unwrap(),
        token: Token::new("secret").unwrap(),
        role: Role::Replica,
        window_bytes: 1 << 20,
        run_bytes_max: 1 << 20,
        timing,
    }
}

impl World {
    pub(crate) fn new(config: FollowerConfig) -> Self {
        let timing = config.timing;
        let memory = vec![0; 4_096];
        Self {
            now_ms: 1_000_000,
            delay_ms: 0,
            chunk: usize::MAX,
            leader_logs: BTreeMap::new(),
            follower: HeapFollower::new(config, memory, Vec::new(), 7, 1_000_000).unwrap(),
            follower_logs: Vec::new(),
            connection: None,
            fates: VecDeque::new(),
            reachable: true,
            appending: true,
            refuse_runs: 0,
            leader_timing: timing,
            bugs: Bugs::default(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn lead(&mut self, name: &str, records: usize, extra: usize) -> &mut FakeLog {
        let id = (self.leader_logs.len() % 250) as u8 + 1;
        let log = self.leader_logs.entry(name.into()).or_insert_with(|| FakeLog::new(id, 65_536));
        (0..records).for_each(|_| log.append(extra));
        log
    }

    pub(crate) fn follow(&mut self, name: &str) -> u32 {
        let name = NamespaceName::new(name).unwrap();
        let end = LogEnd::empty(LogId::default());
        self.follower_logs.push(FakeLog::new(0, 65_536));
        self.follower.follow(name, end).unwrap()
    }

    /// New durable records at the leader, told to the connection as its driver would.
    pub(crate) fn append(&mut self, name: &str, records: usize, extra: usize) {
        let log = self.leader_logs.get_mut(name).unwrap();
        (0..records).for_each(|_| log.append(extra));
        self.tell_durable(name);
    }

    pub(crate) fn tell_durable(&mut self, name: &str) {
        let durable = self.leader_logs[name].durable;
        let Some(connection) = &mut self.connection else { return };
        for (number, (of, _)) in &connection.readings {
            if of == name {
                connection.leader.durable(*number, durable);
            }
        }
    }

    pub(crate) fn converged(&self) -> bool {
        (0..).zip(&self.follower_logs).all(|(number, log)| {
            let name = self.follower.name(number).unwrap().as_str();
            self.leader_logs.get(name).is_some_and(|leader| leader.same_frames(log))
        })
    }

    /// Everything that can happen without time passing.
    pub(crate) fn settle(&mut self) {
        while self.turn() {}
    }

    /// Lets time pass up to `until_ms`, from one thing due to the next.
    pub(crate) fn run_until(&mut self, until_ms: u64) {
        loop {
            self.settle();
            let due = self.due_ms().max(self.now_ms + 1);
            if due > until_ms {
                self.now_ms = self.now_ms.max(until_ms);
                return;
            }
            self.now_ms = due;
            self.timeouts();
        }
    }

    pub(crate) fn run_for(&mut self, ms: u64) {
        self.run_until(self.now_ms + ms);
    }

    fn due_ms(&self) -> u64 {
        let mut due = self.follower.poll_timeout();
        if let Some(connection) = &self.connection {
            let lines = [&connection.up, &connection.down];
            let arrivals = lines.iter().filter_map(|line| line.on_the_way.front());
            let leader =
                if connection.leader_done { u64::MAX } else { connection.leader.poll_timeout() };
            due = arrivals.map(|(at, _)| *at).chain([leader]).fold(due, u64::min);
        }
        due
    }

    fn timeouts(&mut self) {
        self.deliver();
        self.follower.handle_timeout(self.now_ms);
        if let Some(connection) = &mut self.connection {
            connection.leader.handle_timeout(self.now_ms);
        }
    }

    /// One round; false when nothing moved.
    pub(crate) fn turn(&mut self) -> bool {
        let connected = self.connect();
        let delivered = self.deliver();
        let up = self.follower_transmits();
        let down = self.leader_transmits();
        let ended = self.end_connection();
        connected | delivered | up | down | ended
    }

    fn connect(&mut self) -> bool {
        if self.connection.is_some()
            || self.follower.reconnect_at().is_none_or(|at| at > self.now_ms)
        {
            return false;
        }
        self.seen.attempts_ms.push(self.now_ms);
        if !self.reachable {
            self.follower.disconnected(self.now_ms);
            return true;
        }
        let fate = self.fates.pop_front().unwrap_or_default();
        let mut leader = LeaderConfig::new(NodeId::try_from("hub").unwrap());
        leader.timing = self.leader_timing;
        let mut leader = Leader::new(leader, self.now_ms);
        leader.set_hlc(Hlc::from_millis(1_700_000_000_000));
        let tape = fate.record.then(Vec::new);
        let line =
            |cut_after, damage| Line { cut_after, damage, tape: tape.clone(), ..Line::default() };
        self.connection = Some(Connection {
            leader,
            down: line(fate.cut_down, fate.damage_down),
            up: line(fate.cut_up, fate.damage_up),
            readings: BTreeMap::new(),
            leader_done: false,
        });
        self.follower.set_hlc(Hlc::from_millis(1_700_000_000_000));
        self.follower.connected(self.now_ms);
        true
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        while let Some(bytes) = self.connection.as_mut().and_then(|c| c.up.take(self.now_ms)) {
            any = true;
            let bytes = if self.bugs.false_acks { with_false_acks(&bytes) } else { bytes };
            bytes.chunks(self.chunk.min(bytes.len())).for_each(|chunk| self.deliver_up(chunk));
        }
        while let Some(bytes) = self.connection.as_mut().and_then(|c| c.down.take(self.now_ms)) {
            any = true;
            bytes.chunks(self.chunk.min(bytes.len())).for_each(|chunk| self.deliver_down(chunk));
        }
        any
    }

    pub(crate) fn deliver_down(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.follower.handle_bytes(bytes, self.now_ms);
            bytes = &bytes[taken..];
            let events = self.follower_events();
            assert!(taken > 0 || events, "the follower neither takes bytes nor makes events");
        }
    }

    /// Does what the follower asks for; false when that was nothing.
    pub(crate) fn follower_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.follower.poll_event() {
            any = true;
            let mut run = None;
            match event {
                FollowerEvent::Run { namespace, range, frames } => {
                    self.seen.runs.push((namespace, range.bytes));
                    if self.refuse_runs == 0 {
                        self.follower_logs[namespace as usize].append_run(&range, frames);
                    }
                    run = Some(namespace);
                }
                FollowerEvent::Seal { namespace, seal } => {
                    self.seen.seals += 1;
                    self.follower_logs[namespace as usize].seal_at(&seal);
                }
                FollowerEvent::Welcome { namespace, served } => {
                    self.seen.welcomes += 1;
                    self.follower_logs[namespace as usize].id = served.log;
                }
                news => self.seen.news(&news),
            }
            if let Some(namespace) = run {
                self.run_done(namespace);
            }
        }
        any
    }

    /// Tells the follower what became of a run.
    fn run_done(&mut self, namespace: u32) {
        let log = &self.follower_logs[namespace as usize];
        if self.refuse_runs > 0 {
            self.refuse_runs -= 1;
            self.follower.refused(namespace, log.end(), self.now_ms);
        } else if self.appending {
            self.follower.appended(namespace, log.last(), log.last(), self.now_ms);
        }
    }

    /// The follower's disk has caught up.
    pub(crate) fn append_done(&mut self) {
        for (namespace, log) in (0..).zip(&self.follower_logs) {
            self.follower.appended(namespace, log.last(), log.last(), self.now_ms);
        }
    }

    fn deliver_up(&mut self, mut bytes: &[u8]) {
        let Some(connection) = &mut self.connection else { return };
        while !bytes.is_empty() {
            let taken = connection.leader.handle_bytes(bytes, self.now_ms);
            bytes = &bytes[taken..];
            leader_events(connection, &self.leader_logs, self.bugs, &mut self.seen);
        }
    }

    fn follower_transmits(&mut self) -> bool {
        self.follower_events();
        let mut out = [0; 2_048];
        let bytes = self.follower.poll_transmit(self.now_ms, &mut out);
        let Some(connection) = &mut self.connection else { return false };
        self.seen.up_bytes += bytes as u64;
        connection.up.put(&out[..bytes], self.now_ms + self.delay_ms);
        bytes > 0
    }

    pub(crate) fn leader_transmits(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        leader_events(connection, &self.leader_logs, self.bugs, &mut self.seen);
        let mut out = [0; 2_048];
        let before = connection.down.sent;
        let arrival_ms = self.now_ms + self.delay_ms;
        let moved = match connection.leader.poll_transmit(self.now_ms, &mut out) {
            Transmit::Bytes(bytes) => {
                self.seen.largest_transmit = self.seen.largest_transmit.max(bytes);
                connection.down.put(&out[..bytes], arrival_ms);
                true
            }
            Transmit::Run { namespace, bytes_max, .. } => {
                send_piece(
                    connection,
                    &self.leader_logs,
                    namespace,
                    bytes_max,
                    arrival_ms,
                    &mut self.seen,
                );
                true
            }
            Transmit::Idle => false,
            Transmit::Close => !std::mem::replace(&mut connection.leader_done, true),
        };
        self.seen.down_bytes += connection.down.sent - before;
        moved
    }

    fn end_connection(&mut self) -> bool {
        let closing = self.follower.state() == unison_link::LinkState::Closing;
        let Some(connection) = &self.connection else { return false };
        let flushed = connection.down.on_the_way.is_empty() && connection.up.on_the_way.is_empty();
        let gone = connection.leader_done && flushed && !connection.down.dead;
        if !(connection.up.is_cut() || connection.down.is_cut() || closing && flushed || gone) {
            return false;
        }
        self.disconnect();
        true
    }

    pub(crate) fn disconnect(&mut self) {
        self.follower_events();
        self.connection = None;
        self.follower.disconnected(self.now_ms);
        self.follower_events();
    }
}
