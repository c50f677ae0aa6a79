//! What all checks are given.

use crate::table::Table;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A firmware image.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    pub(crate) path: PathBuf,
    pub(crate) file_bytes: u64,
    pub(crate) table: Arc<Table>,
}

impl Firmware {
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let table = Table::parse(&bytes).with_context(|| path.display().to_string())?;
        let (path, file_bytes) = (path.to_owned(), bytes.len() as u64);
        Ok(Self { path, file_bytes, table: Arc::new(table) })
    }
}

/// What all checks are given.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) firmware: Firmware,
    pub(crate) panic_firmware: Option<Firmware>,
    pub(crate) hub: PathBuf,
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    pub(crate) keep: Option<PathBuf>,
}
