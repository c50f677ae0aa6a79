//! Bytes between nodes.

use super::fault::Fault;
use super::link::{Connection, ConnectionId, Direction, Parcel, Pipe};
use super::node::NodeNumber;
use super::outcome::Breach;
use super::queue::Event;
use super::world::World;
use unison_link::{LeaderConfig, NodeId};
use unison_node::LeaderSession;

impl World {
    /// Whose process a direction of a connection leads to.
    pub(super) fn destination(&self, id: ConnectionId, direction: Direction) -> Option<NodeNumber> {
        let connection = self.connections.get(&id)?;
        Some(match direction {
            Direction::Up => connection.leader,
            Direction::Down => connection.follower,
        })
    }

    pub(super) fn open_connection(
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
            up: Pipe::default(),
            down: Pipe::default(),
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

    pub(super) fn send(&mut self, id: ConnectionId, direction: Direction, bytes: &[u8]) {
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
}
