//! A directory tree as keys and values.

use super::TransferError;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// A file to import.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Its path relative to the root, with `/` between the parts.
    pub(crate) key: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Bytes, when it was listed.
    pub(crate) bytes: u64,
}

/// All regular files below `root` whose names are UTF-8, in path order. Links are not followed, so
/// the walk ends on any tree.
pub(crate) fn walk(root: &Path) -> Result<Vec<SourceFile>, TransferError> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).map_err(TransferError::file(&directory))?;
        for entry in entries {
            let entry = entry.map_err(TransferError::file(&directory))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(TransferError::file(&path))?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                files.extend(describe(root, path)?);
            }
        }
    }
    files.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(files)
}

fn describe(root: &Path, path: PathBuf) -> Result<Option<SourceFile>, TransferError> {
    let relative = path.strip_prefix(root).unwrap_or(&path);
    let Some(key) = relative.to_str().map(str::to_owned) else {
        return Ok(None);
    };
    let bytes = fs::metadata(&path).map_err(TransferError::file(&path))?.len();
    Ok(Some(SourceFile { key, path, bytes }))
}

/// Writes one value below `root` at the path its key names: to a temporary name first, so that a
/// file is there whole or not at all.
pub(crate) fn write_file(root: &Path, key: &[u8], value: &[u8]) -> Result<(), TransferError> {
    let relative = safe_path(key).ok_or_else(|| TransferError::UnsafeKey {
        key: String::from_utf8_lossy(key).into_owned(),
    })?;
    let target = root.join(relative);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(TransferError::file(parent))?;
    }
    let mut name = target.clone().into_os_string();
    name.push(".partial");
    let partial = PathBuf::from(name);
    fs::File::create(&partial)
        .and_then(|mut file| file.write_all(value))
        .and_then(|()| fs::rename(&partial, &target))
        .map_err(TransferError::file(&target))
}

/// The key as a relative path that stays below its root.
fn safe_path(key: &[u8]) -> Option<&Path> {
    let path = Path::new(std::str::from_utf8(key).ok()?);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let clean = !key.contains(&0) && !key.ends_with(b"/");
    (plain && clean && path.file_name().is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{safe_path, walk, write_file};

    #[test]
    fn keys_that_would_leave_the_directory_are_refused() {
        for key in ["", "/etc/passwd", "../up", "a/../../b", "a/", "a\0b", "..", "."] {
            assert!(safe_path(key.as_bytes()).is_none(), "{key:?} was taken");
        }
        assert!(safe_path(b"\xff").is_none());
        assert!(safe_path(b"a/b.c/d").is_some());
    }

    #[test]
    fn what_is_written_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        write_file(dir.path(), b"x/y/z", b"1").unwrap();
        write_file(dir.path(), b"a", b"22").unwrap();
        let files = walk(dir.path()).unwrap();
        let found: Vec<_> = files.iter().map(|file| (file.key.as_str(), file.bytes)).collect();
        assert_eq!(found, [("a", 2), ("x/y/z", 1)]);
    }
}
