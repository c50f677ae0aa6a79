//! One caller: a head in, an answer out.

use super::Downloads;
use super::answer::{self, Answer, Request};
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::edge::view::View;
use crate::net::{Conversation, Outcome, Stream, StreamError, TcpStream};
use alloc::vec::Vec;

/// Most bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Read at a time.
const READ_BYTES: usize = 1 << 10;
/// How long the head may take.
const HEAD_PATIENCE_MS: u64 = 10_000;
/// How long a caller may refuse to take a byte of an answer.
const WRITE_PATIENCE_MS: u64 = 30_000;

/// What callers ask, and what they have of it.
pub(crate) struct Service<'a, D: BlockDevice> {
    pub(crate) view: &'a View<'a, D>,
    pub(crate) downloads: &'a Downloads,
}

/// One caller.
#[derive(Debug)]
pub(crate) struct Caller {
    input: Vec<u8>,
    answer: Answer,
    sent: usize,
    deadline_ms: u64,
}

impl<D: BlockDevice> Conversation<Service<'_, D>> for Caller {
    fn begin(now_ms: u64) -> Self {
        let deadline_ms = now_ms.saturating_add(HEAD_PATIENCE_MS);
        Self { input: Vec::new(), answer: Answer::default(), sent: 0, deadline_ms }
    }

    fn drive(
        &mut self,
        stream: &mut TcpStream<'_>,
        now_ms: u64,
        service: &mut Service<'_, D>,
    ) -> Outcome {
        self.serve(stream, now_ms, service).unwrap_or(Outcome::Over)
    }
}

impl Caller {
    fn serve<S: Stream<Error = StreamError>, D: BlockDevice>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
        service: &Service<'_, D>,
    ) -> Result<Outcome, StreamError> {
        if self.answer.bytes.is_empty() {
            let open = self.read(stream)?;
            self.answer_if_whole(now_ms, service);
            if self.answer.bytes.is_empty() {
                let waiting = Outcome::Open(Wake::At(self.deadline_ms));
                return Ok(if open { waiting } else { Outcome::Over });
            }
            self.deadline_ms = now_ms.saturating_add(WRITE_PATIENCE_MS);
        }
        self.write(stream, now_ms, service.view)
    }

    /// Reads what has come; false when there will be no more.
    fn read<S: Stream<Error = StreamError>>(
        &mut self,
        stream: &mut S,
    ) -> Result<bool, StreamError> {
        let mut buffer = [0; READ_BYTES];
        while self.input.len() < HEAD_BYTES_MAX && stream.read_ready()? {
            match stream.read(&mut buffer)? {
                0 => return Ok(false),
                bytes => self.input.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
            }
        }
        Ok(true)
    }

    fn answer_if_whole<D: BlockDevice>(&mut self, now_ms: u64, service: &Service<'_, D>) {
        self.answer = match answer::parse(&self.input) {
            Request::Whole { method, target } => {
                answer::answer(&method, &target, service.view).among(service.downloads)
            }
            Request::Malformed(error) => answer::malformed(error).into(),
            Request::Part if self.input.len() >= HEAD_BYTES_MAX => {
                answer::too_large(HEAD_BYTES_MAX).into()
            }
            Request::Part if now_ms >= self.deadline_ms => answer::too_slow().into(),
            Request::Part => return,
        };
        self.input = Vec::new();
    }

    /// Writes what the caller takes, and makes ready what comes next: a bounded amount at a time, so
    /// that others have their turn.
    fn write<S: Stream<Error = StreamError>, D: BlockDevice>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
        view: &View<'_, D>,
    ) -> Result<Outcome, StreamError> {
        while let Some(unsent) = self.answer.bytes.get(self.sent..).filter(|rest| !rest.is_empty())
        {
            if !stream.write_ready()? {
                let patient = now_ms < self.deadline_ms;
                let waiting = Outcome::Open(Wake::At(self.deadline_ms));
                return Ok(if patient { waiting } else { Outcome::Over });
            }
            self.sent += stream.write(unsent)?;
            self.deadline_ms = now_ms.saturating_add(WRITE_PATIENCE_MS);
        }
        let rest = self.answer.rest.as_mut().map(|rest| rest.next(view));
        match rest {
            Some(Ok(bytes)) if !bytes.is_empty() => {
                (self.answer.bytes, self.sent) = (bytes, 0);
                Ok(Outcome::Open(Wake::Now))
            }
            _ => Ok(Outcome::Over),
        }
    }
}
