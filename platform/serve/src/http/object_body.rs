//! The octets of a large object, read chunk by chunk as the client takes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;
use unison_engine::{Chunks, Object, ReadError};
use unison_linux::FileStore;

use super::error::ApiError;

/// A reader, and the chunk that it read.
type Read = (Box<Reading>, Result<Option<Bytes>, ReadError>);

/// A part of an object, of which `left` bytes were not given yet. It holds one chunk at a time.
pub(super) struct ObjectBody {
    left: u64,
    /// Nobody reads before somebody asks.
    next: Next,
}

enum Next {
    Ready(Box<Reading>),
    Running(JoinHandle<Read>),
    Ended,
}

/// Where a reader stands.
struct Reading {
    object: Object<FileStore>,
    chunks: Option<Chunks<FileStore>>,
    /// The next byte, and the byte behind the last one.
    from: u64,
    end: u64,
}

impl Reading {
    /// Bytes from where it stands on: the rest of one chunk, or nothing at the end.
    fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.chunks.is_none() {
            self.chunks = Some(self.object.chunks(self.from)?);
        }
        let Some(chunk) = self.chunks.as_mut().and_then(Iterator::next).transpose()? else {
            return Ok(None);
        };
        let bytes = chunk.bytes.bytes()?;
        let place =
            |at: u64| usize::try_from(at.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        let end = place(self.end).min(bytes.len());
        let part = bytes.get(place(self.from)..end).unwrap_or_default();
        self.from += part.len() as u64;
        Ok(Some(Bytes::copy_from_slice(part)))
    }
}

impl ObjectBody {
    /// `length` bytes from `first` on, which the object must have.
    pub(super) fn new(object: Object<FileStore>, first: u64, length: u64) -> Self {
        let reading = Reading { object, chunks: None, from: first, end: first + length };
        Self { left: length, next: Next::Ready(Box::new(reading)) }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ApiError>> {
        loop {
            self.next = match std::mem::replace(&mut self.next, Next::Ended) {
                Next::Ended => return Poll::Ready(Ok(None)),
                Next::Ready(mut reading) => Next::Running(tokio::task::spawn_blocking(move || {
                    let chunk = reading.next();
                    (reading, chunk)
                })),
                Next::Running(mut running) => {
                    let Poll::Ready(read) = Pin::new(&mut running).poll(context) else {
                        self.next = Next::Running(running);
                        return Poll::Pending;
                    };
                    let (reading, chunk) = read?;
                    let chunk = chunk?;
                    self.next = Next::Ready(reading);
                    return Poll::Ready(Ok(chunk));
                }
            }
        }
    }
}

impl HttpBody for ObjectBody {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match ready!(self.poll_chunk(context)) {
            Ok(Some(chunk)) if !chunk.is_empty() => chunk,
            // Fewer bytes than were announced: the client sees the connection end.
            Ok(_) => return Poll::Ready(Some(Err(ApiError::Abandoned))),
            Err(error) => {
                tracing::warn!(%error, "a large object could not be read to its end");
                return Poll::Ready(Some(Err(error)));
            }
        };
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
