//! Topics at scale: what a topic and a message cost on the disk, whether publishing goes on while
//! millions of messages expire, and how fast topics find their filters.
//!
//! `unison-topic-bench small`, `stored`, `expiry`, `filters`; `--help` says how many of what.

mod disk;
mod expiry;
mod filters;
mod stored;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Measures topics.
#[derive(Parser)]
struct Arguments {
    /// Directory on the disk to measure; a temporary one otherwise
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Many topics with one message each: bytes a topic, time of a restart
    Small {
        /// Topics
        #[arg(long, default_value_t = 100_000)]
        topics: usize,
    },
    /// Many messages of fewer topics: bytes a message, messages a second through the flush
    Stored(stored::Stored),
    /// Publishing while messages expire
    Expiry(expiry::Expiry),
    /// Topics looked up among many filters
    Filters(filters::Filters),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let root = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    run(&arguments.suite, root.path())
}

fn run(suite: &Suite, root: &Path) -> anyhow::Result<()> {
    match suite {
        Suite::Small { topics } => stored::small(*topics, root),
        Suite::Stored(stored) => stored.run(root),
        Suite::Expiry(expiry) => expiry.run(root),
        Suite::Filters(filters) => filters.run(),
    }
}
