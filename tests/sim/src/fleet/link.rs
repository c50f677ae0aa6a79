//! Lines between nodes, and connections on them: two streams of bytes, each in order, cut into
//! pieces anywhere, late, and over at any moment.

use super::Store;
use super::node::NodeNumber;
use std::collections::VecDeque;
use unison_base::prng::Prng;
use unison_node::LeaderSession;

/// A connection's number, never used twice.
pub(super) type ConnectionId = u64;

/// Bytes that a sender's operating system takes before it says no.
pub(super) const SEND_BUFFER_BYTES: usize = 24 << 10;
/// A lost segment comes again after this long at least.
const RETRANSMIT_MS: u64 = 200;
const SEGMENT_BYTES: u64 = 1_460;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// To the leader.
    Up,
    /// To the follower.
    Down,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// What a follower's line to its leader is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) delay_ms: u64,
    pub(super) jitter_ms: u64,
    pub(super) bytes_per_second: u64,
    /// Percent of pieces that are lost at first.
    pub(super) loss: u64,
    /// Percent of connections whose stream comes in small pieces.
    pub(super) crumbs: u64,
    /// Until when nothing passes in a direction: up, down.
    pub(super) blocked_until_ms: [u64; 2],
}

impl Line {
    pub(super) const fn is_blocked(&self, direction: Direction, now_ms: u64) -> bool {
        self.blocked_until_ms[direction as usize] > now_ms
    }

    /// From the wish for a connection to its being there.
    pub(super) const fn round_trip_ms(&self) -> u64 {
        2 * self.delay_ms + 1
    }
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    Bytes(Vec<u8>),
    /// The sender has closed in order.
    End,
    /// The connection is gone.
    Reset,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    parcels: VecDeque<(u64, Parcel)>,
    /// When the line has taken everything that was sent.
    free_at_ms: u64,
    /// When the newest parcel arrives: none overtakes another.
    last_at_ms: u64,
    pub(super) queued_bytes: usize,
}

impl Pipe {
    /// Sends bytes. Returns when the first of them arrives, if nothing was on its way before.
    pub(super) fn send(
        &mut self,
        bytes: &[u8],
        line: &Line,
        crumbs: bool,
        now_ms: u64,
        prng: &mut Prng,
    ) -> Option<u64> {
        let was_idle = self.parcels.is_empty();
        let mut rest = bytes;
        while !rest.is_empty() {
            let most =
                if crumbs { prng.between(1, 60) } else { prng.between(1, 8 * SEGMENT_BYTES) };
            let (piece, behind) = rest.split_at(rest.len().min(usize::try_from(most).unwrap_or(1)));
            rest = behind;
            let at_ms = self.arrival(piece.len(), line, now_ms, prng);
            self.queued_bytes += piece.len();
            self.parcels.push_back((at_ms, Parcel::Bytes(piece.to_vec())));
        }
        if was_idle { self.next_at() } else { None }
    }

    /// Sends the end of the stream, in order behind everything else.
    pub(super) fn finish(&mut self, parcel: Parcel, line: &Line, now_ms: u64) -> Option<u64> {
        let was_idle = self.parcels.is_empty();
        let at_ms = self.last_at_ms.max(now_ms + line.delay_ms);
        self.last_at_ms = at_ms;
        self.parcels.push_back((at_ms, parcel));
        if was_idle { Some(at_ms) } else { None }
    }

    fn arrival(&mut self, bytes: usize, line: &Line, now_ms: u64, prng: &mut Prng) -> u64 {
        let transfer_ms = (bytes as u64 * 1_000).div_ceil(line.bytes_per_second.max(1));
        self.free_at_ms = self.free_at_ms.max(now_ms) + transfer_ms.saturating_sub(1);
        let mut late_ms = line.delay_ms + prng.below(line.jitter_ms + 1);
        let mut again_ms = RETRANSMIT_MS + 2 * line.delay_ms;
        while prng.chance(line.loss) && again_ms < 4_000 {
            late_ms += again_ms;
            again_ms *= 2;
        }
        self.last_at_ms = self.last_at_ms.max(self.free_at_ms + late_ms);
        self.last_at_ms
    }

    /// When the next parcel arrives.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.parcels.front().map(|&(at_ms, _)| at_ms)
    }

    /// Holds everything back until `at_ms`.
    pub(super) fn hold_until(&mut self, at_ms: u64) {
        for (due_ms, _) in &mut self.parcels {
            *due_ms = (*due_ms).max(at_ms);
        }
        self.last_at_ms = self.last_at_ms.max(at_ms);
    }

    /// The parcel that has arrived.
    pub(super) fn take(&mut self) -> Option<Parcel> {
        let (_, parcel) = self.parcels.pop_front()?;
        if let Parcel::Bytes(bytes) = &parcel {
            self.queued_bytes -= bytes.len();
        }
        Some(parcel)
    }

    /// Of what is on its way a part still arrives, ending anywhere, and then the news.
    pub(super) fn reset(&mut self, line: &Line, now_ms: u64, prng: &mut Prng) -> Option<u64> {
        let was_idle = self.parcels.is_empty();
        let kept = usize::try_from(prng.below(self.parcels.len() as u64 + 1)).unwrap_or(0);
        self.parcels.truncate(kept);
        if let Some((_, Parcel::Bytes(last))) = self.parcels.back_mut() {
            let part = usize::try_from(prng.between(1, last.len() as u64)).unwrap_or(1);
            last.truncate(part);
        }
        let bytes = self.parcels.iter().map(|(_, parcel)| match parcel {
            Parcel::Bytes(bytes) => bytes.len(),
            Parcel::End | Parcel::Reset => 0,
        });
        self.queued_bytes = bytes.sum();
        let at_ms = self.finish(Parcel::Reset, line, now_ms);
        // An event for the pipe is on its way unless nothing was.
        if was_idle { at_ms } else { None }
    }

    /// Turns a bit over of what arrives next; false when nothing is on its way.
    pub(super) fn flip_a_bit(&mut self, prng: &mut Prng) -> bool {
        let Some((_, Parcel::Bytes(bytes))) = self.parcels.front_mut() else { return false };
        let at = usize::try_from(prng.below(bytes.len() as u64)).unwrap_or(0);
        bytes[at] ^= 1 << prng.below(8);
        true
    }
}

/// One connection, as both sides see it.
pub(super) struct Connection {
    pub(super) follower: NodeNumber,
    pub(super) leader: NodeNumber,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// The follower's side is open.
    pub(super) follower_open: bool,
    /// The leader's side, while it is open.
    pub(super) session: Option<LeaderSession<Store>>,
    /// A leader's session that ends is given up then.
    pub(super) given_up_at_ms: Option<u64>,
    /// When the leader's machine is to be woken.
    pub(super) wake_at_ms: u64,
    /// What one side does the other never hears of.
    pub(super) silent: bool,
    /// Bytes come in small pieces.
    pub(super) crumbs: bool,
    /// A copy of another connection's first bytes; what its leader says goes nowhere.
    pub(super) twin: bool,
    /// The twin of this one.
    pub(super) twin_id: Option<ConnectionId>,
}

impl Connection {
    pub(super) const fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Whether anybody is left who could do something with it.
    pub(super) const fn is_over(&self) -> bool {
        !self.follower_open && self.session.is_none()
    }
}
