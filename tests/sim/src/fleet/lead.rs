//! What a leader's driver does on each connection: it hands bytes in, answers, and sends what has
//! become durable, as far as the line takes it.

use super::link::{ConnectionId, Direction, Parcel, SEND_BUFFER_BYTES};
use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::queue::Event;
use super::story::Story;
use super::world::World;
use super::{Plant, Store};
use std::cell::RefCell;
use unison_base::frame::{HEADER_BYTES, peek_payload_bytes};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::{CloseReason, Role};
use unison_node::{Admission, LeaderSession, Outgoing, ServedNamespace, Source};
use unison_walfs::LogReader;

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
    pub(super) fn send_followers_away(&mut self, number: NodeNumber) {
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

    pub(super) fn leader_receives(
        &mut self,
        id: ConnectionId,
        parcel: Parcel,
    ) -> Result<(), Breach> {
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
