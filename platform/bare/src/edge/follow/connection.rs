//! One connection after the other, and the bytes on it.

use super::{Follow, Tell};
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::edge::event::{AwayReason, Event};
use crate::edge::line::{Attempt, Phase};
use crate::net::{Network, Stream, StreamError};
use smoltcp::phy::Device;

/// How often the time is looked at while the hub takes no bytes.
const LOOK_UP_MS: u64 = 200;
/// Reads from the connection at a time.
const ROUNDS_MAX: usize = 8;

impl<D: BlockDevice> Follow<D> {
    /// Connects, moves bytes, applies what came; a bounded amount of each.
    pub(crate) fn poll<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        if self.session.is_busy() {
            return self.go_on(network, now_ms, tell);
        }
        match self.line.phase() {
            Phase::Down => self.connect_if_due(network, now_ms, tell),
            Phase::Connecting { since_ms } => {
                match self.line.attempt(network, since_ms, now_ms) {
                    Attempt::Pending(wake) => return wake,
                    Attempt::Failed(reason) => self.ended(network, reason, now_ms, tell),
                    Attempt::Connected => {
                        self.connections = self.connections.saturating_add(1);
                        self.session.link().connected(now_ms);
                    }
                }
                Wake::Now
            }
            Phase::Up if network.address().is_none() => {
                self.ended(network, AwayReason::NoAddress, now_ms, tell);
                Wake::Now
            }
            Phase::Up => self.converse(network, now_ms, tell),
        }
    }

    /// Takes more of a run that is taken in parts. Nothing is read meanwhile and no connection is given
    /// up, but the hub hears from this node.
    fn go_on<N: Device>(&mut self, network: &mut Network<N>, now_ms: u64, tell: Tell<'_>) -> Wake {
        let closing = self.step(now_ms, &mut *tell);
        if self.line.phase() == Phase::Up {
            let (mut stream, link) = (network.stream(self.line.socket()), self.session.link());
            // A connection that broke is found to be so by the next read.
            let _ = self.line.send(&mut stream, |out| link.poll_transmit(now_ms, out));
        }
        self.look(now_ms, &mut *tell);
        if let Some(reason) = closing.filter(|_| self.line.phase() == Phase::Up) {
            self.ended(network, reason, now_ms, tell);
        }
        Wake::Now
    }

    fn connect_if_due<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        if network.address().is_none() {
            return Wake::At(u64::MAX);
        }
        match self.session.link().reconnect_at() {
            Some(at_ms) if at_ms > now_ms => Wake::At(at_ms),
            _ if self.line.connect(network, now_ms) => {
                self.next_attempt_ms = None;
                Wake::Now
            }
            _ => {
                self.ended(network, AwayReason::Unreachable, now_ms, tell);
                Wake::Now
            }
        }
    }

    fn converse<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        let mut stream = network.stream(self.line.socket());
        let mut ended = None;
        let mut more = true;
        for _ in 0..ROUNDS_MAX {
            more = match self.round(&mut stream, now_ms, &mut *tell) {
                Ok(more) => more,
                Err(reason) => {
                    ended = Some(reason);
                    break;
                }
            };
            if !more || self.session.is_busy() {
                break;
            }
        }
        self.look(now_ms, &mut *tell);
        if let Some(reason) = ended {
            self.ended(network, reason, now_ms, tell);
            return Wake::Now;
        }
        if more { Wake::Now } else { Wake::At(self.deadline(now_ms)) }
    }

    /// What is overdue because bytes before it are still to be sent becomes no sooner possible by
    /// waking for it at once.
    fn deadline(&mut self, now_ms: u64) -> u64 {
        let due_ms = self.session.link().poll_timeout();
        let soonest_ms = if self.line.is_blocked() { now_ms.saturating_add(LOOK_UP_MS) } else { 0 };
        due_ms.max(soonest_ms)
    }

    /// Takes what came, says what is to be said, reads once; true when there may be more to read.
    fn round<S: Stream<Error = StreamError>>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Result<bool, AwayReason> {
        let closing = self.step(now_ms, tell);
        let link = self.session.link();
        let sent = self.line.send(stream, |out| link.poll_transmit(now_ms, out));
        sent.map_err(|_| AwayReason::Closed)?;
        closing.map_or(Ok(()), Err)?;
        if self.session.is_busy() {
            return Ok(true);
        }
        let mut more = false;
        if stream.read_ready().map_err(|_| AwayReason::Closed)? {
            let link = self.session.link();
            let space = link.space();
            if space.is_empty() {
                return Ok(false);
            }
            match stream.read(space) {
                Ok(0) | Err(StreamError::Reset) => return Err(AwayReason::Closed),
                Ok(bytes) => {
                    link.received(bytes, now_ms);
                    more = true;
                }
                Err(StreamError::NotReady) => {}
            }
        }
        let link = self.session.link();
        if link.poll_timeout() <= now_ms {
            link.handle_timeout(now_ms);
            more |= !self.line.is_blocked();
        }
        Ok(more)
    }

    /// The connection is gone, or none could be made.
    fn ended<N: Device>(
        &mut self,
        network: &mut Network<N>,
        reason: AwayReason,
        now_ms: u64,
        tell: Tell<'_>,
    ) {
        self.line.close(network);
        self.session.link().disconnected(now_ms);
        // What had arrived whole of a run that was cut off is taken too.
        self.step(now_ms, &mut *tell);
        self.away_since_ms = self.away_since_ms.or(Some(now_ms));
        let at_ms = self.session.link().reconnect_at().unwrap_or(now_ms);
        self.next_attempt_ms = Some(at_ms);
        if self.away != Some(reason) {
            self.away = Some(reason);
            let (hub, next_in_ms) = (self.line.hub(), at_ms.saturating_sub(now_ms));
            tell(Event::HubAway { hub, reason, next_in_ms });
        }
    }
}
