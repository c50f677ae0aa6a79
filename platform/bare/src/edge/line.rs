//! The connection to the hub: from an attempt to its end.

use super::config::HubAddress;
use super::event::AwayReason;
use crate::board::Wake;
use crate::net::{Network, Stream, StreamError};
use alloc::boxed::Box;
use alloc::vec;
use core::ops::Range;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::tcp::State;

const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// What the hub sends at a stretch waits here for the disk.
const RECEIVE_BYTES: usize = 64 << 10;
/// Acknowledgements are a few bytes.
const SEND_BYTES: usize = 4 << 10;
/// Ports that nobody else asks for.
const LOCAL_PORTS: Range<u16> = 49_152..65_535;

/// Bytes of the link that the connection could not take yet.
const OUT_BYTES: usize = 4 << 10;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    Down,
    /// An attempt is under way.
    Connecting { since_ms: u64 },
    /// It stands.
    Up,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Connected,
    Failed(AwayReason),
    /// Wait until then.
    Pending(Wake),
}

/// One connection at a time, to one hub.
#[derive(Debug)]
pub(crate) struct Line {
    hub: HubAddress,
    socket: SocketHandle,
    phase: Phase,
    local_port: u16,
    out: Box<[u8]>,
    unsent: Range<usize>,
}

impl Line {
    pub(crate) fn new<N: Device>(network: &mut Network<N>, hub: HubAddress, seed: u64) -> Self {
        let socket = network.socket(RECEIVE_BYTES, SEND_BYTES);
        let ports = u64::from(LOCAL_PORTS.end - LOCAL_PORTS.start);
        let offset = u16::try_from(seed % ports).unwrap_or(0);
        let local_port = LOCAL_PORTS.start + offset;
        let out = vec![0; OUT_BYTES].into_boxed_slice();
        Self { hub, socket, phase: Phase::Down, local_port, out, unsent: 0..0 }
    }

    pub(crate) const fn hub(&self) -> HubAddress {
        self.hub
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn socket(&self) -> SocketHandle {
        self.socket
    }

    /// Begins an attempt; false when that cannot be done.
    pub(crate) fn connect<N: Device>(&mut self, network: &mut Network<N>, now_ms: u64) -> bool {
        let next = self.local_port + 1;
        self.local_port = if LOCAL_PORTS.contains(&next) { next } else { LOCAL_PORTS.start };
        self.unsent = 0..0;
        let peer = (self.hub.address, self.hub.port);
        let begun = network.connect(self.socket, peer, self.local_port);
        self.phase = if begun { Phase::Connecting { since_ms: now_ms } } else { Phase::Down };
        begun
    }

    /// Looks at an attempt that is under way.
    pub(crate) fn attempt<N: Device>(
        &mut self,
        network: &mut Network<N>,
        since_ms: u64,
        now_ms: u64,
    ) -> Attempt {
        let deadline_ms = since_ms.saturating_add(CONNECT_TIMEOUT_MS);
        match network.tcp(self.socket).state() {
            State::SynSent | State::SynReceived if now_ms < deadline_ms => {
                Attempt::Pending(Wake::At(deadline_ms))
            }
            State::SynSent | State::SynReceived => Attempt::Failed(AwayReason::Unreachable),
            State::Closed => Attempt::Failed(AwayReason::Refused),
            _ => {
                self.phase = Phase::Up;
                Attempt::Connected
            }
        }
    }

    /// Whether something waits for the connection to take it.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Ends it: what was written is still sent.
    pub(crate) fn close<N: Device>(&mut self, network: &mut Network<N>) {
        network.tcp(self.socket).close();
        self.phase = Phase::Down;
    }

    /// Sends what there is to say, as far as the connection takes it. `next` fills a buffer with
    /// what comes next and says how much that is.
    pub(crate) fn send<S: Stream<Error = StreamError>>(
        &mut self,
        stream: &mut S,
        mut next: impl FnMut(&mut [u8]) -> usize,
    ) -> Result<(), StreamError> {
        loop {
            if self.unsent.is_empty() {
                self.unsent = 0..next(&mut self.out).min(self.out.len());
            }
            let unsent = self.out.get(self.unsent.clone()).unwrap_or_default();
            if unsent.is_empty() || !stream.write_ready()? {
                return Ok(());
            }
            self.unsent.start += stream.write(unsent)?;
        }
    }
}
