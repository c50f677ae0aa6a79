//! What has to be told next.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Bytes;
use unison_base::Lsn;
use unison_engine::{
    Change, ChangeId, ChangeKind, MessageId, MessagePosition, MessageRequest, Messages, Reached,
    TopicFilter,
};
use unison_linux::FileStore;
use unison_linux::store::{Message, Namespace, Reader};

use super::{news_of, write_data};
use crate::http::error::ApiError;
use crate::http::event_stream::{HEARTBEAT, Part, Teller};
use crate::http::line::Line;
use crate::http::topics_read::MessageBody;
use crate::watch::{Ended, Watcher};

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 64 << 10;

/// Where messages are found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// In all topics that the filter finds, merged, until nothing is left.
    Topics(From),
    /// In the topics that the log names.
    Log,
}

/// Where a reading by topics begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct From {
    pub(super) ms: u64,
    pub(super) after: Option<MessagePosition>,
}

/// Topics, and patterns (`true`).
type Streams = BTreeSet<(Box<str>, bool)>;

/// What the log says is there to be told.
#[derive(Debug, Default)]
struct News {
    streams: Streams,
    /// None of their new messages is older.
    since_ms: Option<u64>,
    /// The last one that was told.
    after: Option<MessagePosition>,
    /// All there is up to this record is known, and is told now.
    up_to: Option<Lsn>,
}

pub(super) struct Subscription {
    watcher: Watcher,
    namespace: Arc<Namespace>,
    filter: TopicFilter,
    source: Source,
    /// Messages are told from this time on, ms since 1970.
    from_ms: u64,
    /// Everything up to here was told, or is not to be: perhaps at another node, which is ahead of this one.
    seen: MessageId,
    news: News,
    line: Line,
}

/// Why a subscription ends.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Stopped {
    Watcher(#[from] Ended),
    Reading(#[from] ApiError),
}

/// What a look came to.
enum Step {
    Tell(Bytes),
    /// There may be more at once.
    Again,
    /// For the next beat.
    Wait,
}

/// Messages in words.
struct Page {
    text: Vec<u8>,
    last: Option<MessagePosition>,
    /// There were no more.
    is_last: bool,
}

impl News {
    fn note(&mut self, change: &Change<'_>) {
        if let (ChangeKind::Publish, Ok(name)) = (change.kind, std::str::from_utf8(change.key)) {
            self.since_ms = Some(self.since_ms.map_or(change.time_ms, |ms| ms.min(change.time_ms)));
            self.streams.insert((name.into(), change.is_of_pattern));
        }
    }
}

impl Subscription {
    pub(super) fn new(
        watcher: Watcher,
        namespace: Arc<Namespace>,
        (filter, source, seen): (TopicFilter, Source, MessageId),
        line: Line,
    ) -> Self {
        let news = News::default();
        let from_ms = if let Source::Topics(from) = source { from.ms } else { 0 };
        Self { watcher, namespace, filter, source, from_ms, seen, news, line }
    }

    async fn step(&mut self) -> Result<Step, Stopped> {
        match self.source {
            Source::Topics(from) => self.read_topics(from).await,
            Source::Log if self.news.up_to.is_some() => self.read_news().await,
            Source::Log => self.look_for_news(),
        }
    }

    async fn read_topics(&mut self, from: From) -> Result<Step, Stopped> {
        let (reader, asked, seen) = (self.namespace.reader(), self.filter.clone(), self.seen);
        let read = move || {
            let snapshot = reader.snapshot();
            let (lsn, From { ms: from_ms, after }) = (snapshot.lsn(), from);
            let request = MessageRequest { from_ms, after, ..MessageRequest::all(&asked) };
            page(snapshot.messages(request)?, &asked, seen, lsn).map(|page| (page, lsn))
        };
        let (page, lsn) = tokio::task::spawn_blocking(read).await.map_err(ApiError::from)??;
        self.source = if page.is_last {
            self.watcher.go_behind(ChangeId::whole(lsn), news_of(&self.filter));
            self.saw_all_up_to(lsn);
            Source::Log
        } else {
            Source::Topics(From { after: page.last.or(from.after), ..from })
        };
        Ok(page.told())
    }

    /// What a transaction says is news as a whole: of one that is not read to its end there may be messages that
    /// come before others.
    fn look_for_news(&mut self) -> Result<Step, Stopped> {
        let Self { watcher, news, .. } = self;
        let reached = watcher.look(&mut |change| {
            news.note(change);
            ControlFlow::Continue(())
        });
        let reached = reached.inspect_err(|ended| watcher.count_end(ended))?;
        let ChangeId { lsn, .. } = watcher.position();
        let is_whole = watcher.position() == ChangeId::whole(lsn);
        news.up_to = (is_whole && !news.streams.is_empty()).then_some(lsn);
        Ok(match reached {
            Reached::End if news.up_to.is_none() => Step::Wait,
            _ => Step::Again,
        })
    }

    async fn read_news(&mut self) -> Result<Step, Stopped> {
        let (reader, asked, seen) = (self.namespace.reader(), self.filter.clone(), self.seen);
        let (mut news, from_ms) = (std::mem::take(&mut self.news), self.from_ms);
        let up_to = news.up_to.unwrap_or_default();
        let read = move || {
            let page = news.page(&reader, &asked, (from_ms, seen, up_to))?;
            news.after = page.last.or(news.after);
            Ok::<_, ApiError>((page, news))
        };
        let (page, news) = tokio::task::spawn_blocking(read).await.map_err(ApiError::from)??;
        if page.is_last {
            self.saw_all_up_to(up_to);
        } else {
            self.news = news;
        }
        Ok(page.told())
    }

    fn saw_all_up_to(&mut self, lsn: Lsn) {
        self.seen = self.seen.max(MessageId { lsn, index: u32::MAX });
    }
}

impl News {
    fn page(
        &self,
        reader: &Reader,
        asked: &TopicFilter,
        (from_ms, seen, up_to): (u64, MessageId, Lsn),
    ) -> Result<Page, ApiError> {
        let streams = self.streams.iter().map(|(name, is_pattern)| (&**name, *is_pattern));
        let (from_ms, after) = (self.since_ms.unwrap_or_default().max(from_ms), self.after);
        let request = MessageRequest { from_ms, after, ..MessageRequest::all(asked) };
        page(reader.snapshot().messages_of(streams, request)?, asked, seen, up_to)
    }
}

impl Page {
    fn told(self) -> Step {
        if self.text.is_empty() { Step::Again } else { Step::Tell(self.text.into()) }
    }
}

/// Messages behind `seen`, up to a record, as many as make a part.
fn page(
    messages: Messages<FileStore>,
    asked: &TopicFilter,
    seen: MessageId,
    up_to: Lsn,
) -> Result<Page, ApiError> {
    let mut page = Page { text: Vec::new(), last: None, is_last: false };
    for message in messages {
        let message = message?;
        if message.at.lsn > up_to {
            break;
        }
        page.last = Some(message.at);
        if message.at.id() > seen {
            write(&message, asked, &mut page.text);
        }
        if page.text.len() >= PART_BYTES {
            return Ok(page);
        }
    }
    page.is_last = true;
    Ok(page)
}

/// Appends a message as an event.
fn write(message: &Message, asked: &TopicFilter, text: &mut Vec<u8>) {
    let body = MessageBody::of(message, asked);
    text.extend_from_slice(format!("id: {}\n", body.id).as_bytes());
    write_data(&body, text);
}

/// The last event of a stream that cannot go on.
fn end(error: &str) -> Bytes {
    format!("event: end\ndata: {}\n\n", serde_json::json!({ "error": error })).into()
}

impl Teller for Subscription {
    async fn part(mut self: Box<Self>) -> Part<Self> {
        loop {
            if let Some(news) = self.line.news() {
                return (news, Some(self));
            }
            match self.step().await {
                Err(stopped) => return (end(&stopped.to_string()), None),
                Ok(Step::Tell(part)) => return (part, Some(self)),
                Ok(Step::Again) => tokio::task::yield_now().await,
                Ok(Step::Wait) => {
                    let Self { watcher, line, .. } = &mut *self;
                    tokio::select! {
                        () = watcher.beat() => {}
                        () = line.turn() => {}
                        () = tokio::time::sleep(HEARTBEAT) => {
                            return (Bytes::from_static(b":\n\n"), Some(self));
                        }
                    }
                }
            }
        }
    }
}
