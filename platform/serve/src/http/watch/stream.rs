//! The changes of a watcher, as parts of a stream.

use unison_engine::{Change, Reached};

use super::event;
use crate::http::event_stream::{HEARTBEAT, Part, Teller};
use crate::http::line::Line;
use crate::watch::TextWatcher;

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 8 << 10;
/// Tells of changes behind a cursor.
pub(super) struct Changes {
    pub(super) watcher: TextWatcher,
    pub(super) values: bool,
    pub(super) line: Line,
}

impl Changes {
    /// The first part: where the cursor is.
    pub(super) fn greeting(&self) -> String {
        event::place(self.watcher.position(), "watching")
    }
}

impl Teller for Changes {
    async fn part(mut self: Box<Self>) -> Part<Self> {
        let values = self.values;
        let write =
            move |change: &Change<'_>, text: &mut Vec<u8>| event::write(change, values, text);
        loop {
            if let Some(news) = self.line.news() {
                return (news, Some(self));
            }
            match self.watcher.part(PART_BYTES, &write) {
                Err(ended) => {
                    self.watcher.count_end(&ended);
                    return (event::end(&ended).into(), None);
                }
                Ok((text, _)) if !text.is_empty() => return (text, Some(self)),
                Ok((_, reached)) => match reached {
                    Reached::More => tokio::task::yield_now().await,
                    Reached::End => {
                        let Self { watcher, line, .. } = &mut *self;
                        tokio::select! {
                            () = watcher.beat() => {}
                            () = line.turn() => {}
                            () = tokio::time::sleep(HEARTBEAT) => {
                                let place = event::place(self.watcher.position(), "");
                                return (place.into(), Some(self));
                            }
                        }
                    }
                },
            }
        }
    }
}
