//! The tree's file: made whole or not at all, and made anew from the log when it is damaged.

use super::tree_backend::TreeBackend;
use redb::backends::FileBackend;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "tree.redb";
/// A tree that is being made; whatever a cut left of it is removed.
const UNFINISHED: &str = "tree.redb.new";
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

/// Takes a damaged tree out of the way; it is kept, and returned by name.
pub(super) fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let mut aside = dir.join(ASIDE);
    for number in 2_u32.. {
        if !aside.exists() {
            break;
        }
        aside = dir.join(format!("{ASIDE}.{number}"));
    }
    fs::rename(path(dir), &aside)?;
    File::open(dir)?.sync_all()?;
    Ok(aside)
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
