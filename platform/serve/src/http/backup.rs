//! `POST /wal/backup`: sealed segments copied while writes go on.
//!
//! Off unless the configuration names a directory, and never outside of it. What comes out is a log
//! directory: the segments under their own names, and the log's identity. Each segment's frames are
//! checked before it is copied, and its name appears when all of it is on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, TryLockError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use unison_base::{LogId, SegmentId};
use unison_linux::FileStore;
use unison_linux::store::Namespace;
use unison_ports::{IoError, SegmentFile, SegmentStore};
use unison_walfs::scan::{ScanError, SegmentScan};
use unison_walfs::{ReadError, SealedSegment};

use super::body::{or_default, parse, read};
use super::error::ApiError;
use super::path::InNamespace;
use super::whole::Whole;
use crate::node::Node;

/// Most bytes of a body that asks for a backup.
const BODY_MAX: usize = 16 << 10;
/// Bytes copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Why a backup stopped. Segments that were copied before stay.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target cannot be written.
    #[error("{}: {source}", path.display())]
    Target {
        /// What was to be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The target's medium refuses.
    #[error("{}: {source}", path.display())]
    Medium {
        /// The target.
        path: PathBuf,
        /// What it says.
        source: IoError,
    },
    /// The target holds segments of another log.
    #[error("{} holds the log {found}, this one is {wanted}: use an empty directory", path.display())]
    OtherLog {
        /// The target.
        path: PathBuf,
        /// The identity found in it.
        found: LogId,
        /// The identity of the log to be copied.
        wanted: LogId,
    },
    /// A segment could not be opened.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A segment could not be read.
    #[error("segment {segment}: {source}")]
    Segment {
        /// The segment.
        segment: SegmentId,
        /// What the medium says.
        source: IoError,
    },
    /// A segment could not be checked.
    #[error("segment {segment}: {source}")]
    Scan {
        /// The segment.
        segment: SegmentId,
        /// What the scan says.
        source: ScanError,
    },
    /// A segment's frames end before its end.
    #[error("segment {segment} is damaged at {at}; nothing from it on was copied")]
    Damaged {
        /// The segment.
        segment: SegmentId,
        /// Byte behind the last sound frame.
        at: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default, deserialize_with = "or_default")]
    after_segment_id: Whole,
    backup_dir: PathBuf,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    segment_id: u32,
    path: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Backups {
    backups: Vec<Copied>,
}

pub(super) async fn backup(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Backups>, ApiError> {
    let allowed = allowed(&node)?;
    let request: Request = parse(&read(&node, &headers, body, BODY_MAX).await?)?;
    let after = u32::try_from(request.after_segment_id.0).map(SegmentId);
    let after =
        after.map_err(|_| ApiError::Malformed("`afterSegmentId` is no segment".to_owned()))?;
    let copy = move || -> Result<Vec<Copied>, ApiError> {
        while_alone(&node, || {
            let target = target(&allowed, &request.backup_dir)?;
            Ok(copy_segments(&namespace, after, &target)?)
        })
    };
    let backups = tokio::task::spawn_blocking(copy).await??;
    Ok(Json(Backups { backups }))
}

/// The directory below which backups are written.
pub(super) fn allowed(node: &Node) -> Result<PathBuf, ApiError> {
    let off = "backups are off: start the node with --backup-dir";
    node.backup_dir.clone().ok_or(ApiError::Forbidden(off))
}

/// Runs a backup, unless the node is at one: two could write to the same files.
pub(super) fn while_alone<R>(
    node: &Node,
    backup: impl FnOnce() -> Result<R, ApiError>,
) -> Result<R, ApiError> {
    let _alone = match node.backing_up.try_lock() {
        Ok(alone) => alone,
        // One that panicked holds nothing any more.
        Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(ApiError::BackupRuns),
    };
    backup()
}

/// The directory to write to, made if need be: `asked` within `allowed`, whatever links there are.
pub(super) fn target(allowed: &Path, asked: &Path) -> Result<PathBuf, ApiError> {
    let outside = ApiError::Forbidden("that is outside the directory that --backup-dir names");
    let below = if asked.is_absolute() { asked.strip_prefix(allowed).ok() } else { Some(asked) };
    let plain = |below: &&Path| {
        below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    let Some(below) = below.filter(plain) else { return Err(outside) };
    let target = allowed.join(below);
    let canonical = |path: &Path| path.canonicalize().map_err(|source| failed(path, source));
    fs::create_dir_all(&target).map_err(|source| failed(&target, source))?;
    let (target, allowed) = (canonical(&target)?, canonical(allowed)?);
    if target.starts_with(&allowed) { Ok(target) } else { Err(outside) }
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::Target { path: path.to_owned(), source }
}

fn copy_segments(
    namespace: &Namespace,
    after: SegmentId,
    target: &Path,
) -> Result<Vec<Copied>, BackupError> {
    claim(target, namespace.log_id())?;
    let mut copied = Vec::new();
    for segment in namespace.log().sealed_segments() {
        let segment = segment?;
        if segment.info.id <= after {
            continue;
        }
        check(&segment)?;
        let path = target.join(format!("{}.seg", segment.info.id));
        copy(&segment, &path)?;
        copied.push(Copied { segment_id: segment.info.id.0, path: path.display().to_string() });
    }
    File::open(target).and_then(|dir| dir.sync_all()).map_err(|source| failed(target, source))?;
    Ok(copied)
}

/// Marks the directory as this log's, so that two namespaces never mix their segments in one.
fn claim(target: &Path, wanted: LogId) -> Result<(), BackupError> {
    let medium = |source| BackupError::Medium { path: target.to_owned(), source };
    let store = FileStore::open(target, true).map_err(medium)?;
    match store.log_id().map_err(medium)? {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(BackupError::OtherLog { path: target.to_owned(), found, wanted }),
        None => store.set_log_id(wanted).map_err(medium),
    }
}

/// Every frame's CRC, up to the segment's end.
fn check(segment: &SealedSegment<FileStore>) -> Result<(), BackupError> {
    let id = segment.info.id;
    let mut scan = SegmentScan::buffered(&**segment.file());
    while scan.advance().map_err(|source| BackupError::Scan { segment: id, source })?.is_some() {}
    let at = scan.offset();
    if at >= segment.info.write_offset {
        Ok(())
    } else {
        Err(BackupError::Damaged { segment: id, at })
    }
}

fn copy(segment: &SealedSegment<FileStore>, path: &Path) -> Result<(), BackupError> {
    let id = segment.info.id;
    let beside = path.with_extension("tmp");
    let at = |source| failed(&beside, source);
    let mut file = File::create(&beside).map_err(at)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < segment.info.write_offset {
        let left = usize::try_from(segment.info.write_offset - offset).unwrap_or(CHUNK_BYTES);
        let part = chunk.get_mut(..left.min(CHUNK_BYTES)).unwrap_or_default();
        let read = segment.file().read_at(offset, part);
        read.map_err(|source| BackupError::Segment { segment: id, source })?;
        file.write_all(part).map_err(at)?;
        offset += part.len() as u64;
    }
    // The file's size belongs to the segment; what lies behind its last frame is zeros.
    file.set_len(segment.info.size).and_then(|()| file.sync_all()).map_err(at)?;
    fs::rename(&beside, path).map_err(at)
}

#[cfg(test)]
mod tests {
    use super::target;
    use std::path::Path;

    #[test]
    fn a_target_stays_inside_whatever_is_asked_and_linked() {
        let directory = tempfile::tempdir().unwrap();
        let (allowed, outside) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::create_dir_all(&allowed).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, allowed.join("link")).unwrap();
        let inside = allowed.canonicalize().unwrap();
        assert_eq!(target(&allowed, Path::new("a/b")).unwrap(), inside.join("a/b"));
        assert_eq!(target(&allowed, &allowed.join("c")).unwrap(), inside.join("c"));
        assert_eq!(target(&allowed, Path::new("")).unwrap(), inside);
        for asked in ["..", "a/../../out", "/etc", "link", "link/x"] {
            assert!(target(&allowed, Path::new(asked)).is_err(), "{asked}");
        }
    }
}
