//! Which logs lie at or below a directory, and whose they are.

use super::{InspectError, NodeRole};
use std::path::{Path, PathBuf};

/// In a data directory: whose it is, where it is not a hub's.
const ROLE_FILE: &str = "role";

/// The directories of segments at or below `dir`, at most two levels down.
pub(super) fn find_logs(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    if holds_segments(dir)? {
        return Ok(vec![dir.to_owned()]);
    }
    if dir.join("wal").is_dir() {
        return Ok(vec![dir.join("wal")]);
    }
    let mut logs: Vec<_> = entries(dir)?
        .into_iter()
        .map(|path| path.join("wal"))
        .filter(|path| path.is_dir())
        .collect();
    logs.sort();
    if logs.is_empty() { Err(InspectError::NoLog(dir.to_owned())) } else { Ok(logs) }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    let failed = |source| InspectError::Directory { path: dir.to_owned(), source };
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn holds_segments(dir: &Path) -> Result<bool, InspectError> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "seg");
    Ok(entries(dir)?.iter().any(is_segment))
}

/// Whose log this is, by its data directory: the parent of the namespace's directory.
pub(super) fn role_of(log: &Path) -> NodeRole {
    let found = log.canonicalize().ok();
    let data_dir = found.as_deref().and_then(Path::parent).and_then(Path::parent);
    let text = data_dir.and_then(|dir| std::fs::read_to_string(dir.join(ROLE_FILE)).ok());
    match text.as_deref().map(str::trim) {
        Some("edge") => NodeRole::Edge,
        _ => NodeRole::Hub,
    }
}
