//! A directory tree as keys and values.

use super::{SkipReason, Skipped, TransferError};
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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

/// What lies below a directory.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Regular files whose names are UTF-8, in the order of their keys.
    pub(crate) files: Vec<SourceFile>,
    /// Everything else that is no directory.
    pub(super) left_out: Vec<Skipped>,
}

/// Walks the tree below `root`. Links are not followed, so that the walk ends on any tree.
pub(crate) fn walk(root: &Path) -> Result<Tree, TransferError> {
    let mut tree = Tree::default();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).map_err(TransferError::file(&directory))?;
        for entry in entries {
            let entry = entry.map_err(TransferError::file(&directory))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(TransferError::file(&path))?;
            if kind.is_dir() {
                pending.push(path);
            } else {
                tree.add(root, path, kind)?;
            }
        }
    }
    tree.files.sort_by(|one, other| one.key.cmp(&other.key));
    tree.left_out.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tree)
}

impl Tree {
    fn add(&mut self, root: &Path, path: PathBuf, kind: FileType) -> Result<(), TransferError> {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let reason = match relative.to_str() {
            _ if kind.is_symlink() => SkipReason::Link,
            _ if !kind.is_file() => SkipReason::NoFile,
            None => SkipReason::Name,
            Some(key) => {
                let key = key.to_owned();
                let bytes = fs::metadata(&path).map_err(TransferError::file(&path))?.len();
                self.files.push(SourceFile { key, path, bytes });
                return Ok(());
            }
        };
        let name = relative.as_os_str().as_encoded_bytes().escape_ascii().to_string();
        self.left_out.push(Skipped { name, reason });
        Ok(())
    }
}

/// Where files are written.
pub(super) struct Target<'a> {
    root: &'a Path,
    partial: PathBuf,
}

impl<'a> Target<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        let partial = root.join(format!(".export-{}.partial", std::process::id()));
        Self { root, partial }
    }

    /// Writes one value at the path its key names: to a temporary name first, so that a file is
    /// there whole or not at all.
    pub(super) fn write(&self, key: &[u8], value: &[u8]) -> Result<(), TransferError> {
        let named = || String::from_utf8_lossy(key).into_owned();
        let relative = safe_path(key).ok_or_else(|| TransferError::UnsafeKey { key: named() })?;
        let path = self.root.join(relative);
        self.put(&path, value).map_err(|source| match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
                TransferError::FileAndDirectory { key: named() }
            }
            _ => TransferError::File { path, source },
        })
    }

    fn put(&self, path: &Path, value: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(self.root))?;
        let written =
            fs::write(&self.partial, value).and_then(|()| fs::rename(&self.partial, path));
        if written.is_err() {
            // It may not even be there; what matters is the first error.
            let _ = fs::remove_file(&self.partial);
        }
        written
    }
}

/// The key as a relative path that stays below its root, and that no other key shares: a path
/// drops empty parts and single dots.
fn safe_path(key: &[u8]) -> Option<&Path> {
    let text = std::str::from_utf8(key).ok()?;
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    text.split('/').all(plain).then_some(Path::new(text))
}

#[cfg(test)]
mod tests {
    use super::{SkipReason, Target, TransferError, safe_path, walk};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn keys_that_would_leave_the_directory_are_refused() {
        for key in ["", "/etc/passwd", "../up", "a/../../b", "a/", "a\0b", "..", "."] {
            assert!(safe_path(key.as_bytes()).is_none(), "{key:?} was taken");
        }
        assert!(safe_path(b"\xff").is_none());
        assert!(safe_path(b"a/b.c/d").is_some());
    }

    #[test]
    fn keys_that_would_share_a_path_are_refused() {
        for key in ["a//b", "a/./b", "./a", "a/.", "//", "a/b/"] {
            assert!(safe_path(key.as_bytes()).is_none(), "{key:?} was taken");
        }
        assert!(safe_path(b".a/..b/...").is_some());
    }

    #[test]
    fn a_key_that_is_also_a_directory_is_named() {
        for keys in [["a", "a/b"], ["a/b", "a"], ["a", "a/b/c"]] {
            let dir = tempfile::tempdir().unwrap();
            let target = Target::new(dir.path());
            target.write(keys[0].as_bytes(), b"1").unwrap();
            let error = target.write(keys[1].as_bytes(), b"2").unwrap_err();
            let named = matches!(&error, TransferError::FileAndDirectory { key } if key == keys[1]);
            assert!(named, "{keys:?}: {error}");
            assert_eq!(walk(dir.path()).unwrap().files.len(), 1, "something is left behind");
        }
    }

    #[test]
    fn what_is_written_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::new(dir.path());
        target.write(b"x/y/z", b"1").unwrap();
        target.write(b"a", b"22").unwrap();
        let files = walk(dir.path()).unwrap().files;
        let found: Vec<_> = files.iter().map(|file| (file.key.as_str(), file.bytes)).collect();
        assert_eq!(found, [("a", 2), ("x/y/z", 1)]);
    }

    #[test]
    fn what_is_left_out_is_named_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(OsStr::from_bytes(b"d\xff")), b"").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let tree = walk(dir.path()).unwrap();
        assert!(tree.files.is_empty());
        let found = tree.left_out.into_iter().map(|skipped| (skipped.name, skipped.reason));
        let expected = [
            ("d\\xff", SkipReason::Name),
            ("link", SkipReason::Link),
            ("socket", SkipReason::NoFile),
        ];
        assert!(found.eq(expected.map(|(name, reason)| (name.to_owned(), reason))));
    }
}
