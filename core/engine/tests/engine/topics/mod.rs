//! Topics: what is published, shown, kept, deleted and trimmed.

mod cases;
mod model;
mod random;
mod sealed;
mod settings;
mod writes;

use crate::fixture::{self, NOW_MS, Sim, options};
use unison_base::Lsn;
use unison_engine::{
    Message, MessageId, MessageRequest, NewMessage, Operation, Reader, Snapshot, TopicFilter,
    TrimBefore, Write, WriteError,
};
use unison_sim::disk::SimStore;

/// A message as a test compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) topic: String,
    pub(crate) is_pattern: bool,
    pub(crate) time_ms: u64,
    pub(crate) id: MessageId,
    pub(crate) expires_at: Option<u64>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn shown(message: &Message<SimStore>) -> Shown {
    let headers = message.headers().map(|(name, value)| (name.into(), value.into()));
    Shown {
        topic: message.topic.as_ref().into(),
        is_pattern: message.is_pattern,
        time_ms: message.at.time_ms,
        id: message.at.id(),
        expires_at: message.expires_at,
        headers: headers.collect(),
        payload: message.payload().into(),
    }
}

pub(crate) fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).expect("a filter")
}

pub(crate) fn read(snapshot: &Snapshot<SimStore>, request: MessageRequest<'_>) -> Vec<Shown> {
    let messages = snapshot.messages(request).expect("messages");
    messages.map(|message| shown(&message.expect("readable"))).collect()
}

/// Payloads of what a filter shows, the oldest first.
pub(crate) fn payloads(reader: &Reader<SimStore>, text: &str) -> Vec<Vec<u8>> {
    let filter = filter(text);
    let shown = read(&reader.snapshot(), MessageRequest::all(&filter));
    shown.into_iter().map(|message| message.payload).collect()
}

pub(crate) fn topics(reader: &Reader<SimStore>, text: &str) -> Vec<String> {
    let topics = reader.snapshot().topics(&filter(text), None).expect("topics");
    topics.map(|topic| topic.expect("readable").name).collect()
}

pub(crate) fn retained(reader: &Reader<SimStore>, text: &str, now_ms: u64) -> Vec<Shown> {
    let snapshot = reader.at(now_ms).snapshot();
    let messages = snapshot.retained(&filter(text), None).expect("messages");
    messages.map(|message| shown(&message.expect("readable"))).collect()
}

pub(crate) fn message<'a>(topic: &'a str, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage { topic, payload, ..NewMessage::default() }
}

/// Stages, writes and publishes one write.
pub(crate) fn write(engine: &mut Sim, operation: Operation<'_>) -> Result<Lsn, WriteError> {
    let lsn = engine.stage(&Write::new(operation), NOW_MS)?.lsn;
    fixture::commit(engine);
    Ok(lsn)
}

pub(crate) fn publish(engine: &mut Sim, topic: &str, payload: &[u8]) -> MessageId {
    let messages = [message(topic, payload)];
    let lsn = write(engine, Operation::Publish(&messages)).expect("published");
    MessageId { lsn, index: 0 }
}

pub(crate) fn publish_pattern(engine: &mut Sim, pattern: &str, payload: &[u8]) -> MessageId {
    let messages = [message(pattern, payload)];
    let lsn = write(engine, Operation::PublishPattern(&messages)).expect("published");
    MessageId { lsn, index: 0 }
}

pub(crate) fn trim(engine: &mut Sim, topics: &[&str], before_ms: u64) -> Result<Lsn, WriteError> {
    write(engine, Operation::Trim(TrimBefore { topics, before_ms }))
}

/// Payloads before a flush, after it, and after a restart, which must be the same.
pub(crate) fn everywhere(
    (disk, mut engine): (unison_sim::disk::CrashDisk, Sim),
    look: impl Fn(&Reader<SimStore>),
) {
    look(&engine.reader());
    drop(engine);
    engine = fixture::open(&disk, options());
    look(&engine.reader());
    fixture::flush(&mut engine);
    look(&engine.reader());
    drop(engine);
    look(&fixture::open(&disk, options()).reader());
}
