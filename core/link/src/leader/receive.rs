//! From received bytes to events.

use super::served::Served;
use super::{Leader, LeaderEvent, Phase};
use crate::close::CloseReason;
use crate::inbox::Next;
use crate::messages::{
    Ack, Beat, BeatItem, Bye, Hello, NODE_ID_MAX, ProtocolRange, Role, TOKEN_MAX, Want,
};
use crate::wire::{HEADER_BYTES, Kind, Reader, WireError};
use alloc::boxed::Box;
use unison_base::NamespaceName;

/// What one step over the received bytes made.
enum Step {
    Event(LeaderEvent<'static>),
    /// A Hello; it is still the pending message.
    Hello,
    /// Nothing to report, go on.
    Quiet,
    /// Nothing more to go on with.
    Idle,
}

impl Leader {
    /// Room to read from the connection into; tell [`Self::received`] how much came. Empty while
    /// events are waiting.
    pub fn space(&mut self) -> &mut [u8] {
        self.inbox.space()
    }

    /// So many bytes were read into [`Self::space`].
    pub fn received(&mut self, bytes: usize, now_ms: u64) {
        self.clock(now_ms);
        self.inbox.filled(bytes);
        self.counters.received_bytes += bytes as u64;
        if bytes > 0 {
            self.pulse.heard(self.now_ms);
        }
    }

    /// Copies bytes in, as many as there is room for, and returns how many that were. Take events
    /// until there are none, then hand in the rest. A connection that is closing swallows all.
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) -> usize {
        if self.phase == Phase::Closing {
            return bytes.len();
        }
        let space = self.inbox.space();
        let taken = space.len().min(bytes.len());
        if let (Some(to), Some(from)) = (space.get_mut(..taken), bytes.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.received(taken, now_ms);
        taken
    }

    /// The next event; `None` when more bytes, more time or a decision on the last
    /// [`LeaderEvent::Hello`] are needed.
    pub fn poll_event(&mut self) -> Option<LeaderEvent<'_>> {
        loop {
            match self.step() {
                Step::Event(event) => return Some(event),
                Step::Hello => break,
                Step::Quiet => {}
                Step::Idle => return None,
            }
        }
        let hello: Hello<'_> =
            Reader::resume(self.inbox.pending(), Kind::Hello as u8, HEADER_BYTES).take().ok()?;
        Some(LeaderEvent::Hello {
            node: hello.node,
            token: hello.token,
            role: Role::decode(hello.role),
            protocol: self.protocol,
        })
    }

    fn step(&mut self) -> Step {
        match self.phase {
            Phase::Deciding => Step::Idle,
            Phase::Closing => self
                .closing
                .report
                .take()
                .map_or(Step::Idle, |reason| Step::Event(LeaderEvent::Close { reason })),
            Phase::Awaiting | Phase::Live => self.read().unwrap_or_else(|error| {
                self.close(CloseReason::Wire(error));
                Step::Quiet
            }),
        }
    }

    fn read(&mut self) -> Result<Step, WireError> {
        match self.inbox.next()? {
            Next::Empty => {
                self.pulse.message_done();
                Ok(Step::Idle)
            }
            Next::Part { bytes } => {
                self.pulse.message_open(bytes, self.now_ms);
                Ok(Step::Idle)
            }
            Next::Message { kind, bytes } => {
                self.pulse.message_done();
                self.message(kind, bytes)
            }
        }
    }

    fn message(&mut self, number: u8, bytes: usize) -> Result<Step, WireError> {
        if let Some(at) = self.list_at {
            return self.want(number, bytes, at);
        }
        let Some(kind) = Kind::of(number) else {
            Reader::open(self.whole(bytes))?;
            self.counters.skipped_messages += 1;
            self.inbox.consume(bytes);
            return Ok(Step::Quiet);
        };
        match (kind, self.phase) {
            (Kind::Hello, Phase::Awaiting) => self.hello(bytes),
            (Kind::Follow, Phase::Live) => self.follow(bytes),
            (Kind::Ack, Phase::Live) => self.ack(bytes),
            (Kind::Beat, Phase::Live) => self.beat(bytes),
            (Kind::Bye, _) => self.bye(bytes),
            _ => Err(WireError::Unexpected { kind: number }),
        }
    }

    fn whole(&self, bytes: usize) -> &[u8] {
        self.inbox.pending().get(..bytes).unwrap_or_default()
    }

    /// The version range is read first: the rest may be of a version this node cannot read.
    fn hello(&mut self, bytes: usize) -> Result<Step, WireError> {
        let mut reader = Reader::open(self.whole(bytes))?;
        let range: ProtocolRange = reader.clone().take()?;
        let Some(protocol) = ProtocolRange::OURS.common(range) else {
            self.close(CloseReason::Version);
            return Ok(Step::Quiet);
        };
        let hello: Hello<'_> = reader.take()?;
        if hello.node.len() > NODE_ID_MAX || hello.token.len() > TOKEN_MAX {
            return Err(WireError::Body { kind: Kind::Hello as u8 });
        }
        let (run_bytes_max, interval_ms) = (hello.run_bytes_max, hello.interval_ms);
        self.list_at = Some(reader.position());
        self.protocol = protocol;
        self.peer_run_bytes_max = run_bytes_max;
        self.phase = Phase::Deciding;
        self.pulse.greeted(interval_ms, self.now_ms);
        Ok(Step::Hello)
    }

    /// One namespace of a Hello, `at` bytes into it.
    fn want(&mut self, kind: u8, bytes: usize, at: usize) -> Result<Step, WireError> {
        let message = self.inbox.pending().get(..bytes).unwrap_or_default();
        let mut reader = Reader::resume(message, kind, at);
        if reader.is_empty() {
            self.list_at = None;
            self.inbox.consume(bytes);
            return Ok(Step::Quiet);
        }
        let want: Want<'_> = reader.take()?;
        self.list_at = Some(reader.position());
        let request = Request::of(&want, kind)?;
        Ok(self.wanted(request))
    }

    fn follow(&mut self, bytes: usize) -> Result<Step, WireError> {
        let kind = Kind::Follow as u8;
        let want: Want<'_> = Reader::open(self.whole(bytes))?.only()?;
        let request = Request::of(&want, kind)?;
        self.inbox.consume(bytes);
        Ok(self.wanted(request))
    }

    fn wanted(&mut self, request: Request) -> Step {
        let Request { name, want } = request;
        let Some(entry) = self.entry(want.namespace) else {
            self.close(CloseReason::TooManyNamespaces);
            return Step::Quiet;
        };
        match entry {
            Some(served) => served.asked_again(&want),
            None => *entry = Some(Box::new(Served::new(&want))),
        }
        self.counters.requests += 1;
        Step::Event(LeaderEvent::Follow { namespace: want.namespace, name, cursor: want.cursor })
    }

    fn entry(&mut self, number: u32) -> Option<&mut Option<Box<Served>>> {
        let at = usize::try_from(number).ok().filter(|_| number < self.config.namespaces_max)?;
        if at >= self.served.len() {
            self.served.resize(at + 1, None);
        }
        self.served.get_mut(at)
    }

    fn ack(&mut self, bytes: usize) -> Result<Step, WireError> {
        let ack: Ack = Reader::open(self.whole(bytes))?.only()?;
        self.inbox.consume(bytes);
        let Some(served) = self.served_mut(ack.namespace).filter(|served| served.is_serving())
        else {
            return Ok(Step::Quiet);
        };
        if !served.acked(&ack) {
            self.close(CloseReason::FalseAck);
            return Ok(Step::Quiet);
        }
        self.make_ready(ack.namespace);
        let Ack { namespace, durable, applied, .. } = ack;
        Ok(Step::Event(LeaderEvent::Ack { namespace, durable, applied }))
    }

    /// What a follower's beat says about namespaces its Acks have said already.
    fn beat(&mut self, bytes: usize) -> Result<Step, WireError> {
        let mut reader = Reader::open(self.whole(bytes))?;
        let beat: Beat = reader.take()?;
        while !reader.is_empty() {
            reader.take::<BeatItem>()?;
        }
        self.inbox.consume(bytes);
        self.pulse.beat_heard(&beat, self.now_ms);
        Ok(Step::Event(LeaderEvent::Beat { hlc: beat.hlc }))
    }

    fn bye(&mut self, bytes: usize) -> Result<Step, WireError> {
        let bye: Bye = Reader::open(self.whole(bytes))?.only()?;
        self.inbox.consume(bytes);
        self.close(CloseReason::Bye(bye.reason()));
        Ok(Step::Quiet)
    }
}

/// A checked [`Want`] that no longer borrows.
struct Request {
    name: NamespaceName,
    want: Want<'static>,
}

impl Request {
    fn of(want: &Want<'_>, kind: u8) -> Result<Self, WireError> {
        let fault = WireError::Body { kind };
        let name = NamespaceName::new(want.name).map_err(|_| fault)?;
        if want.filters != 0 {
            return Err(fault);
        }
        Ok(Self { name, want: Want { name: "", ..*want } })
    }
}
