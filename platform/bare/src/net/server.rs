//! A port that is listened on: a fixed number of conversations, and one place more to tell a caller
//! that there are too many.

use super::{Network, TcpStream};
use crate::board::Wake;
use alloc::string::String;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::tcp::State;

/// How long a caller may take to hear why the conversation has ended.
const LINGER_MS: u64 = 5_000;
/// How long a caller may take to complete the handshake: places are scarce.
const HANDSHAKE_MS: u64 = 5_000;
/// Scratch for what a caller still sends after that.
const DRAIN_BYTES: usize = 512;

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on; to be driven again then, or when bytes come.
    Open(Wake),
    /// It is over; what was written is still sent.
    Over,
}

/// One caller, driven whenever something may have happened.
pub(crate) trait Conversation<X> {
    /// A caller has come.
    fn begin(now_ms: u64) -> Self;

    /// Moves bytes and answers; does a bounded amount of work.
    fn drive(&mut self, stream: &mut TcpStream<'_>, now_ms: u64, service: &mut X) -> Outcome;
}

#[derive(Debug)]
enum Place<C> {
    /// Nobody has come.
    Free,
    /// Somebody has begun a handshake.
    Greeting {
        since_ms: u64,
    },
    Serving(C),
    /// The last words are on their way.
    Ending {
        since_ms: u64,
    },
}

/// Buffers of a server's sockets, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    pub(crate) receive_bytes: usize,
    pub(crate) send_bytes: usize,
}

/// What a server has seen since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// A port with places for `PLACES - 1` callers.
#[derive(Debug)]
pub(crate) struct Server<C, const PLACES: usize> {
    port: u16,
    /// What a caller is told for whom there is no place.
    refusal: String,
    places: [(SocketHandle, Place<C>); PLACES],
    counters: Counters,
}

impl<C, const PLACES: usize> Server<C, PLACES> {
    /// Most callers at a time.
    pub(crate) const CALLERS_MAX: usize = PLACES - 1;

    pub(crate) fn new<N: Device>(
        network: &mut Network<N>,
        port: u16,
        buffers: Buffers,
        refusal: String,
    ) -> Self {
        let Buffers { receive_bytes, send_bytes } = buffers;
        let places =
            core::array::from_fn(|_| (network.socket(receive_bytes, send_bytes), Place::Free));
        Self { port, refusal, places, counters: Counters::default() }
    }

    /// Callers that are served.
    pub(crate) fn callers(&self) -> usize {
        self.places.iter().filter(|(_, place)| matches!(place, Place::Serving(_))).count()
    }

    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Greets who has come, drives who is there, frees the places of who has gone.
    pub(crate) fn drive<N: Device, X>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        service: &mut X,
    ) -> Wake
    where
        C: Conversation<X>,
    {
        let mut callers = self.callers();
        let mut wake = Wake::At(u64::MAX);
        for (socket, place) in &mut self.places {
            match place.arrival(network, *socket, self.port) {
                Arrival::Taken => {}
                Arrival::Nobody => *place = Place::Free,
                Arrival::Half => place.greet(network, *socket, now_ms),
                Arrival::Caller if callers < Self::CALLERS_MAX => {
                    callers += 1;
                    self.counters.accepted += 1;
                    *place = Place::Serving(C::begin(now_ms));
                }
                Arrival::Caller => {
                    self.counters.refused += 1;
                    refuse(network, *socket, &self.refusal);
                    *place = Place::Ending { since_ms: now_ms };
                }
            }
            wake = wake.earlier(place.drive(network, *socket, now_ms, service));
        }
        wake
    }
}

/// What a look at a place finds.
enum Arrival {
    /// The place is in use.
    Taken,
    Nobody,
    /// A handshake is under way.
    Half,
    Caller,
}

impl<C> Place<C> {
    /// Whether somebody has connected to a place that is not in use; listens when nobody can.
    fn arrival<N: Device>(
        &self,
        network: &mut Network<N>,
        socket: SocketHandle,
        port: u16,
    ) -> Arrival {
        if matches!(self, Self::Serving(_) | Self::Ending { .. }) {
            return Arrival::Taken;
        }
        let socket = network.tcp(socket);
        match socket.state() {
            State::Listen => Arrival::Nobody,
            State::SynReceived => Arrival::Half,
            State::Closed | State::TimeWait => {
                // Port 0 is never configured, and a closed socket can listen.
                let _ = socket.listen(port);
                Arrival::Nobody
            }
            _ => Arrival::Caller,
        }
    }

    /// Gives up a handshake that takes too long, so that others can connect.
    fn greet<N: Device>(&mut self, network: &mut Network<N>, socket: SocketHandle, now_ms: u64) {
        let since_ms = if let Self::Greeting { since_ms } = *self { since_ms } else { now_ms };
        *self = Self::Greeting { since_ms };
        if now_ms >= since_ms.saturating_add(HANDSHAKE_MS) {
            network.tcp(socket).abort();
            *self = Self::Free;
        }
    }

    fn drive<N: Device, X>(
        &mut self,
        network: &mut Network<N>,
        socket: SocketHandle,
        now_ms: u64,
        service: &mut X,
    ) -> Wake
    where
        C: Conversation<X>,
    {
        if let Self::Serving(conversation) = self {
            match conversation.drive(&mut network.stream(socket), now_ms, service) {
                Outcome::Open(wake) => return wake,
                Outcome::Over => {
                    network.tcp(socket).close();
                    *self = Self::Ending { since_ms: now_ms };
                }
            }
        }
        let since_ms = match *self {
            Self::Ending { since_ms } => since_ms,
            Self::Greeting { since_ms } => return Wake::At(since_ms.saturating_add(HANDSHAKE_MS)),
            Self::Free | Self::Serving(_) => return Wake::At(u64::MAX),
        };
        let deadline_ms = since_ms.saturating_add(LINGER_MS);
        if !has_gone(network, socket) {
            if now_ms < deadline_ms {
                return Wake::At(deadline_ms);
            }
            network.tcp(socket).abort();
        }
        *self = Self::Free;
        Wake::Now
    }
}

/// Reads what the caller still sends, so that it comes to its end and hears the last words, and says
/// whether there is nobody left.
fn has_gone<N: Device>(network: &mut Network<N>, socket: SocketHandle) -> bool {
    let socket = network.tcp(socket);
    let mut scratch = [0; DRAIN_BYTES];
    while socket.can_recv() && socket.recv_slice(&mut scratch).is_ok_and(|bytes| bytes > 0) {}
    matches!(socket.state(), State::Closed | State::TimeWait)
}

fn refuse<N: Device>(network: &mut Network<N>, socket: SocketHandle, refusal: &str) {
    let socket = network.tcp(socket);
    // A new connection's send buffer is empty: the text fits, and who does not listen is lost.
    let _ = socket.send_slice(refusal.as_bytes());
    socket.close();
}
