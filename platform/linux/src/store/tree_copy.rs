//! Copies of a namespace's tree, made while it is served.

use super::Namespace;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use unison_base::Lsn;
use unison_engine::{TreeCopy, TreeCopyError, TreeError, WriteError};

/// Page cache of a tree that is being written or checked, bytes.
const CACHE_BYTES: usize = 16 << 20;
/// What is added to the name of a copy that is not whole yet.
const UNFINISHED: &str = ".unfinished";

/// Why a tree was not copied. What was at the copy's name is still there.
#[derive(Debug, thiserror::Error)]
pub enum TreeCopyFailure {
    /// The namespace is closed.
    #[error(transparent)]
    Closed(#[from] WriteError),
    /// The copy's file.
    #[error("{}: {source}", path.display())]
    File {
        /// The copy.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The copy cannot be opened as a tree.
    #[error("{}: {source}", path.display())]
    Open {
        /// The copy.
        path: PathBuf,
        /// What the tree says.
        source: redb::DatabaseError,
    },
    /// The tree cannot be read, or the copy not be written.
    #[error(transparent)]
    Copy(#[from] TreeCopyError),
    /// The copy was read again and is not what was written.
    #[error("{}: the copy reads back otherwise than it was written", path.display())]
    Differs {
        /// The copy.
        path: PathBuf,
    },
    /// The copy was read again and is no tree.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The copy.
        path: PathBuf,
        /// What the tree says.
        source: TreeError,
    },
}

/// A copy that is whole and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeCopied {
    /// Its size.
    pub bytes: u64,
    /// It holds everything up to here; what came later is in the log.
    pub lsn: Lsn,
}

impl Namespace {
    /// Copies the tree into a file, replacing one of that name when the copy is whole: made beside it,
    /// opened again, each of its pages checked, then renamed. Neither writers nor readers wait. One copy
    /// into a directory at a time.
    ///
    /// # Errors
    /// What failed; the file of that name is as it was.
    pub fn copy_tree(&self, path: &Path) -> Result<TreeCopied, TreeCopyFailure> {
        let copy = self.with_engine(|engine| engine.tree_copy())?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let copied = write(copy, &unfinished, path);
        if copied.is_err() {
            // The error to report is the one that there is.
            let _ = fs::remove_file(&unfinished);
        }
        copied
    }
}

fn write(copy: TreeCopy, unfinished: &Path, path: &Path) -> Result<TreeCopied, TreeCopyFailure> {
    let at = |source| TreeCopyFailure::File { path: path.to_owned(), source };
    if path.is_dir() {
        return Err(at(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
        _ => {}
    }
    let open = |source| TreeCopyFailure::Open { path: path.to_owned(), source };
    let mut builder = redb::Builder::new();
    let builder = builder.set_cache_size(CACHE_BYTES);
    let lsn = copy.run(&builder.create(unfinished).map_err(open)?)?;
    let mut written = builder.open(unfinished).map_err(open)?;
    let unreadable = |source| TreeCopyFailure::Unreadable { path: path.to_owned(), source };
    let same = TreeCopy::lsn_of(&written).map_err(unreadable)? == lsn;
    if !(written.check_integrity().map_err(open)? && same) {
        return Err(TreeCopyFailure::Differs { path: path.to_owned() });
    }
    drop(written);
    let file = File::open(unfinished).map_err(at)?;
    file.sync_all().map_err(at)?;
    let bytes = file.metadata().map_err(at)?.len();
    fs::rename(unfinished, path).map_err(at)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(at)?;
    Ok(TreeCopied { bytes, lsn })
}
