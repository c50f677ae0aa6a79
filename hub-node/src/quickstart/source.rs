//! Which real files are imported.

use super::QuickstartError;
use crate::transfer::{SourceFile, walk};
use std::path::{Path, PathBuf};
use unison_base::limits::{KEY_MAX, VALUE_MAX};

/// A check says something about many files only if there are many.
const CHECK_FILES_MIN: usize = 5_000;
/// A quickstart is over in a minute: it takes the first files of a larger tree.
const FILES_MAX: usize = 20_000;
const BYTES_MAX: u64 = 512 << 20;

/// The files of a source directory, bounded.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where they lie.
    pub(crate) root: PathBuf,
    /// What is imported.
    pub(crate) files: Vec<SourceFile>,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Source {
    /// The given directory, all of its files; else the `.rs` files of the cargo registry; else the
    /// present directory.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, QuickstartError> {
        match given {
            Some(root) => Self::read(root.to_owned(), |_| true),
            None => match registry() {
                Some(root) => Self::read(root, |file| file.key.ends_with(".rs")),
                None => Self::read(PathBuf::from("."), |file| !is_build_output(file)),
            },
        }
    }

    fn read(root: PathBuf, wanted: impl Fn(&SourceFile) -> bool) -> Result<Self, QuickstartError> {
        let storable = |file: &SourceFile| {
            (1..=KEY_MAX).contains(&file.key.len()) && file.bytes <= VALUE_MAX as u64
        };
        let mut bytes = 0;
        let mut files = walk(&root)?.files;
        files.retain(|file| wanted(file) && storable(file));
        let found = files.len();
        files.truncate(FILES_MAX);
        let fitting = files.iter().take_while(|file| {
            bytes += file.bytes;
            bytes <= BYTES_MAX
        });
        let count = fitting.count();
        files.truncate(count);
        if count < found {
            println!("taking the first {count} of {found} files");
        }
        let bytes = files.iter().map(|file| file.bytes).sum();
        Ok(Self { root, files, bytes })
    }

    /// Refuses a source too small for a check.
    pub(crate) fn require_enough(&self) -> Result<(), QuickstartError> {
        if self.files.len() >= CHECK_FILES_MIN {
            return Ok(());
        }
        Err(QuickstartError::TooFew {
            need: CHECK_FILES_MIN,
            found: self.files.len(),
            source_dir: self.root.display().to_string(),
        })
    }
}

fn registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let sources = home.join("registry").join("src");
    sources.is_dir().then_some(sources)
}

fn is_build_output(file: &SourceFile) -> bool {
    file.key.starts_with("target") || file.key.starts_with(".git/")
}
