//! The body of an answer that goes on.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use unison_engine::Reached;

use super::event;
use crate::watch::Watcher;

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 8 << 10;
/// Longest silence: then the place is told, and a peer that is gone is found out.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events as a body. Asked for its next part only while the socket takes more: a client that does
/// not read costs its cursor, which stays where it is.
pub(super) struct EventStream(State);

enum State {
    /// Of a watcher that was told nothing yet.
    Fresh(Box<Teller>),
    /// Making the next part.
    Busy(Pin<Box<dyn Future<Output = Part> + Send>>),
    Idle(Box<Teller>),
    Done,
}

/// A part, and who makes the next one.
type Part = (Bytes, Option<Box<Teller>>);

struct Teller {
    watcher: Watcher,
    values: bool,
}

impl EventStream {
    pub(super) fn new(watcher: Watcher, values: bool) -> Self {
        Self(State::Fresh(Box::new(Teller { watcher, values })))
    }
}

impl Teller {
    /// The next part, as soon as there is something to tell.
    async fn part(mut self: Box<Self>) -> Part {
        let mut text = Vec::new();
        loop {
            let values = self.values;
            let reached = self.watcher.look(&mut |change| {
                event::write(change, values, &mut text);
                if text.len() < PART_BYTES {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            match reached {
                Err(ended) => {
                    self.watcher.count_end(&ended);
                    text.extend_from_slice(event::end(&ended).as_bytes());
                    return (text.into(), None);
                }
                Ok(_) if !text.is_empty() => return (text.into(), Some(self)),
                Ok(Reached::More) => tokio::task::yield_now().await,
                Ok(Reached::End) => {
                    if tokio::time::timeout(HEARTBEAT, self.watcher.beat()).await.is_err() {
                        let place = event::place(self.watcher.position(), "");
                        return (place.into(), Some(self));
                    }
                }
            }
        }
    }
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut busy = match std::mem::replace(&mut self.0, State::Done) {
            State::Done => return Poll::Ready(None),
            State::Fresh(teller) => {
                let greeting = event::place(teller.watcher.position(), "watching");
                self.0 = State::Idle(teller);
                return Poll::Ready(Some(Ok(Frame::data(greeting.into()))));
            }
            State::Idle(teller) => {
                Box::pin(teller.part()) as Pin<Box<dyn Future<Output = Part> + Send>>
            }
            State::Busy(busy) => busy,
        };
        match busy.as_mut().poll(context) {
            Poll::Pending => {
                self.0 = State::Busy(busy);
                Poll::Pending
            }
            Poll::Ready((part, teller)) => {
                self.0 = teller.map_or(State::Done, State::Idle);
                Poll::Ready(Some(Ok(Frame::data(part))))
            }
        }
    }
}
