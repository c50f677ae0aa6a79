//! `/offset`, `/stats`, `/checkpoint`: where the log stands.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use unison_base::Lsn;
use unison_engine::EngineStats;
use unison_linux::store::Namespace;

use super::error::ApiError;
use super::namespaces::Space;
use super::path::InNamespace;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offset {
    segment_id: u32,
    offset: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    namespace: String,
    /// Records of this log, from its first one.
    ops_received: u64,
    /// Those of them that are in the tree.
    ops_flushed: u64,
    current_segment: u32,
    current_offset: u64,
    #[serde(flatten)]
    space: Space,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkpoint {
    record_processed: u64,
    segment_id: u32,
    offset: u64,
}

/// Where the next record goes; zero in a log without a segment.
fn tail(namespace: &Namespace) -> Offset {
    let segments = namespace.log().segments();
    let last = segments.iter().filter(|segment| segment.write_offset > 0).max_by_key(|s| s.id);
    last.map_or(Offset { segment_id: 0, offset: 0 }, |segment| Offset {
        segment_id: segment.id.0,
        offset: segment.write_offset,
    })
}

fn engine(namespace: &Namespace) -> Result<EngineStats, ApiError> {
    Ok(namespace.with_engine(|engine| engine.stats())?)
}

pub(super) async fn offset(InNamespace(namespace): InNamespace) -> Json<Offset> {
    Json(tail(&namespace))
}

pub(super) async fn stats(InNamespace(namespace): InNamespace) -> Result<Json<Stats>, ApiError> {
    let (of, on) = (Arc::clone(&namespace), tail(&namespace));
    let space = tokio::task::spawn_blocking(move || Space::of(&of)).await?;
    Ok(Json(Stats {
        namespace: namespace.name().to_string(),
        ops_received: namespace.log().appended().0,
        ops_flushed: engine(&namespace)?.checkpoint.0,
        current_segment: on.segment_id,
        current_offset: on.offset,
        space,
    }))
}

/// The newest record in the tree and its place; no place when there is none, or when it has left
/// the log.
pub(super) async fn checkpoint(
    InNamespace(namespace): InNamespace,
) -> Result<Json<Checkpoint>, ApiError> {
    let checkpoint = engine(&namespace)?.checkpoint;
    let located = (checkpoint > Lsn::ZERO).then(|| namespace.log().locate(checkpoint).ok());
    let position = located.flatten().map(|located| located.position).unwrap_or_default();
    Ok(Json(Checkpoint {
        record_processed: checkpoint.0,
        segment_id: position.segment.0,
        offset: position.offset.into(),
    }))
}
