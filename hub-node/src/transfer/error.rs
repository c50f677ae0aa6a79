//! Why a transfer stopped.

use crate::client::ClientError;
use std::path::{Path, PathBuf};

/// A transfer stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// A file or directory of this machine.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A line of a JSON Lines file.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A key cannot be a path below the target directory.
    #[error("the key {key:?} is no safe path below the target directory; export it with --jsonl")]
    UnsafeKey {
        /// The key, made printable.
        key: String,
    },
    /// A key and the beginning of another, up to a `/`.
    #[error(
        "the key {key:?} needs a file where another key needs a directory, or the other way \
         round; export it with --jsonl"
    )]
    FileAndDirectory {
        /// The key, made printable.
        key: String,
    },
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What is wrong with one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// No JSON, or not of the shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Not base64.
    #[error("\"value\" is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Neither, or both.
    #[error("give exactly one of \"text\" and \"value\"")]
    OneValue,
}

impl TransferError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
