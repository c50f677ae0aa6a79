//! `GET /watch`: events of a namespace as Server-Sent Events.
//!
//! Every event has its name as `id`, so a client that comes back with `Last-Event-ID` goes on behind
//! it; a beat of the heart has one too, as of a place that moved on past what was not wanted.

mod event;
mod stream;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use unison_base::Lsn;
use unison_engine::{ChangeFilter, ChangeId, ChangeModel, ChangesError, Models, TopicFilter};
use unison_linux::store::Namespace;

use super::error::ApiError;
use super::event_stream;
use super::line::Line;
use super::path::InNamespace;
use super::query::Query;
use crate::node::{Node, Role};
use crate::watch::Form;
use stream::Changes;

/// Where a client says what it has seen last.
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) async fn watch(
    State(node): State<Arc<Node>>,
    InNamespace(namespace): InNamespace,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::parse(uri.query(), &["prefix", "models", "topic", "since", "values"])?;
    let behind = behind(&query, &headers)?.map_or_else(
        || Ok(ChangeId::whole(namespace.reader().applied())),
        |behind| not_ahead(&node, &namespace, behind),
    )?;
    let filter = filter(&query)?;
    let values = query.flag("values")?;
    let mut watcher = node.watchers.watch_text(&namespace, Form { filter, values }, behind)?;
    watcher.check()?;
    let line = Line::new(&node, namespace.name());
    let changes = Changes { watcher, values, line };
    Ok(event_stream::answer(changes.greeting().as_bytes(), changes))
}

/// Behind which event to begin: the one seen last, else the one asked for.
fn behind(query: &Query, headers: &HeaderMap) -> Result<Option<ChangeId>, ApiError> {
    let seen = headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes).filter(|id| !id.is_empty());
    let seen = id("Last-Event-ID", seen)?;
    Ok(seen.or(id("since", query.bytes("since"))?))
}

fn id(name: &str, id: Option<&[u8]>) -> Result<Option<ChangeId>, ApiError> {
    let why = || ApiError::Malformed(format!("`{name}` is <lsn> or <lsn>-<index>"));
    let parsed = |id| std::str::from_utf8(id).ok().and_then(|text| text.parse().ok());
    id.map(|id| parsed(id).ok_or_else(why)).transpose()
}

/// A hub has every record there is: one that is ahead of it is of another history. At an edge it is
/// on its way.
pub(super) fn not_ahead(
    node: &Node,
    namespace: &Namespace,
    behind: ChangeId,
) -> Result<ChangeId, ApiError> {
    let applied = namespace.reader().applied();
    if behind.lsn > applied && behind.lsn > Lsn::ZERO && node.role == Role::Hub {
        return Err(ChangesError::Rewritten { from: behind.lsn }.into());
    }
    Ok(behind)
}

fn filter(query: &Query) -> Result<ChangeFilter, ApiError> {
    let prefix = query.bytes("prefix").unwrap_or_default().into();
    let topics = topics(query)?;
    let Some(names) = query.bytes("models") else {
        let models =
            if topics.is_some() { Models::NONE.with(ChangeModel::Topic) } else { Models::ALL };
        return Ok(ChangeFilter { prefix, models, topics });
    };
    let known = ChangeModel::ALL.map(ChangeModel::name).join(", ");
    let model = |name| {
        let name = std::str::from_utf8(name).ok();
        name.and_then(ChangeModel::named)
            .ok_or_else(|| ApiError::Malformed(format!("`models` are of {known}, with commas")))
    };
    let names = names.split(|&byte| byte == b',');
    let models = names
        .map(model)
        .try_fold(Models::NONE, |models, model| Ok::<_, ApiError>(models.with(model?)))?;
    Ok(ChangeFilter { prefix, models, topics })
}

fn topics(query: &Query) -> Result<Option<TopicFilter>, ApiError> {
    let Some(filter) = query.bytes("topic") else { return Ok(None) };
    let no_text = |_| ApiError::Malformed("`topic` is no text".to_owned());
    let filter = std::str::from_utf8(filter).map_err(no_text)?;
    let why = |error| ApiError::Malformed(format!("`topic`: {error}"));
    TopicFilter::new(filter).map(Some).map_err(why)
}
