//! What the tree can fail with, without redb's strings.

use unison_ports::IoError;

/// A table of the tree: the locator of [`TreeError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeTable {
    /// Key -> entry.
    Data,
    /// The checkpoint.
    Meta,
    /// The tree's own pages, below any table.
    Pages,
}

/// What the tree could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Stored bytes are not what was written.
    #[error("the tree is corrupt in its {table:?} table")]
    Corrupt {
        /// Where.
        table: TreeTable,
    },
    /// The medium under the tree failed.
    #[error("the tree's medium failed: {0}")]
    Io(IoError),
    /// An I/O error came before; the tree must be opened again.
    #[error("the tree is not usable after an earlier failure; open it again")]
    Unusable,
    /// Written by a version that this one does not know.
    #[error("the tree's format is version {found}, this program knows versions 1 to 3")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Tables with other types under our names, or a use of the tree that it does not allow.
    #[error("the tree's file belongs to something else")]
    Foreign,
}

/// Why a tree could not be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeCopyError {
    /// The tree to be copied.
    #[error("the tree cannot be read: {0}")]
    Source(TreeError),
    /// The copy.
    #[error("the copy cannot be written: {0}")]
    Target(TreeError),
}

impl From<redb::StorageError> for TreeError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            redb::StorageError::Corrupted(_) => Self::Corrupt { table: TreeTable::Pages },
            redb::StorageError::Io(error) => Self::Io(io_error(&error)),
            redb::StorageError::ValueTooLarge(_) | redb::StorageError::Unsupported => Self::Foreign,
            _ => Self::Unusable,
        }
    }
}

#[cfg(feature = "std")]
fn io_error(error: &redb::io::Error) -> IoError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => IoError::NoSpace,
        std::io::ErrorKind::ReadOnlyFilesystem => IoError::ReadOnly,
        std::io::ErrorKind::PermissionDenied => IoError::Denied,
        std::io::ErrorKind::NotFound => IoError::NotFound,
        _ => IoError::Device(error.raw_os_error().unwrap_or_default()),
    }
}

/// Without the standard library the tree's backend has no kinds of errors to tell.
#[cfg(not(feature = "std"))]
fn io_error(_: &redb::io::Error) -> IoError {
    IoError::Device(0)
}

impl From<redb::TransactionError> for TreeError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            _ => Self::Foreign,
        }
    }
}

impl From<redb::TableError> for TreeError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            _ => Self::Foreign,
        }
    }
}

impl From<redb::CommitError> for TreeError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            _ => Self::Foreign,
        }
    }
}
