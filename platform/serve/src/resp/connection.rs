//! One connection: bytes in, commands, bytes out.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unison_engine::Reached;
use unison_resp::parse::Parser;

use super::run::Run;
use super::session::Session;
use crate::budget::{INPUT_BYTES_MAX, Share};
use crate::watch::Ended;

/// Room that is kept for the next bytes.
const READ_BYTES: usize = 16 << 10;
/// Most room made at a time, so that a length alone makes nobody's memory grow.
const READ_BYTES_MAX: usize = 256 << 10;
/// Replies beyond this are written before the next command is looked at.
const OUTPUT_BYTES: usize = 256 << 10;
/// Memory for replies that a quiet connection keeps.
const OUTPUT_BYTES_KEPT: usize = 32 << 10;
/// How long a half command may take that comes too slowly; less when connections are scarce.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_CROWDED: Duration = Duration::from_secs(10);
/// Slower than this is too slow, bytes a second.
const RATE_MIN: u64 = 1 << 10;
/// How long a client may refuse to take a byte of its replies.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long what a refused client still sends is read, so that it gets to see why.
const LINGER: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed it, or asked to.
    Client,
    /// The server stops.
    Shutdown,
    /// What came is no RESP, or too much.
    Refused,
    /// A half command came too slowly, or replies were not taken.
    TooSlow,
    /// The socket failed.
    Socket(#[expect(dead_code, reason = "shown in the log")] io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    parser: Parser,
    session: Session,
    /// The buffer's part of what all connections may hold, once it is large.
    share: Share,
    /// Since when a half command is there, and how many bytes of it came.
    half: Option<(Instant, u64)>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, session: Session) -> Self {
        let input = BytesMut::with_capacity(READ_BYTES);
        let share = session.server.node.input.share();
        Self { stream, input, parser: Parser::default(), session, share, half: None }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(mut self) -> End {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        if matches!(end, End::TooSlow) {
            self.session.server.node.metrics.resp.too_slow.inc();
        }
        if matches!(end, End::Refused) {
            self.linger().await;
        }
        end
    }

    async fn step(&mut self) -> Result<(), End> {
        let Some(received) = self.receive().await? else { return self.tell().await };
        let counters = &self.session.server.node.metrics.resp;
        counters.received.inc_by(received);
        let refused = self.answer().await?;
        self.write().await?;
        match refused {
            true => Err(End::Refused),
            false if self.session.closing => Err(End::Client),
            false => {
                self.watch_half(received);
                self.check_patience()
            }
        }
    }

    /// Writes what has happened on the channels that are listened to.
    async fn tell(&mut self) -> Result<(), End> {
        loop {
            let told = self.session.tell(OUTPUT_BYTES);
            self.write().await?;
            match told {
                Ok(Reached::End) => return self.check_patience(),
                Ok(Reached::More) => tokio::task::yield_now().await,
                Err(Ended::Shutdown) => return Err(End::Shutdown),
                Err(_) => return Err(End::Refused),
            }
        }
    }

    /// Waits for bytes, as long as a half command may still take; or, which is `None`, for something
    /// to happen on the channels that are listened to.
    async fn receive(&mut self) -> Result<Option<u64>, End> {
        if !self.make_room() {
            return self.refuse_input().await.map(Some);
        }
        let shutdown = self.session.server.node.shutdown.clone();
        loop {
            let reading = self.stream.read_buf(&mut self.input);
            let received = match self.half {
                None => tokio::select! {
                    biased;
                    received = reading => Some(received),
                    () = self.session.beat() => return Ok(None),
                    () = shutdown.begun() => return Err(End::Shutdown),
                },
                Some(_) => tokio::select! {
                    biased;
                    received = reading => Some(received),
                    () = self.session.beat() => return Ok(None),
                    () = shutdown.begun() => return Err(End::Shutdown),
                    () = tokio::time::sleep(PATIENCE_CROWDED) => None,
                },
            };
            match received.transpose()? {
                Some(0) => return Err(End::Client),
                Some(bytes) => return Ok(Some(bytes as u64)),
                None => self.check_patience()?,
            }
        }
    }

    /// False when all connections together hold too much.
    fn make_room(&mut self) -> bool {
        if self.input.is_empty() && self.input.capacity() > READ_BYTES_MAX {
            self.input = BytesMut::with_capacity(READ_BYTES);
        }
        let missing = self.parser.missing(self.input.len());
        let room = missing.clamp(READ_BYTES, READ_BYTES_MAX);
        let wanted = self.input.capacity().max(self.input.len() + room);
        let counted = if wanted > READ_BYTES_MAX { wanted } else { 0 };
        let granted = self.share.resize(counted);
        if granted {
            self.input.reserve(room);
        }
        granted
    }

    async fn refuse_input(&mut self) -> Result<u64, End> {
        self.session.output.err(format_args!(
            "the commands in flight are above the limit of {INPUT_BYTES_MAX} bytes (input); try again"
        ));
        self.write().await?;
        Err(End::Refused)
    }

    /// Carries out every command that is complete. True when the client has to be refused.
    async fn answer(&mut self) -> Result<bool, End> {
        let Self { stream, input, parser, session, .. } = self;
        session.refresh();
        let (mut start, mut commands, mut refused) = (0, 0, false);
        let mut run = Run::default();
        while !session.closing {
            let rest = input.get(start..).unwrap_or_default();
            match parser.parse(rest) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    start += length;
                    commands += 1;
                    carry_out(session, parser, rest, &mut run).await;
                }
                Err(error) => {
                    session.finish(&mut run).await;
                    session.output.err(error);
                    refused = true;
                    break;
                }
            }
            if session.output.bytes().len() > OUTPUT_BYTES {
                write(stream, session).await?;
            }
        }
        session.finish(&mut run).await;
        drop(run);
        session.client.active();
        session.server.node.metrics.resp.requests.inc_by(commands);
        if start == input.len() {
            input.clear()
        } else {
            input.advance(start)
        }
        Ok(refused)
    }

    async fn write(&mut self) -> Result<(), End> {
        write(&mut self.stream, &mut self.session).await
    }

    /// Takes note of a half command, from the moment it begins to the one it is complete.
    fn watch_half(&mut self, received: u64) {
        self.half = match self.half {
            _ if self.input.is_empty() => None,
            Some((since, bytes)) if bytes < self.input.len() as u64 => {
                Some((since, bytes + received))
            }
            _ => Some((Instant::now(), self.input.len() as u64)),
        };
    }

    fn check_patience(&self) -> Result<(), End> {
        let Some((since, bytes)) = self.half else { return Ok(()) };
        let gate = &self.session.server.gate;
        let crowded = gate.open() * 2 > gate.limit();
        let patience = if crowded { PATIENCE_CROWDED } else { PATIENCE };
        let age = since.elapsed();
        let slow = age >= patience && bytes < age.as_secs().saturating_mul(RATE_MIN);
        if slow { Err(End::TooSlow) } else { Ok(()) }
    }

    /// Closes so that the client can read why: a socket closed with unread bytes in it would be
    /// reset, and the reply lost.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut scratch = vec![0; READ_BYTES_MAX];
            while self.stream.read(&mut scratch).await.is_ok_and(|bytes| bytes > 0) {}
        };
        // Whoever sends for longer does not want to know.
        let _ = tokio::time::timeout(LINGER, drain).await;
    }
}

/// Carries out the command that the parser found at the start of `rest`.
async fn carry_out<'b>(session: &mut Session, parser: &Parser, rest: &'b [u8], run: &mut Run<'b>) {
    if let Some(command) = parser.inline_command() {
        // Its words live only until the next command: nothing of it may stay in the run.
        session.finish(run).await;
        let mut own = Run::default();
        if let Some(left) = session.begin(&command, &mut own) {
            session.complete(&command, left).await;
        }
        return session.finish(&mut own).await;
    }
    let command = parser.command(rest);
    if let Some(left) = session.begin(&command, run) {
        session.finish(run).await;
        session.complete(&command, left).await;
    }
}

/// Writes the replies there are: with one call when the socket takes them.
async fn write(stream: &mut TcpStream, session: &mut Session) -> Result<(), End> {
    let counters = &session.server.node.metrics.resp;
    let mut unsent = session.output.bytes();
    counters.sent.inc_by(unsent.len() as u64);
    while !unsent.is_empty() {
        let sent = match stream.try_write(unsent) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let waiting = tokio::time::timeout(WRITE_PATIENCE, stream.writable());
                waiting.await.map_err(|_| End::TooSlow)??;
                0
            }
            sent => sent?,
        };
        unsent = unsent.get(sent..).unwrap_or_default();
    }
    session.output.written(OUTPUT_BYTES_KEPT);
    session.replies.resize(0);
    let errors = session.output.take_errors();
    session.server.node.metrics.resp.errors.inc_by(errors);
    Ok(())
}
