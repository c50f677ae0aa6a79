//! One subscriber's socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unison_engine::Reached;

use super::protocol::{
    COMMAND, GREETING, GREETING_BYTES, ProtocolError, check_greeting, check_ready, command, frame,
    push, push_ready,
};
use super::subscriber::{Subscriber, SubscriberError};
use crate::node::Node;

/// How long a peer may take to say what it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
/// How long a subscriber may refuse to take a byte before it is dropped.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How often namespaces that were made meanwhile are looked for.
const NAMESPACES_EVERY: Duration = Duration::from_secs(1);
/// Messages beyond this are written before more are made.
const OUTPUT_BYTES: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
    #[error("it was too slow")]
    TooSlow,
}

struct Connection {
    stream: TcpStream,
    input: BytesMut,
    output: Vec<u8>,
}

/// Serves one subscriber until it leaves or the node stops.
pub(super) async fn serve(node: &Arc<Node>, stream: TcpStream) -> Result<(), ConnectionError> {
    let mut connection = Connection { stream, input: BytesMut::new(), output: Vec::new() };
    let greeting = tokio::time::timeout(GREETING_PATIENCE, connection.greet());
    greeting.await.map_err(|_| ConnectionError::TooSlow)??;
    let mut subscriber = Subscriber::new(Arc::clone(node));
    // What came with the last bytes of the greeting.
    connection.take(&mut subscriber)?;
    let mut beats = node.watchers.all_beats();
    let mut namespaces = tokio::time::interval(NAMESPACES_EVERY);
    loop {
        connection.tell(&mut subscriber).await?;
        tokio::select! {
            received = connection.stream.read_buf(&mut connection.input) => match received? {
                0 => return Ok(()),
                _ => connection.take(&mut subscriber)?,
            },
            _ = beats.changed() => {}
            _ = namespaces.tick() => subscriber.watch()?,
            () = node.shutdown.begun() => return Ok(()),
        }
    }
}

impl Connection {
    async fn greet(&mut self) -> Result<(), ConnectionError> {
        self.stream.write_all(&GREETING).await?;
        let mut greeting = [0; GREETING_BYTES];
        self.stream.read_exact(&mut greeting).await?;
        check_greeting(&greeting)?;
        push_ready(&mut self.output);
        self.write().await?;
        loop {
            if let Some((ready, length)) = frame(&self.input)? {
                check_ready(ready)?;
                self.input.advance(length);
                return Ok(());
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Takes what the subscriber has said.
    fn take(&mut self, subscriber: &mut Subscriber) -> Result<(), ConnectionError> {
        while let Some((said, length)) = frame(&self.input)? {
            if said.flags & COMMAND == 0 {
                subscriber.take(said)?;
            } else if let Some((b"PING", data)) = command(said.body) {
                // Behind the time to live comes what is to be given back.
                let pong = [b"\x04PONG", data.get(2..).unwrap_or_default()].concat();
                push(&mut self.output, COMMAND, &pong);
            }
            self.input.advance(length);
        }
        Ok(())
    }

    /// Writes all that there is to tell.
    async fn tell(&mut self, subscriber: &mut Subscriber) -> Result<(), ConnectionError> {
        loop {
            let reached = subscriber.tell(&mut self.output, OUTPUT_BYTES)?;
            self.write().await?;
            match reached {
                Reached::End => return Ok(()),
                Reached::More => tokio::task::yield_now().await,
            }
        }
    }

    async fn write(&mut self) -> Result<(), ConnectionError> {
        let mut unsent = self.output.as_slice();
        while !unsent.is_empty() {
            let sent = tokio::time::timeout(WRITE_PATIENCE, self.stream.write(unsent)).await;
            let sent = sent.map_err(|_| ConnectionError::TooSlow)??;
            unsent = unsent.get(sent..).unwrap_or_default();
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_BYTES);
        Ok(())
    }
}
