//! Reads below `/api/v1/`, of what RESP has no commands for.

use super::answer::{Answer, json, refusal};
use super::query::{PREFIX, percent_decoded};
use super::refused::Refused;
use super::{object, topics};
use crate::block::BlockDevice;
use crate::edge::view::View;
use crate::medium::BlockStore;
use alloc::format;
use unison_base::NamespaceName;
use unison_engine::Reader;

/// Answers a path below the API's; `None` when there is nothing at it.
pub(super) fn answer<D: BlockDevice>(
    path: &str,
    query: &str,
    view: &View<'_, D>,
) -> Option<Answer> {
    let (name, what) = path.strip_prefix(PREFIX)?.split_once('/')?;
    let known = matches!(what, "topics" | "topics/messages" | "topics/retained");
    if !known && !what.starts_with("lob/") {
        return None;
    }
    let answered = namespace(name, view).and_then(|name| {
        if let Some(why) = view.why_closed(&name) {
            let why = format!("namespace {name} cannot be read: {why}");
            return Ok(refusal("503 Service Unavailable", &why).into());
        }
        read(what, query, &name, view)
    });
    Some(answered.unwrap_or_else(|why| refusal(why.status(), &format!("{why}")).into()))
}

fn read<D: BlockDevice>(
    what: &str,
    query: &str,
    name: &NamespaceName,
    view: &View<'_, D>,
) -> Result<Answer, Refused> {
    if let Some(key) = what.strip_prefix("lob/") {
        let (head, rest) = object::begin(view, name, percent_decoded(key)?)?;
        return Ok(Answer::of_object(&head, rest));
    }
    let snapshot = reader(view, name)?.snapshot();
    let message_bytes = view.heap.message_room();
    Ok(match what {
        "topics/messages" => json("200 OK", &topics::messages(&snapshot, query, message_bytes)?),
        "topics/retained" => json("200 OK", &topics::retained(&snapshot, query, message_bytes)?),
        _ => json("200 OK", &topics::topics(&snapshot, query)?),
    }
    .into())
}

/// A namespace that is followed.
fn namespace<D: BlockDevice>(text: &str, view: &View<'_, D>) -> Result<NamespaceName, Refused> {
    let name = percent_decoded(text)?;
    let mut followed = view.config.namespaces.iter();
    followed.find(|known| known.as_str().as_bytes() == name).cloned().ok_or(Refused::Namespace)
}

/// Reads a namespace that is open. Without the hub's time only what the log says has expired is gone.
pub(super) fn reader<D: BlockDevice>(
    view: &View<'_, D>,
    name: &NamespaceName,
) -> Result<Reader<BlockStore<D>>, Refused> {
    let reader = view.namespaces.get(name).and_then(|namespace| namespace.reader());
    Ok(reader.ok_or(Refused::Namespace)?.at(view.wall_ms().unwrap_or(0)))
}
