//! `import` and `export`: a directory or JSON Lines, to and from a node.

mod directory;
mod error;
mod export;
mod import;
mod jsonl;
mod progress;
mod skipped;

pub(crate) use directory::{SourceFile, walk};
pub(crate) use error::TransferError;
pub(crate) use export::{ExportArguments, export};
pub(crate) use import::{Batcher, ImportArguments, import};
pub(crate) use progress::bar;
use skipped::{SkipReason, Skipped};

use clap::Args;
use std::path::PathBuf;

/// Where the data lies on this machine: exactly one of the two.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// A directory: keys are paths relative to it, values are the files' contents
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A file of JSON Lines, one {"key": ..., "text": ...} or {"key": ..., "value": BASE64} each;
    /// "-" is standard input or output
    #[arg(long, value_name = "FILE")]
    pub(crate) jsonl: Option<PathBuf>,
}
