//! The tree's file: made whole or not at all, and made anew from the log when it is damaged.

use super::tree_backend::TreeBackend;
use redb::backends::FileBackend;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "tree.redb";
/// A tree that is being made; whatever a cut left of it is removed.
const UNFINISHED: &str = "tree.redb.new";
/// A tree that is not to be trusted, until the log has made another one that holds everything.
const DOUBTED: &str = "tree.redb.doubted";
const ASIDE: &str = "tree.redb.damaged";

/// Where the tree of a namespace's directory is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Opens the tree of a namespace's directory; makes an empty one where there is none.
///
/// redb takes a file whose making was cut off for damaged, so it is made beside its name and
/// renamed once it is whole.
pub(super) fn open(dir: &Path, cache_bytes: usize) -> Result<redb::Database, redb::DatabaseError> {
    let path = path(dir);
    if !path.exists() {
        make(dir).map_err(redb::StorageError::from)?;
    }
    let file = File::options().read(true).write(true).open(path);
    let file = FileBackend::new(file.map_err(redb::StorageError::from)?)?;
    let backend = TreeBackend::new(file, dir.to_owned());
    redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(backend)
}

fn make(dir: &Path) -> io::Result<()> {
    let unfinished = dir.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    drop(redb::Database::create(&unfinished).map_err(io::Error::other)?);
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, path(dir))?;
    File::open(dir)?.sync_all()
}

/// Takes a tree that is not to be trusted out of the way and returns where it is kept. From now on
/// [`doubted`] says so, until [`dismiss`].
pub(super) fn doubt(dir: &Path) -> io::Result<PathBuf> {
    // Where one is doubted already, this is its unproved successor.
    let kept = if doubted(dir).is_some() { free_name(dir) } else { dir.join(DOUBTED) };
    rename(dir, &path(dir), kept)
}

/// The tree that is kept because the log has not yet been proved to hold everything.
pub(super) fn doubted(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(DOUBTED)).filter(|path| path.exists())
}

/// Removes a tree that was made while another one was doubted: nothing says how far it got.
pub(super) fn remove_unproved(dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::open(dir)?.sync_all(),
    }
}

/// Ends a doubt: the log has made another tree that holds everything. The old one is kept, and
/// returned by name.
pub(super) fn dismiss(dir: &Path) -> io::Result<PathBuf> {
    rename(dir, &dir.join(DOUBTED), free_name(dir))
}

fn free_name(dir: &Path) -> PathBuf {
    let numbered = (2_u32..).map(|number| format!("{ASIDE}.{number}"));
    let mut names = std::iter::once(ASIDE.to_owned()).chain(numbered).map(|name| dir.join(name));
    names.find(|path| !path.exists()).unwrap_or_else(|| dir.join(ASIDE))
}

fn rename(dir: &Path, from: &Path, to: PathBuf) -> io::Result<PathBuf> {
    fs::rename(from, &to)?;
    File::open(dir)?.sync_all()?;
    Ok(to)
}

/// Whether opening failed because of what the file holds, not because of the machine.
pub(super) fn is_damage(error: &redb::DatabaseError) -> bool {
    use redb::DatabaseError::{RepairAborted, Storage};
    match error {
        Storage(redb::StorageError::Corrupted(_)) | RepairAborted => true,
        Storage(redb::StorageError::Io(error)) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}
