//! What a follower's driver does: it connects, hands bytes in, applies, says what there is to say,
//! and tries again, as the platform's does.

use super::fault::Fault;
use super::link::{ConnectionId, Direction, Parcel};
use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::queue::{Event, Life};
use super::story::Story;
use super::world::World;
use unison_base::Lsn;
use unison_node::{ReplicaError, Stepped};

/// A follower stops waiting for a connection.
const CONNECT_TIMEOUT_MS: u64 = 10_000;
const OUT_BYTES: usize = 4 << 10;

impl World {
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
            node.marks.had = node.marks.had.max(node.marks.durable);
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
            Stepped::Replica { error, .. } => {
                self.nodes[number].marks.cut_failed |= matches!(error, ReplicaError::Cut(_));
                return error.is_fatal();
            }
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

    pub(super) fn follower_receives(
        &mut self,
        id: ConnectionId,
        parcel: Parcel,
    ) -> Result<(), Breach> {
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
}
