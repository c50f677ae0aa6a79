//! Errors as clients see them: a status and `{"error": "..."}`.

use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use unison_base::Lsn;

use unison_engine::{
    ChangesError, ReadError, SealError, SettingsError, TopicError, TransactionError, TreeCopyError,
    TreeError, WriteError,
};
use unison_linux::store::{StoreError, TreeCopyFailure};
use unison_ports::IoError;

use super::backup::BackupError;
use crate::budget::INPUT_BYTES_MAX;
use crate::watch::TooManyWatchers;

/// A request that is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request has no meaning.
    #[error("{0}")]
    Malformed(String),
    /// What the request is about is not allowed here.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The path is known, the method is not.
    #[error("this path does not know the method {0}")]
    Method(String),
    /// The body came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
    /// It exists already.
    #[error("{0}")]
    Exists(String),
    /// Settings of topics that ask for encryption, where there is no key.
    #[error("{}", WriteError::NoKey)]
    SettingsNeedKey,
    /// The body is larger than any request needs to be.
    #[error("the body is above the limit of {limit} bytes (body)")]
    BodyTooLarge {
        /// Most bytes of a body.
        limit: usize,
    },
    /// A part of an object that does not begin where the parts before it end.
    #[error("the upload goes on at byte {expected}")]
    UploadOffset {
        /// Where it goes on.
        expected: u64,
    },
    /// Another request goes on with the upload in its place.
    #[error("another request has gone on with the upload")]
    UploadTaken,
    /// A range behind the end of an object.
    #[error("the object has {bytes} bytes and none of them is in the range")]
    Range {
        /// Bytes of the object.
        bytes: u64,
    },
    /// A row is larger than one answer may be.
    #[error(
        "the answer is above the limit of {limit} bytes (row): name columns, or page with `limit`"
    )]
    RowTooLarge {
        /// Most bytes of names and values in one answer.
        limit: usize,
    },
    /// The condition of the request does not hold.
    #[error("the condition does not hold: the key is {}", version(*.0))]
    Conflict(Option<Lsn>),
    /// This node takes no writes; the text names the one that does.
    #[error("{0}")]
    ReadOnly(String),
    /// Too much at a time.
    #[error("too many connections, the limit is {0}")]
    TooManyConnections(usize),
    /// The bodies of all requests together are too large at the moment.
    #[error("the requests in flight are above the limit of {INPUT_BYTES_MAX} bytes (input)")]
    TooMuchInput,
    /// A write was refused or failed.
    #[error("{0}")]
    Write(WriteError),
    /// A read failed.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A namespace could not be made or dropped.
    #[error("{0}")]
    Store(StoreError),
    /// A segment could not be copied.
    #[error("{0}")]
    Backup(#[from] BackupError),
    /// The tree could not be copied.
    #[error("{0}")]
    TreeBackup(#[from] TreeCopyFailure),
    /// The node is at another backup.
    #[error("the node is at another backup, one at a time")]
    BackupRuns,
    /// The disk could not say how much of it is used, or not keep a setting.
    #[error("the namespace's directory: {0}")]
    Disk(#[from] io::Error),
    /// There are as many watchers as may be.
    #[error(transparent)]
    TooManyWatchers(#[from] TooManyWatchers),
    /// The events asked for are not there, or no longer.
    #[error("{0}")]
    Changes(#[from] ChangesError),
    /// The request was given up because the server stops or a task of it failed.
    #[error("the server gave the request up")]
    Abandoned,
}

fn version(current: Option<Lsn>) -> String {
    current.map_or("absent".to_owned(), |lsn| format!("at version {lsn}"))
}

/// How long a client should wait when memory or connections are short, seconds.
const RETRY_PRESSURE: &str = "1";
/// The same when the disk is full.
const RETRY_NO_SPACE: &str = "30";

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Exists(_)
            | Self::UploadOffset { .. }
            | Self::UploadTaken
            | Self::SettingsNeedKey => StatusCode::CONFLICT,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::BodyTooLarge { .. } | Self::RowTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict(_) => StatusCode::PRECONDITION_FAILED,
            Self::ReadOnly(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::TooManyConnections(_)
            | Self::TooManyWatchers(_)
            | Self::TooMuchInput
            | Self::Abandoned => StatusCode::SERVICE_UNAVAILABLE,
            Self::Changes(ChangesError::Io(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Changes(_) => StatusCode::GONE,
            Self::Write(error) => status_of_write(error),
            Self::Read(
                ReadError::KeyLength { bytes, .. } | ReadError::ColumnLength { bytes, .. },
            ) => status_of_length(*bytes),
            Self::Read(ReadError::Topic(error)) => status_of_topic(*error),
            Self::Read(ReadError::Seal(SealError::NoKey { .. })) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Read(ReadError::Streams { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Store(StoreError::TooManyNamespaces) => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(StoreError::ReservedName { .. }) => StatusCode::BAD_REQUEST,
            Self::Backup(error) => status_of_backup(error),
            Self::TreeBackup(error) => status_of_tree_backup(error),
            Self::BackupRuns => StatusCode::TOO_MANY_REQUESTS,
            Self::Disk(error) => status_of_disk(error.kind()),
            Self::Read(_) | Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::TooManyConnections(_)
            | Self::TooManyWatchers(_)
            | Self::TooMuchInput
            | Self::BackupRuns
            | Self::Abandoned => Some(RETRY_PRESSURE),
            // A node that cannot go on starts again by itself.
            Self::Write(WriteError::Busy(_) | WriteError::Poisoned | WriteError::Closed) => {
                Some(RETRY_PRESSURE)
            }
            Self::Write(WriteError::Transaction(
                TransactionError::TooMany { .. }
                | TransactionError::Full { .. }
                | TransactionError::NodeFull { .. },
            )) => Some(RETRY_PRESSURE),
            Self::Write(WriteError::NoSpace) => Some(RETRY_NO_SPACE),
            _ => None,
        }
    }
}

fn status_of_write(error: &WriteError) -> StatusCode {
    match error {
        WriteError::KeyLength { bytes: length, .. }
        | WriteError::ColumnLength { bytes: length, .. }
        | WriteError::Columns { columns: length, .. } => status_of_length(*length),
        WriteError::EmptyBatch => StatusCode::BAD_REQUEST,
        WriteError::Topic(error) => status_of_topic(*error),
        WriteError::Settings(error) => status_of_settings(error),
        WriteError::NoKey => StatusCode::SERVICE_UNAVAILABLE,
        WriteError::NoMessage { .. } | WriteError::NoTopic => StatusCode::NOT_FOUND,
        WriteError::Headers { .. } | WriteError::Patterns { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        WriteError::ValueLength { .. }
        | WriteError::BatchOperations { .. }
        | WriteError::BatchBytes { .. }
        | WriteError::IndexBytes { .. }
        | WriteError::RecordTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        WriteError::ChunkLength { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        WriteError::Transaction(error) => status_of_transaction(error),
        WriteError::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        WriteError::Poisoned | WriteError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        WriteError::ReadOnly => StatusCode::MISDIRECTED_REQUEST,
        WriteError::NoSpace | WriteError::Quota { .. } => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_transaction(error: &TransactionError) -> StatusCode {
    match error {
        TransactionError::Unknown => StatusCode::NOT_FOUND,
        TransactionError::Exists | TransactionError::Committed => StatusCode::CONFLICT,
        TransactionError::Missing | TransactionError::Topics => StatusCode::BAD_REQUEST,
        TransactionError::TooLarge { .. } | TransactionError::ObjectBytes { .. } => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        TransactionError::TooMany { .. }
        | TransactionError::Full { .. }
        | TransactionError::NodeFull { .. } => StatusCode::TOO_MANY_REQUESTS,
        // Aborted, whoever did it.
        _ => StatusCode::GONE,
    }
}

fn status_of_backup(error: &BackupError) -> StatusCode {
    match error {
        BackupError::OtherLog { .. } => StatusCode::CONFLICT,
        BackupError::Target { source, .. } => status_of_target(source.kind()),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_tree_backup(error: &TreeCopyFailure) -> StatusCode {
    match error {
        TreeCopyFailure::Closed(error) => status_of_write(error),
        TreeCopyFailure::File { source, .. } => status_of_target(source.kind()),
        TreeCopyFailure::Copy(TreeCopyError::Target(TreeError::Io(IoError::NoSpace))) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A name that cannot be meant is the client's mistake.
fn status_of_target(kind: io::ErrorKind) -> StatusCode {
    match kind {
        io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory => StatusCode::BAD_REQUEST,
        io::ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        kind => status_of_disk(kind),
    }
}

fn status_of_disk(kind: io::ErrorKind) -> StatusCode {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_topic(error: TopicError) -> StatusCode {
    match error {
        TopicError::Length { bytes, .. } => status_of_length(bytes),
        TopicError::Levels { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn status_of_settings(error: &SettingsError) -> StatusCode {
    match error {
        SettingsError::Rules { .. } | SettingsError::Bytes { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// What is missing is a mistake, what is too long is too large.
fn status_of_length(length: usize) -> StatusCode {
    if length == 0 { StatusCode::BAD_REQUEST } else { StatusCode::PAYLOAD_TOO_LARGE }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict { current } => Self::Conflict(current),
            other => Self::Write(other),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchNamespace { name } => super::path::no_namespace(name.as_str()),
            other => Self::Store(other),
        }
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Abandoned
    }
}

#[derive(serde::Serialize)]
struct Body {
    error: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(%status, error = %self, "request failed");
        }
        let mut response = (status, Json(Body { error: self.to_string() })).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if let Self::Range { bytes } = self
            && let Ok(whole) = HeaderValue::try_from(format!("bytes */{bytes}"))
        {
            headers.insert(header::CONTENT_RANGE, whole);
        }
        if let Self::UploadOffset { expected } = self {
            headers.insert("upload-offset", HeaderValue::from(expected));
        }
        if let Self::Conflict(current) = self {
            headers.insert(header::ETAG, super::condition::etag(current.unwrap_or(Lsn::ZERO)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::ApiError;
    use axum::response::IntoResponse;
    use unison_base::Lsn;
    use unison_engine::{Pressure, TopicError, WriteError};

    #[test]
    fn each_failure_of_a_write_has_its_status_and_says_when_to_come_back() {
        let busy = WriteError::Busy(Pressure::Full { memtables: 2, limit: 2 });
        for (error, status, retry) in [
            (WriteError::KeyLength { bytes: 0, limit: 1 }, 400, None),
            (WriteError::KeyLength { bytes: 2, limit: 1 }, 413, None),
            (WriteError::ColumnLength { bytes: 0, limit: 1 }, 400, None),
            (WriteError::ColumnLength { bytes: 2, limit: 1 }, 413, None),
            (WriteError::Columns { columns: 0, limit: 1 }, 400, None),
            (WriteError::Columns { columns: 2, limit: 1 }, 413, None),
            (WriteError::ValueLength { bytes: 2, limit: 1 }, 413, None),
            (WriteError::BatchBytes { bytes: 2, limit: 1 }, 413, None),
            (WriteError::IndexBytes { bytes: 2, limit: 1 }, 413, None),
            (WriteError::EmptyBatch, 400, None),
            (WriteError::Topic(TopicError::Length { bytes: 0, limit: 1 }), 400, None),
            (WriteError::Topic(TopicError::Length { bytes: 2, limit: 1 }), 413, None),
            (WriteError::Topic(TopicError::Wildcard), 400, None),
            (WriteError::NoMessage { lsn: Lsn(1), index: 0 }, 404, None),
            (WriteError::NoTopic, 404, None),
            (WriteError::NoKey, 503, None),
            (WriteError::Patterns { limit: 1 }, 413, None),
            (WriteError::Conflict { current: Some(Lsn(7)) }, 412, None),
            (busy, 429, Some("1")),
            (WriteError::Poisoned, 503, Some("1")),
            (WriteError::Closed, 503, Some("1")),
            (WriteError::ReadOnly, 421, None),
            (WriteError::NoSpace, 507, Some("30")),
            (WriteError::Quota { limit: 7 }, 507, None),
        ] {
            let response = ApiError::from(error).into_response();
            let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), after), (status, retry), "{error}");
        }
    }
}
