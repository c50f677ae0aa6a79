//! Commands that nobody types: `-c`, and standard input that is no terminal.

use super::error::ShellError;
use super::session::{Flow, Session};
use super::words::split;
use std::io::{BufRead, Read as _};

/// Most bytes of a line: one value of the largest size, all of it written as `\xNN`.
const LINE_MAX: u64 = 32 << 20;

/// Runs commands one by one.
pub(super) struct Script<'a> {
    session: &'a mut Session,
    /// Whether a failure does not end it.
    keep_going: bool,
    failures: u64,
    /// The line that is run, counted from 1; zero where there are no lines.
    line: u64,
}

impl<'a> Script<'a> {
    pub(super) fn new(session: &'a mut Session, keep_going: bool) -> Self {
        Self { session, keep_going, failures: 0, line: 0 }
    }

    /// Runs the commands of a text. Nothing of it is run if it cannot be split.
    pub(super) fn text(&mut self, text: &[u8]) -> Result<Flow, ShellError> {
        let commands = match split(text) {
            Ok(commands) => commands,
            Err(error) => return self.failed(error.into()),
        };
        for words in commands {
            match self.session.execute(words) {
                Ok(Flow::Continue) => {}
                Ok(Flow::Leave) => return Ok(Flow::Leave),
                Err(error) => _ = self.failed(error)?,
            }
        }
        Ok(Flow::Continue)
    }

    /// Runs the commands of a reader, line by line.
    pub(super) fn lines(&mut self, mut reader: impl BufRead) -> Result<Flow, ShellError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
            if read.map_err(ShellError::Script)? == 0 {
                return Ok(Flow::Continue);
            }
            self.line += 1;
            if line.len() as u64 == LINE_MAX && !line.ends_with(b"\n") {
                return Err(ShellError::TooLong { line: self.line, limit: LINE_MAX });
            }
            if self.text(&line)? == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
    }

    /// How it went.
    pub(super) fn finish(self) -> Result<(), ShellError> {
        self.session.leave()?;
        match self.failures {
            0 => Ok(()),
            1 => Err(ShellError::One),
            failures => Err(ShellError::Several { failures }),
        }
    }

    fn failed(&mut self, error: ShellError) -> Result<Flow, ShellError> {
        let error = match self.line {
            _ if error.is_end_of_output() => return Err(error),
            0 => error,
            line => ShellError::At { line, source: Box::new(error) },
        };
        if !self.keep_going {
            return Err(error);
        }
        self.failures += 1;
        if let Some(open) = &mut self.session.open {
            open.failed = true;
        }
        eprintln!("hub-node: {error}");
        Ok(Flow::Continue)
    }
}
