//! The request side of RESP: arrays of bulk strings, and inline commands.
//!
//! ```text
//! *3\r\n $3\r\n SET\r\n $1\r\n k\r\n $5\r\n hello\r\n      an array of bulk strings
//! SET k hello\r\n                                          the same, inline
//! ```
//!
//! The parser copies nothing of an array: an argument is a range of the caller's buffer. It keeps
//! its place between calls, so a command that comes a byte at a time is scanned once. A length
//! above its bound is refused when its header is read, before a byte of the body is buffered.

use alloc::vec::Vec;
use core::ops::Range;

use unison_base::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_MAX, VALUE_MAX};

mod inline;
#[cfg(test)]
mod tests;

/// Most arguments of one command: the name, and a key and a value for each operation of a batch.
pub const ARGUMENTS_MAX: usize = 2 * BATCH_OPERATIONS_MAX + 1;
/// Longest inline command, bytes.
pub const INLINE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of all arguments of one command.
pub const COMMAND_BYTES_MAX: usize = BATCH_BYTES_MAX + VALUE_MAX + KEY_MAX;
/// Longest `*count` or `$length` line with its end.
const HEADER_LINE_MAX: usize = 32;

/// Why a connection cannot go on: after any of these its bytes have no known meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A bulk string longer than any value may be.
    #[error("value of {bytes} bytes is above the limit of {VALUE_MAX} (value)")]
    Bulk {
        /// The length the header gives.
        bytes: u64,
    },
    /// More arguments than the largest batch needs.
    #[error("Protocol error: {count} arguments are above the limit of {ARGUMENTS_MAX}")]
    Arguments {
        /// The count the header gives.
        count: u64,
    },
    /// All arguments together are too long.
    #[error("Protocol error: a command above the limit of {COMMAND_BYTES_MAX} bytes")]
    Command,
    /// An inline command without an end.
    #[error("Protocol error: inline command above the limit of {INLINE_BYTES_MAX} bytes")]
    Inline,
    /// The number behind `*` is none.
    #[error("Protocol error: invalid multibulk length")]
    ArgumentCount,
    /// The number behind `$` is none, or negative.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// Something else where `$` has to be.
    #[error("Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    /// A line or a bulk string that does not end with CR LF.
    #[error("Protocol error: expected CR LF")]
    ExpectedLineEnd,
    /// A quote that is not closed, or text right behind one.
    #[error("Protocol error: unbalanced quotes in request")]
    Quotes,
}

/// Where the parser stands within a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At its first byte.
    #[default]
    Start,
    /// Before the header of an argument; how many are still to come.
    Header(usize),
    /// Within an argument of this length; how many come after it.
    Body { bytes: usize, after: usize },
}

/// Resumable parser of one connection.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// Bytes of the command that are understood; for a line without an end, bytes without an LF.
    position: usize,
    searched: usize,
    argument_bytes: usize,
    arguments: Vec<Range<usize>>,
    unquoted: Option<Vec<u8>>,
}

/// A complete command: its arguments are slices of the buffer given to [`Parser::parse`], or of the
/// parser itself when the command was inline.
#[derive(Clone, Copy, Debug)]
pub struct Command<'p, 'b> {
    source: &'b [u8],
    arguments: &'p [Range<usize>],
}

impl<'p, 'b> Command<'p, 'b> {
    /// One whose arguments are these parts of `source`.
    pub(crate) fn of(source: &'b [u8], arguments: &'p [Range<usize>]) -> Self {
        Self { source, arguments }
    }

    /// Number of arguments, the name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// Whether there is not even a name: such a request has no answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// The argument at `index`, the name being 0; empty when there is none.
    #[must_use]
    pub fn argument(&self, index: usize) -> &'b [u8] {
        let range = self.arguments.get(index).cloned().unwrap_or_default();
        self.source.get(range).unwrap_or_default()
    }

    /// The arguments from `index` on.
    pub fn arguments_from(&self, index: usize) -> impl ExactSizeIterator<Item = &'b [u8]> + Clone {
        let source = self.source;
        let ranges = self.arguments.get(index..).unwrap_or_default();
        ranges.iter().map(move |range| source.get(range.clone()).unwrap_or_default())
    }
}

impl Command<'_, '_> {
    /// Bytes of all arguments.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arguments.iter().map(Range::len).fold(0, usize::saturating_add)
    }

    /// The same command with words of its own.
    #[must_use]
    pub fn keep(&self) -> KeptCommand {
        let mut kept = KeptCommand::default();
        kept.source.reserve_exact(self.bytes());
        kept.arguments.reserve_exact(self.len());
        for word in self.arguments_from(0) {
            let start = kept.source.len();
            kept.source.extend_from_slice(word);
            kept.arguments.push(start..kept.source.len());
        }
        kept
    }
}

/// A command that outlives the bytes it came in.
#[derive(Clone, Debug, Default)]
pub struct KeptCommand {
    source: Vec<u8>,
    arguments: Vec<Range<usize>>,
}

impl KeptCommand {
    /// The command.
    #[must_use]
    pub fn command(&self) -> Command<'_, '_> {
        Command { source: &self.source, arguments: &self.arguments }
    }
}

impl Parser {
    /// Reads on in the command that begins at the start of `input`. Returns its length when it is
    /// complete; `None` when bytes are missing: call again with the same bytes and more.
    ///
    /// # Errors
    /// The input is no RESP, or asks for more than a limit allows. The connection has to be closed.
    pub fn parse(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.state == State::Start {
            self.restart();
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(input),
            }
        }
        while let Some(progress) = self.step(input)? {
            if progress == Progress::Complete {
                self.state = State::Start;
                return Ok(Some(core::mem::take(&mut self.position)));
            }
        }
        Ok(None)
    }

    /// The command that `parse` just found complete; `input` is what it was given.
    #[must_use]
    pub fn command<'p, 'b>(&'p self, input: &'b [u8]) -> Command<'p, 'b> {
        Command { source: input, arguments: &self.arguments }
    }

    /// The same for an inline command: its arguments live in the parser until the next `parse`.
    #[must_use]
    pub fn inline_command(&self) -> Option<Command<'_, '_>> {
        self.unquoted.as_deref().map(|text| Command { source: text, arguments: &self.arguments })
    }

    /// Bytes that are certainly missing before the command can be complete; at least 1.
    #[must_use]
    pub fn missing(&self, buffered: usize) -> usize {
        match self.state {
            State::Body { bytes, .. } => (self.position + bytes + 2).saturating_sub(buffered),
            State::Start | State::Header(_) => 1,
        }
        .max(1)
    }

    fn restart(&mut self) {
        self.arguments.clear();
        self.unquoted = None;
        self.argument_bytes = 0;
    }

    fn step(&mut self, input: &[u8]) -> Result<Option<Progress>, ProtocolError> {
        match self.state {
            State::Start => self.array_header(input),
            State::Header(0) => Ok(Some(Progress::Complete)),
            State::Header(count) => self.bulk_header(input, count),
            State::Body { bytes, after } => self.bulk_body(input, bytes, after),
        }
    }

    fn array_header(&mut self, input: &[u8]) -> Result<Option<Progress>, ProtocolError> {
        let Some(line) = header_line(input, self.position)? else { return Ok(None) };
        let count = number(line).ok_or(ProtocolError::ArgumentCount)?;
        let count = u64::try_from(count).unwrap_or(0);
        let bounded = usize::try_from(count).ok().filter(|count| *count <= ARGUMENTS_MAX);
        let bounded = bounded.ok_or(ProtocolError::Arguments { count })?;
        self.position += line.len() + 3;
        self.state = State::Header(bounded);
        Ok(Some(Progress::Further))
    }

    fn bulk_header(
        &mut self,
        input: &[u8],
        count: usize,
    ) -> Result<Option<Progress>, ProtocolError> {
        match input.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => return Err(ProtocolError::ExpectedBulk(*other)),
        }
        let Some(line) = header_line(input, self.position)? else { return Ok(None) };
        let bytes = number(line).and_then(|bytes| u64::try_from(bytes).ok());
        let bytes = bytes.ok_or(ProtocolError::BulkLength)?;
        let bounded = usize::try_from(bytes).ok().filter(|bytes| *bytes <= VALUE_MAX);
        let bounded = bounded.ok_or(ProtocolError::Bulk { bytes })?;
        self.argument_bytes += bounded;
        if self.argument_bytes > COMMAND_BYTES_MAX {
            return Err(ProtocolError::Command);
        }
        self.position += line.len() + 3;
        self.state = State::Body { bytes: bounded, after: count - 1 };
        Ok(Some(Progress::Further))
    }

    fn bulk_body(
        &mut self,
        input: &[u8],
        bytes: usize,
        after: usize,
    ) -> Result<Option<Progress>, ProtocolError> {
        let end = self.position + bytes;
        let Some(line_end) = input.get(end..end + 2) else { return Ok(None) };
        if line_end != b"\r\n" {
            return Err(ProtocolError::ExpectedLineEnd);
        }
        self.arguments.push(self.position..end);
        self.position = end + 2;
        self.state = State::Header(after);
        Ok(Some(Progress::Further))
    }

    fn parse_inline(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let unsearched = input.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', unsearched) else {
            self.searched = input.len();
            let bounded = input.len() <= INLINE_BYTES_MAX;
            return if bounded { Ok(None) } else { Err(ProtocolError::Inline) };
        };
        let end = core::mem::take(&mut self.searched) + found;
        if end > INLINE_BYTES_MAX {
            return Err(ProtocolError::Inline);
        }
        let line = input.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut text = Vec::with_capacity(line.len());
        inline::split(line, &mut text, &mut self.arguments)?;
        self.unquoted = Some(text);
        Ok(Some(end + 1))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Further,
    Complete,
}

/// What stands between the type byte at `start` and the CR LF; `None` when the end is not there yet.
fn header_line(input: &[u8], start: usize) -> Result<Option<&[u8]>, ProtocolError> {
    let rest = input.get(start + 1..).unwrap_or_default();
    let window = rest.get(..HEADER_LINE_MAX).unwrap_or(rest);
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        let full = window.len() == HEADER_LINE_MAX;
        return if full { Err(ProtocolError::ExpectedLineEnd) } else { Ok(None) };
    };
    let line = window.get(..end).unwrap_or_default();
    line.strip_suffix(b"\r").map(Some).ok_or(ProtocolError::ExpectedLineEnd)
}

/// A decimal number as the protocol writes it: an optional minus and 1 to 19 digits. There is one way
/// to write each, so text like `007` stays text: counting up from it would forget its zeros.
#[must_use]
pub fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let is_padded = digits.first() == Some(&b'0') && text.len() > 1;
    if is_padded || digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        let shifted = value.checked_mul(10)?;
        value = if negative {
            shifted.checked_sub(i64::from(digit))?
        } else {
            shifted.checked_add(i64::from(digit))?
        };
    }
    Some(value)
}
