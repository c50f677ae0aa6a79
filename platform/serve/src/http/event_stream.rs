//! Server-Sent Events as a body that goes on, made part by part.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;

/// Longest silence: then a part says so, and a peer that is gone is found out.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// What every stream begins with: how many milliseconds a browser waits before it comes back.
const RETRY: &[u8] = b"retry: 1000\n";

/// A part, and who makes the next one; the stream ends without.
pub(super) type Part<T> = (Bytes, Option<Box<T>>);

/// Makes the parts of a stream.
pub(super) trait Teller: Send + 'static {
    /// The next part, as soon as there is something to tell.
    fn part(self: Box<Self>) -> impl Future<Output = Part<Self>> + Send;
}

/// Events as a body. Asked for its next part only while the socket takes more: a client that does
/// not read costs its teller, whose place stays where it is.
enum EventStream<T> {
    /// Of a client that was told nothing yet.
    Fresh(Bytes, Box<T>),
    Idle(Box<T>),
    /// Making the next part.
    Busy(Pin<Box<dyn Future<Output = Part<T>> + Send>>),
    Done,
}

/// The answer that goes on: `greeting`, then what the teller makes.
pub(super) fn answer<T: Teller>(greeting: &[u8], teller: T) -> Response {
    let greeting = [RETRY, greeting].concat();
    let body = Body::new(EventStream::Fresh(greeting.into(), Box::new(teller)));
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

impl<T: Teller> HttpBody for EventStream<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut busy = match std::mem::replace(&mut *self, Self::Done) {
            Self::Done => return Poll::Ready(None),
            Self::Fresh(greeting, teller) => {
                *self = Self::Idle(teller);
                return Poll::Ready(Some(Ok(Frame::data(greeting))));
            }
            Self::Idle(teller) => Box::pin(teller.part()),
            Self::Busy(busy) => busy,
        };
        match busy.as_mut().poll(context) {
            Poll::Pending => {
                *self = Self::Busy(busy);
                Poll::Pending
            }
            Poll::Ready((part, teller)) => {
                *self = teller.map_or(Self::Done, Self::Idle);
                Poll::Ready(Some(Ok(Frame::data(part))))
            }
        }
    }
}
