//! Bytes between nodes: what the drivers of both ends of a connection do, as the platform does it.

use super::link::{Connection, ConnectionId, Direction, Parcel, SEND_BUFFER_BYTES};
use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::queue::{Event, Life};
use super::story::Story;
use super::world::World;
use super::{Plant, Store};
use crate::fleet::fault::Fault;
use std::cell::RefCell;
use unison_base::frame::{HEADER_BYTES, peek_payload_bytes};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::{CloseReason, LeaderConfig, NodeId, Role};
use unison_node::{Admission, LeaderSession, Outgoing, ServedNamespace, Source, Stepped};
use unison_walfs::LogReader;

/// A follower stops waiting for a connection.
const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// A leader gives a connection up that is ending and does not end.
const CLOSING_PATIENCE_MS: u64 = 5_000;
/// How often the time is looked at while the line takes nothing.
const LOOK_UP_MS: u64 = 200;
const OUT_BYTES: usize = 4 << 10;

/// What a node offers on a connection.
struct Offer {
    log: Option<(LogId, LogReader<Store>)>,
    acknowledged: RefCell<Vec<(Lsn, Lsn)>>,
}

impl Source<Store> for Offer {
    fn admit(&self, _: &str, _: &str, _: Role) -> Admission {
        Admission::Welcome
    }

    fn namespace(&self, _: &NamespaceName) -> Option<ServedNamespace<Store>> {
        let (log_id, log) = self.log.clone()?;
        Some(ServedNamespace { log_id, log, segment_bytes: super::home::SEGMENT_BYTES })
    }

    fn log_id(&self, _: &NamespaceName) -> Option<LogId> {
        self.log.as_ref().map(|(log_id, _)| *log_id)
    }

    fn withdrawn(&self, _: &NamespaceName) {}

    fn acknowledged(&self, _: &NamespaceName, durable: Lsn, applied: Lsn) {
        self.acknowledged.borrow_mut().push((durable, applied));
    }
}

impl World {
    /// Whose process a direction of a connection leads to.
    pub(super) fn destination(&self, id: ConnectionId, direction: Direction) -> Option<NodeNumber> {
        let connection = self.connections.get(&id)?;
        Some(match direction {
            Direction::Up => connection.leader,
            Direction::Down => connection.follower,
        })
    }

    pub(super) fn follower_timer(&mut self, number: NodeNumber, life: Life) -> Result<(), Breach> {
        let node = &mut self.nodes[number];
        if node.life != life || node.wake_at_ms != self.now_ms || node.connecting {
            return Ok(());
        }
        node.wake_at_ms = 0;
        let local_ms = node.local_ms(self.now_ms);
        let Some(session) = node.follower() else { return Ok(()) };
        match session.link().reconnect_at() {
            Some(at_ms) if at_ms <= local_ms => {
                self.attempt(number);
                Ok(())
            }
            Some(_) => {
                self.arm_follower(number);
                Ok(())
            }
            None => {
                session.link().handle_timeout(local_ms);
                self.pump_follower(number)
            }
        }
    }

    fn attempt(&mut self, number: NodeNumber) {
        let node = &mut self.nodes[number];
        let Some(upstream) = &node.upstream else { return };
        node.connecting = true;
        let blocked = Direction::BOTH.iter().any(|&at| upstream.line.is_blocked(at, self.now_ms));
        let (pause_ms, event) = if blocked {
            (CONNECT_TIMEOUT_MS, Event::ConnectTimeout(number, node.life))
        } else {
            (upstream.line.round_trip_ms(), Event::Connects(number, node.life))
        };
        self.queue.push(self.now_ms + pause_ms, event);
    }

    pub(super) fn connects(&mut self, number: NodeNumber, life: Life) -> Result<(), Breach> {
        let node = &self.nodes[number];
        let Some(upstream) = node.upstream.as_ref().filter(|_| node.life == life) else {
            return Ok(());
        };
        let leader = upstream.leader;
        if self.nodes[leader].process.is_none() {
            return self.not_connected(number, life);
        }
        if self.nodes[leader].is_paused(self.now_ms) {
            // The operating system holds the connection until the process takes it.
            self.queue.push(self.nodes[leader].paused_until_ms, Event::Connects(number, life));
            return Ok(());
        }
        let id = self.open_connection(number, leader, false);
        self.tally.recoveries.connections += 1;
        self.note(number, Story::Connected(id));
        let local_ms = self.nodes[number].local_ms(self.now_ms);
        self.nodes[number].connecting = false;
        self.nodes[number].connection = Some(id);
        self.nodes[number].marks.heard_ms = self.now_ms;
        if let Some(session) = self.nodes[number].follower() {
            session.link().connected(local_ms);
        }
        if self.is_on(Fault::Twin) && self.chance.chance(20) {
            let twin = self.open_connection(number, leader, true);
            self.tally.fault(Fault::Twin);
            self.connections.get_mut(&id).into_iter().for_each(|at| at.twin_id = Some(twin));
        }
        self.pump_follower(number)
    }

    fn open_connection(
        &mut self,
        follower: NodeNumber,
        leader: NodeNumber,
        twin: bool,
    ) -> ConnectionId {
        self.connections_made += 1;
        let local_ms = self.nodes[leader].local_ms(self.now_ms);
        let name = NodeId::try_from(self.nodes[leader].name.as_str()).unwrap_or_default();
        let crumbs = self.nodes[follower].upstream.as_ref().map_or(0, |at| at.line.crumbs);
        let connection = Connection {
            follower,
            leader,
            up: super::link::Pipe::default(),
            down: super::link::Pipe::default(),
            follower_open: !twin,
            session: Some(LeaderSession::new(LeaderConfig::new(name), local_ms)),
            given_up_at_ms: None,
            wake_at_ms: 0,
            silent: self.is_on(Fault::HalfOpen) && self.chance.chance(15),
            crumbs: self.network.chance(crumbs),
            twin,
            twin_id: None,
        };
        if connection.silent {
            self.tally.fault(Fault::HalfOpen);
        }
        self.connections.insert(self.connections_made, connection);
        self.arm_leader(self.connections_made);
        self.connections_made
    }

    /// No connection could be made.
    pub(super) fn not_connected(&mut self, number: NodeNumber, life: Life) -> Result<(), Breach> {
        let node = &mut self.nodes[number];
        if node.life != life {
            return Ok(());
        }
        node.connecting = false;
        let local_ms = node.local_ms(self.now_ms);
        if let Some(session) = node.follower() {
            session.link().disconnected(local_ms);
        }
        self.note(number, Story::NotConnected);
        self.step_follower(number)?;
        self.arm_follower(number);
        Ok(())
    }

    /// Does what a follower's driver does when something has happened.
    pub(super) fn pump_follower(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let open = self.step_follower(number)?;
        if self.nodes[number].process.is_none() {
            return Ok(());
        }
        let local_ms = self.nodes[number].local_ms(self.now_ms);
        self.transmit_up(number, local_ms);
        if !open {
            self.hang_up(number)?;
        }
        if self.nodes[number].process.is_some() {
            self.arm_follower(number);
        }
        Ok(())
    }

    /// Takes all events of a follower. False when its connection is to be closed.
    fn step_follower(&mut self, number: NodeNumber) -> Result<bool, Breach> {
        let (now_ms, node) = (self.now_ms, &mut self.nodes[number]);
        let (local_ms, wall_ms) = (node.local_ms(now_ms), node.clock.wall_ms(now_ms));
        let Some(session) = node.follower() else { return Ok(false) };
        let mut told = Vec::new();
        let open = session.step(local_ms, wall_ms, &mut |stepped| told.push(stepped));
        let cuts = session.replicas_mut().iter_mut().any(|at| std::mem::take(&mut at.cuts));
        if cuts {
            node.marks.durable = Lsn::ZERO;
        }
        if node.is_off() {
            self.power_is_off(number)?;
            return Ok(false);
        }
        let mut fatal = false;
        for stepped in told {
            fatal |= self.told(number, stepped);
        }
        self.look_at_follower(number)?;
        if fatal {
            self.fatal(number)?;
            return Ok(false);
        }
        self.replica_moved(number)?;
        Ok(open)
    }

    /// Notes what a step found. True when the process has to end.
    fn told(&mut self, number: NodeNumber, stepped: Stepped) -> bool {
        self.note(number, Story::Said(format!("{stepped:?}")));
        match stepped {
            Stepped::BadRun { .. } => self.tally.recoveries.refused_runs += 1,
            Stepped::SetAside { .. } => self.tally.recoveries.set_aside += 1,
            Stepped::Replica { error, .. } => return error.is_fatal(),
            Stepped::Serving { .. } | Stepped::Waiting { .. } | Stepped::Close { .. } => {}
        }
        false
    }

    /// A relay serves what has become durable; those who read a log that it has replaced are sent
    /// away.
    fn replica_moved(&mut self, number: NodeNumber) -> Result<(), Breach> {
        self.begin_flush(number);
        let node = &mut self.nodes[number];
        let generation =
            node.follower().and_then(|session| Some(session.replicas().first()?.generation));
        let generation = generation.unwrap_or_default();
        if generation != node.marks.generation {
            node.marks.generation = generation;
            self.tally.recoveries.begun_anew += 1;
            self.send_followers_away(number);
        }
        if self.nodes[number].leads { self.durable_moved(number) } else { Ok(()) }
    }

    fn send_followers_away(&mut self, number: NodeNumber) {
        let served: Vec<_> = self.served_by(number);
        for id in served {
            self.connections.get_mut(&id).into_iter().for_each(|at| at.session = None);
            self.last_parcel(id, Direction::Down, Some(Parcel::Reset));
        }
    }

    fn served_by(&self, number: NodeNumber) -> Vec<ConnectionId> {
        let served = self.connections.iter();
        let served = served.filter(|(_, at)| at.leader == number && at.session.is_some());
        served.map(|(&id, _)| id).collect()
    }

    /// Wakes whoever serves a node's log.
    pub(super) fn durable_moved(&mut self, number: NodeNumber) -> Result<(), Breach> {
        self.served_by(number).into_iter().try_for_each(|id| self.pump_leader(id))
    }

    /// Sends what the follower has to say.
    pub(super) fn transmit_up(&mut self, number: NodeNumber, local_ms: u64) {
        let mut out = [0; OUT_BYTES];
        loop {
            let Some(session) = self.nodes[number].follower() else { return };
            let bytes = session.link().poll_transmit(local_ms, &mut out);
            if bytes == 0 {
                return;
            }
            if let Some(id) = self.nodes[number].connection {
                self.send(id, Direction::Up, &out[..bytes]);
            }
        }
    }

    fn send(&mut self, id: ConnectionId, direction: Direction, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let twin = connection.twin_id.filter(|_| direction == Direction::Up);
        if connection.twin && direction == Direction::Down {
            return;
        }
        let Some(upstream) = &self.nodes[connection.follower].upstream else { return };
        if direction == Direction::Down {
            self.sent_down_bytes += bytes.len() as u64;
        }
        let crumbs = connection.crumbs;
        let pipe = connection.pipe(direction);
        let due = pipe.send(bytes, &upstream.line, crumbs, self.now_ms, &mut self.network);
        if let Some(at_ms) = due {
            self.queue.push(at_ms, Event::Arrives(id, direction));
        }
        if let Some(twin) = twin {
            self.send(twin, Direction::Up, bytes);
        }
    }

    /// Ends a direction of a connection; without a parcel nobody hears of it.
    pub(super) fn last_parcel(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        parcel: Option<Parcel>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(upstream) = &self.nodes[connection.follower].upstream else { return };
        if let Some(parcel) = parcel {
            let due = connection.pipe(direction).finish(parcel, &upstream.line, self.now_ms);
            if let Some(at_ms) = due {
                self.queue.push(at_ms, Event::Arrives(id, direction));
            }
        }
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: ConnectionId) {
        if self.connections.get(&id).is_some_and(Connection::is_over) {
            self.connections.remove(&id);
        }
    }

    /// A parcel has arrived, unless the line holds it back.
    pub(super) fn arrives(&mut self, id: ConnectionId, direction: Direction) -> Result<(), Breach> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(upstream) = &self.nodes[connection.follower].upstream else { return Ok(()) };
        let blocked_until_ms = upstream.line.blocked_until_ms[direction as usize];
        let pipe = connection.pipe(direction);
        if blocked_until_ms > self.now_ms {
            // What was sent meanwhile comes again once the line is back.
            pipe.hold_until(blocked_until_ms + self.network.below(1_000));
        }
        match pipe.next_at() {
            None => return Ok(()),
            Some(at_ms) if at_ms > self.now_ms => {
                self.queue.push(at_ms, Event::Arrives(id, direction));
                return Ok(());
            }
            Some(_) => {}
        }
        let parcel = pipe.take();
        if let Some(at_ms) = pipe.next_at() {
            self.queue.push(at_ms.max(self.now_ms), Event::Arrives(id, direction));
        }
        let Some(parcel) = parcel else { return Ok(()) };
        match direction {
            Direction::Up => self.leader_receives(id, parcel),
            Direction::Down => self.follower_receives(id, parcel),
        }
    }

    fn follower_receives(&mut self, id: ConnectionId, parcel: Parcel) -> Result<(), Breach> {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        let (number, leader_open) = (connection.follower, connection.session.is_some());
        if self.nodes[number].connection != Some(id) || !connection.follower_open {
            // Nobody has this connection any more: the other side hears so, unless it never hears.
            let known = self.nodes[number].process.is_some() && !connection.silent && leader_open;
            self.last_parcel(id, Direction::Up, known.then_some(Parcel::Reset));
            return Ok(());
        }
        let Parcel::Bytes(bytes) = parcel else { return self.hang_up(number) };
        self.note(number, Story::Received(id, Direction::Down, bytes.len()));
        self.nodes[number].marks.heard_ms = self.now_ms;
        let (mut rest, mut refused) = (bytes.as_slice(), 0);
        while !rest.is_empty() && self.nodes[number].connection == Some(id) {
            let local_ms = self.nodes[number].local_ms(self.now_ms);
            let Some(session) = self.nodes[number].follower() else { return Ok(()) };
            let taken = session.link().handle_bytes(rest, local_ms);
            rest = &rest[taken..];
            refused = if taken == 0 { refused + 1 } else { 0 };
            if refused > 2 {
                let detail = "takes no bytes any more".to_owned();
                return Err(self.breach(number, Promise::Alive, detail));
            }
            self.pump_follower(number)?;
        }
        if self.connections.contains_key(&id) { self.pump_leader(id) } else { Ok(()) }
    }

    /// The follower closes its side.
    pub(super) fn hang_up(&mut self, number: NodeNumber) -> Result<(), Breach> {
        if let Some(id) = self.nodes[number].connection.take() {
            self.note(number, Story::HungUp(id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.follower_open = false;
                let tell = !connection.silent && connection.session.is_some();
                self.last_parcel(id, Direction::Up, tell.then_some(Parcel::End));
            }
        }
        let local_ms = self.nodes[number].local_ms(self.now_ms);
        let Some(session) = self.nodes[number].follower() else { return Ok(()) };
        session.link().disconnected(local_ms);
        // What had arrived whole of a run that was cut off is taken too.
        self.step_follower(number)?;
        if self.nodes[number].process.is_some() {
            self.arm_follower(number);
        }
        Ok(())
    }

    pub(super) fn arm_follower(&mut self, number: NodeNumber) {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[number];
        let Some(session) = node.follower() else { return };
        let due_ms = session.link().poll_timeout();
        let at_ms = node.true_ms(due_ms, now_ms);
        if node.wake_at_ms != at_ms && !node.connecting {
            node.wake_at_ms = at_ms;
            self.queue.push(at_ms, Event::FollowerTimer(number, node.life));
        }
    }

    fn leader_receives(&mut self, id: ConnectionId, parcel: Parcel) -> Result<(), Breach> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let number = connection.leader;
        let Some(session) = &mut connection.session else {
            let known = self.nodes[number].process.is_some() && !connection.silent;
            let tell = (known && connection.follower_open).then_some(Parcel::Reset);
            self.last_parcel(id, Direction::Down, tell);
            return Ok(());
        };
        let Parcel::Bytes(bytes) = parcel else {
            connection.session = None;
            let tell = (!connection.silent && connection.follower_open).then_some(Parcel::Reset);
            self.last_parcel(id, Direction::Down, tell);
            return Ok(());
        };
        let local_ms = self.nodes[number].local_ms(self.now_ms);
        let mut taken = session.link().handle_bytes(&bytes, local_ms);
        self.note(number, Story::Received(id, Direction::Up, bytes.len()));
        self.pump_leader(id)?;
        while taken < bytes.len() {
            let Some(at) = self.connections.get_mut(&id) else { return Ok(()) };
            let Some(session) = &mut at.session else { return Ok(()) };
            let more = session.link().handle_bytes(&bytes[taken..], local_ms);
            taken += more;
            if more == 0 {
                let detail = "takes no bytes any more".to_owned();
                return Err(self.breach(number, Promise::Alive, detail));
            }
            self.pump_leader(id)?;
        }
        Ok(())
    }

    pub(super) fn leader_timer(&mut self, id: ConnectionId) -> Result<(), Breach> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        if connection.wake_at_ms != self.now_ms {
            return Ok(());
        }
        connection.wake_at_ms = 0;
        let local_ms = self.nodes[connection.leader].local_ms(self.now_ms);
        let Some(session) = &mut connection.session else { return Ok(()) };
        session.link().handle_timeout(local_ms);
        self.pump_leader(id)
    }

    /// Does what a leader's driver does when something has happened.
    pub(super) fn pump_leader(&mut self, id: ConnectionId) -> Result<(), Breach> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let (number, now_ms) = (connection.leader, self.now_ms);
        let Some(mut session) = connection.session.take() else { return Ok(()) };
        let offer = Offer { log: self.nodes[number].log(), acknowledged: RefCell::default() };
        let given_up = connection.given_up_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let reason = session.step(&offer);
        if reason.is_some() {
            connection.given_up_at_ms = Some(now_ms + CLOSING_PATIENCE_MS);
        }
        session.durable_moved(&offer);
        let dead = matches!(reason, Some(CloseReason::Dead | CloseReason::Stalled)) || given_up;
        let open = !dead && self.transmit_down(id, number, &mut session);
        if self.nodes[number].is_off() {
            return self.power_is_off(number);
        }
        self.look_at_acknowledged(
            number,
            id,
            &offer.acknowledged.into_inner(),
            offer.log.as_ref(),
        )?;
        if let Some(reason) = reason {
            self.note(number, Story::Said(format!("closes #{id}: {reason}")));
        }
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        if open {
            connection.session = Some(session);
            self.arm_leader(id);
        } else {
            self.note(number, Story::Dismissed(id));
            let silent = self.connections.get(&id).is_none_or(|at| at.silent);
            let parcel = if dead { Parcel::Reset } else { Parcel::End };
            self.last_parcel(id, Direction::Down, (!silent).then_some(parcel));
        }
        Ok(())
    }

    /// Sends what the leader has to say, as far as the line takes it. False when all is said.
    fn transmit_down(
        &mut self,
        id: ConnectionId,
        number: NodeNumber,
        session: &mut LeaderSession<Store>,
    ) -> bool {
        let local_ms = self.nodes[number].local_ms(self.now_ms);
        let mut out = [0; OUT_BYTES];
        while self.connections.get(&id).is_some_and(|at| at.down.queued_bytes < SEND_BUFFER_BYTES) {
            match session.poll_transmit(local_ms, &mut out) {
                Outgoing::Bytes(bytes) => self.send(id, Direction::Down, &out[..bytes]),
                Outgoing::Head(head) => self.send(id, Direction::Down, &head),
                Outgoing::Run { head, frames } => {
                    self.send(id, Direction::Down, &head);
                    let frames = self.on_the_way(&frames);
                    self.send(id, Direction::Down, &frames);
                }
                Outgoing::Idle => return true,
                Outgoing::Close => return false,
            }
        }
        true
    }

    /// The frames as they arrive: with a bug, not as they were sent.
    fn on_the_way(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut frames = frames.to_vec();
        if self.options.plant == Some(Plant::CrcUnchecked) && self.network.chance(5) {
            flip_unseen(&mut frames, self.network.next_u64());
        }
        frames
    }

    pub(super) fn arm_leader(&mut self, id: ConnectionId) {
        let now_ms = self.now_ms;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let node = &self.nodes[connection.leader];
        let Some(session) = &mut connection.session else { return };
        let mut at_ms = node.true_ms(session.link().poll_timeout(), now_ms);
        if connection.down.queued_bytes >= SEND_BUFFER_BYTES {
            at_ms = at_ms.max(now_ms + LOOK_UP_MS);
        }
        if let Some(given_up_at_ms) = connection.given_up_at_ms {
            at_ms = given_up_at_ms.max(now_ms + 1);
        }
        if connection.wake_at_ms != at_ms {
            connection.wake_at_ms = at_ms;
            self.queue.push(at_ms, Event::LeaderTimer(id));
        }
    }
}

/// Turns a bit of the first frame's payload over, and makes its checksum fit.
fn flip_unseen(frames: &mut [u8], luck: u64) {
    let Some(length) = peek_payload_bytes(frames) else { return };
    let end = HEADER_BYTES + length as usize;
    let at = HEADER_BYTES + usize::try_from(luck % u64::from(length.max(1))).unwrap_or(0);
    if end <= frames.len() {
        frames[at] ^= 1 << (luck >> 61);
        let crc = unison_base::checksum::crc32c(&frames[4..end]);
        frames[..4].copy_from_slice(&crc.to_le_bytes());
    }
}
