//! `POST /btree/backup`: a copy of the tree as it is at one moment, made while it is read and written.
//! It has its name when all of it is on disk and was read again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::backup::{allowed, target, while_alone};
use super::body::{parse, read};
use super::error::ApiError;
use super::path::InNamespace;
use crate::node::Node;

/// Most bytes of a body that asks for a copy.
const BODY_MAX: usize = 16 << 10;

#[derive(Deserialize)]
struct Request {
    path: PathBuf,
}

#[derive(Debug, Serialize)]
pub(super) struct Copied {
    path: String,
    bytes: u64,
    /// It holds everything up to here; what came later is in the log.
    lsn: u64,
}

pub(super) async fn backup(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Copied>, ApiError> {
    let allowed = allowed(&node)?;
    let request: Request = parse(&read(&node, &headers, body, BODY_MAX).await?)?;
    let copy = move || {
        while_alone(&node, || {
            let path = file(&allowed, &request.path)?;
            let copied = namespace.copy_tree(&path)?;
            let path = path.display().to_string();
            Ok(Copied { path, bytes: copied.bytes, lsn: copied.lsn.0 })
        })
    };
    Ok(Json(tokio::task::spawn_blocking(copy).await??))
}

/// The file to write, in a directory that is there then: `asked` within `allowed`.
fn file(allowed: &Path, asked: &Path) -> Result<PathBuf, ApiError> {
    let missing = || ApiError::Malformed("`path` ends with no name of a file".to_owned());
    let name = asked.file_name().ok_or_else(missing)?;
    Ok(target(allowed, asked.parent().unwrap_or(Path::new("")))?.join(name))
}

#[cfg(test)]
mod tests {
    use super::file;
    use std::path::Path;

    #[test]
    fn a_copy_is_a_file_inside_what_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().canonicalize().unwrap();
        assert_eq!(file(&inside, Path::new("t.redb")).unwrap(), inside.join("t.redb"));
        assert_eq!(file(&inside, Path::new("a/b/t")).unwrap(), inside.join("a/b/t"));
        assert_eq!(file(&inside, &inside.join("c/t")).unwrap(), inside.join("c/t"));
        for asked in ["", "/", "..", "a/..", "../t", "/etc/t", "a/../../t"] {
            assert!(file(&inside, Path::new(asked)).is_err(), "{asked}");
        }
    }
}
