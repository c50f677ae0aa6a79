//! Where in the order of time a subscription begins.
//!
//! The order of time is that of identities, so the messages to be told of are the newest ones. Most
//! clients were away for a short time: a walk back from the newest one finds the place. Behind many
//! messages it would take as long as to read all of them; there the time is looked for by halves.

use unison_engine::{MessageId, MessagePosition, MessageRequest, TopicFilter};
use unison_linux::store::{Message, Snapshot};

use crate::http::error::ApiError;

/// Most messages of the walk back.
const WALK_MAX: usize = 1_024;

/// What a walk came to.
enum Walked {
    /// The newest message that is not to be told of, if there is one.
    To(Option<MessagePosition>),
    /// The time of a message that is, and there are more.
    Far(u64),
}

/// The newest message that is not to be told of; those that are come behind it.
pub(super) fn last_before(
    snapshot: &Snapshot,
    asked: &TopicFilter,
    is_told: &dyn Fn(MessageId) -> bool,
) -> Result<Option<MessagePosition>, ApiError> {
    let walk = |to_ms, most| walk(snapshot, asked, is_told, to_ms, most);
    let far_ms = match walk(u64::MAX, WALK_MAX)? {
        Walked::To(place) => return Ok(place),
        Walked::Far(ms) => ms,
    };
    match walk(first_told_ms(snapshot, asked, is_told, far_ms)?, usize::MAX)? {
        Walked::To(place) => Ok(place),
        Walked::Far(_) => Ok(None),
    }
}

fn walk(
    snapshot: &Snapshot,
    asked: &TopicFilter,
    is_told: &dyn Fn(MessageId) -> bool,
    to_ms: u64,
    most: usize,
) -> Result<Walked, ApiError> {
    let request = MessageRequest { to_ms, newest_first: true, ..MessageRequest::all(asked) };
    for (walked, message) in snapshot.messages(request)?.enumerate() {
        let at = message?.at;
        if !is_told(at.id()) {
            return Ok(Walked::To(Some(at)));
        }
        if walked >= most {
            return Ok(Walked::Far(at.time_ms));
        }
    }
    Ok(Walked::To(None))
}

/// The first time from which on all messages are to be told of, as they are from `far_ms` on.
fn first_told_ms(
    snapshot: &Snapshot,
    asked: &TopicFilter,
    is_told: &dyn Fn(MessageId) -> bool,
    far_ms: u64,
) -> Result<u64, ApiError> {
    let oldest = |from_ms| -> Result<Option<Message>, ApiError> {
        let request = MessageRequest { from_ms, ..MessageRequest::all(asked) };
        Ok(snapshot.messages(request)?.next().transpose()?)
    };
    // What is `far_ms` itself is known for one of its messages only: another one may come before.
    let mut end = far_ms.saturating_add(1);
    let mut from = oldest(0)?.map_or(end, |message| message.at.time_ms);
    while from < end {
        let middle = from + (end - from) / 2;
        if oldest(middle)?.is_none_or(|message| is_told(message.at.id())) {
            end = middle;
        } else {
            from = middle + 1;
        }
    }
    Ok(end)
}
