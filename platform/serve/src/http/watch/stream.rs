//! The changes of a watcher, as parts of a stream.

use std::ops::ControlFlow;

use unison_engine::Reached;

use super::event;
use crate::http::event_stream::{HEARTBEAT, Part, Teller};
use crate::watch::Watcher;

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 8 << 10;
/// Tells of changes behind a cursor.
pub(super) struct Changes {
    pub(super) watcher: Watcher,
    pub(super) values: bool,
}

impl Changes {
    /// The first part: where the cursor is.
    pub(super) fn greeting(&self) -> String {
        event::place(self.watcher.position(), "watching")
    }
}

impl Teller for Changes {
    async fn part(mut self: Box<Self>) -> Part<Self> {
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
