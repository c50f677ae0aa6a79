//! One caller: bytes in, commands, bytes out.

use super::Service;
use super::session::Session;
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::net::{Conversation, Outcome, Stream, StreamError, TcpStream};
use alloc::vec::Vec;
use unison_resp::parse::Parser;

/// Most bytes of commands that are not carried out yet.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Read at a time.
const READ_BYTES: usize = 2 << 10;
/// Most bytes read, and most commands carried out, before others have their turn.
const READS_MAX: usize = 8;
const COMMANDS_MAX: usize = 64;
/// Replies beyond this are written before the next command is looked at.
const OUTPUT_BYTES: usize = 16 << 10;
/// Memory for replies that a quiet caller keeps.
const OUTPUT_BYTES_KEPT: usize = 4 << 10;
/// How long a half command may take that comes too slowly: places are scarce.
const PATIENCE_MS: u64 = 10_000;
/// Slower than this is too slow, bytes a second.
const RATE_MIN: u64 = 1 << 10;
/// How long a caller may refuse to take a byte of its replies.
const WRITE_PATIENCE_MS: u64 = 30_000;

/// A command of which not everything has come.
#[derive(Clone, Copy, Debug)]
struct Half {
    since_ms: u64,
    bytes: u64,
}

/// One caller.
#[derive(Debug)]
pub(crate) struct Caller {
    input: Vec<u8>,
    parser: Parser,
    session: Session,
    /// Bytes of the replies that are sent.
    sent: usize,
    half: Option<Half>,
    /// Since when the caller takes no byte.
    stuck_since_ms: Option<u64>,
    /// There may be a complete command in the input.
    more: bool,
    /// Nothing comes any more; what came is still answered.
    has_left: bool,
}

impl<D: BlockDevice> Conversation<Service<'_, '_, D>> for Caller {
    fn begin(_: u64) -> Self {
        Self {
            input: Vec::new(),
            parser: Parser::default(),
            session: Session::default(),
            sent: 0,
            half: None,
            stuck_since_ms: None,
            more: false,
            has_left: false,
        }
    }

    fn drive(
        &mut self,
        stream: &mut TcpStream<'_>,
        now_ms: u64,
        service: &mut Service<'_, '_, D>,
    ) -> Outcome {
        self.serve(stream, now_ms, service).unwrap_or(Outcome::Over)
    }
}

impl Caller {
    /// Moves bytes and carries commands out. An error is a connection that is gone.
    fn serve<S: Stream<Error = StreamError>, D: BlockDevice>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
        service: &mut Service<'_, '_, D>,
    ) -> Result<Outcome, StreamError> {
        self.write(stream, now_ms)?;
        if self.unsent() < OUTPUT_BYTES && !self.is_ending() {
            let received = self.read(stream)?;
            self.more = self.answer(service);
            self.watch_half(received, now_ms);
            self.write(stream, now_ms)?;
        }
        if self.is_ending() && self.unsent() == 0 || self.is_too_slow(now_ms) {
            return Ok(Outcome::Over);
        }
        let stuck = self.stuck_since_ms.is_some();
        Ok(Outcome::Open(if self.more && !stuck { Wake::Now } else { self.deadline() }))
    }

    fn is_ending(&self) -> bool {
        self.session.closing || (self.has_left && !self.more)
    }

    fn unsent(&self) -> usize {
        self.session.output.bytes().len() - self.sent
    }

    fn write<S: Stream<Error = StreamError>>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
    ) -> Result<(), StreamError> {
        while self.unsent() > 0 {
            if !stream.write_ready()? {
                self.stuck_since_ms = self.stuck_since_ms.or(Some(now_ms));
                return Ok(());
            }
            let unsent = self.session.output.bytes().get(self.sent..).unwrap_or_default();
            self.sent += stream.write(unsent)?;
            self.stuck_since_ms = None;
        }
        self.session.output.written(OUTPUT_BYTES_KEPT);
        self.sent = 0;
        Ok(())
    }

    /// Reads what has come, as far as there is room. Returns how much that was.
    fn read<S: Stream<Error = StreamError>>(&mut self, stream: &mut S) -> Result<u64, StreamError> {
        let mut received = 0;
        let mut buffer = [0; READ_BYTES];
        for _ in 0..READS_MAX {
            let room = INPUT_BYTES_MAX.saturating_sub(self.input.len()).min(READ_BYTES);
            let Some(buffer) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else {
                break;
            };
            if self.has_left || !stream.read_ready()? {
                break;
            }
            match stream.read(buffer)? {
                0 => self.has_left = true,
                bytes => {
                    self.input.extend_from_slice(buffer.get(..bytes).unwrap_or_default());
                    received += bytes as u64;
                }
            }
        }
        Ok(received)
    }

    /// Carries out the commands that are complete; true when there may be more of them.
    fn answer<D: BlockDevice>(&mut self, service: &mut Service<'_, '_, D>) -> bool {
        let Self { input, parser, session, .. } = self;
        let (mut start, mut commands) = (0, 0);
        let complete = loop {
            if session.closing
                || commands == COMMANDS_MAX
                || session.output.bytes().len() > OUTPUT_BYTES
            {
                break true;
            }
            let rest = input.get(start..).unwrap_or_default();
            match parser.parse(rest) {
                Ok(None) => break false,
                Ok(Some(length)) => {
                    start += length;
                    commands += 1;
                    let command = parser.inline_command().unwrap_or_else(|| parser.command(rest));
                    session.carry_out(&command, service);
                }
                Err(error) => {
                    session.output.err(error);
                    session.closing = true;
                }
            }
        };
        input.drain(..start);
        if !complete && input.len() >= INPUT_BYTES_MAX {
            session.output.err(format_args!(
                "a command above the limit of {INPUT_BYTES_MAX} bytes of this node (input)"
            ));
            session.closing = true;
        }
        if input.is_empty() {
            input.shrink_to(READ_BYTES);
        }
        complete && !session.closing
    }

    /// Takes note of a half command, from the moment it begins to the one it is complete.
    fn watch_half(&mut self, received: u64, now_ms: u64) {
        let bytes = self.input.len() as u64;
        self.half = match self.half {
            _ if self.more || bytes == 0 => None,
            Some(half) if half.bytes < bytes => Some(Half { bytes: half.bytes + received, ..half }),
            Some(half) if received == 0 => Some(half),
            _ => Some(Half { since_ms: now_ms, bytes }),
        };
    }

    fn is_too_slow(&self, now_ms: u64) -> bool {
        let stuck = self.stuck_since_ms.map(|since_ms| since_ms + WRITE_PATIENCE_MS);
        let half = self.half.is_some_and(|half| {
            let age_ms = now_ms.saturating_sub(half.since_ms);
            age_ms >= PATIENCE_MS && half.bytes < age_ms / 1_000 * RATE_MIN
        });
        stuck.map_or(half, |at_ms| now_ms >= at_ms)
    }

    /// When this caller has to be looked at, though nothing comes.
    fn deadline(&self) -> Wake {
        let stuck = self.stuck_since_ms.map(|since_ms| since_ms + WRITE_PATIENCE_MS);
        // At the rate that is just fast enough, what came lasts this long.
        let half = self.half.map(|half| {
            half.since_ms + PATIENCE_MS.max((half.bytes / RATE_MIN + 1).saturating_mul(1_000))
        });
        Wake::At(stuck.or(half).unwrap_or(u64::MAX))
    }
}
