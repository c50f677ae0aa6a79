//! Bytes on their way to a follower: what goes before the frames, then the frames as they lie in
//! the segment, written together and never copied into one buffer.

use std::io::{self, IoSlice};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use unison_link::RunHead;
use unison_linux::FileStore;
use unison_node::{LeaderSession, Outgoing};
use unison_walfs::Slice;

const BUFFER_BYTES: usize = 16 << 10;

pub(super) struct Outbox {
    buffer: Vec<u8>,
    head: Head,
    frames: Option<Slice<FileStore>>,
    /// Of head and frames together.
    sent: usize,
    /// The end has begun: nothing new is asked for.
    pub(super) closing: bool,
}

enum Head {
    Buffered(usize),
    Run(RunHead),
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES],
            head: Head::Buffered(0),
            frames: None,
            sent: 0,
            closing: false,
        }
    }

    /// Takes the next thing to send once everything before it is gone. False when everything is
    /// said and the connection is to be closed.
    pub(super) fn fill(&mut self, session: &mut LeaderSession<FileStore>, now_ms: u64) -> bool {
        if self.holds_bytes() {
            return true;
        }
        self.sent = 0;
        self.frames = None;
        self.head = match session.poll_transmit(now_ms, &mut self.buffer) {
            Outgoing::Bytes(bytes) => Head::Buffered(bytes),
            Outgoing::Head(head) => Head::Run(head),
            Outgoing::Run { head, frames } => {
                self.frames = Some(frames);
                Head::Run(head)
            }
            Outgoing::Idle => Head::Buffered(0),
            Outgoing::Close => return false,
        };
        true
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let head = match &self.head {
            Head::Buffered(bytes) => self.buffer.get(..*bytes).unwrap_or_default(),
            Head::Run(head) => head,
        };
        (head, self.frames.as_deref().unwrap_or_default())
    }

    pub(super) fn holds_bytes(&self) -> bool {
        let (head, frames) = self.parts();
        self.sent < head.len() + frames.len()
    }

    /// One write of whatever is left. Dropping the future loses nothing.
    pub(super) async fn send(&self, writer: &mut OwnedWriteHalf) -> io::Result<usize> {
        let (head, frames) = self.parts();
        let head_left = head.get(self.sent..).unwrap_or_default();
        let frames_left = frames.get(self.sent.saturating_sub(head.len())..).unwrap_or_default();
        match writer.write_vectored(&[IoSlice::new(head_left), IoSlice::new(frames_left)]).await {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            sent => sent,
        }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }
}
