//! How many runs of a node ended by a panic, one after the other.
//!
//! A tree that has rotted may make redb panic, at every start again: a supervisor would start the
//! node for ever, though its log is whole. So a run notes its first panic, and takes the note back
//! once it has lived for a while. The third run of a row makes its trees anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the data directory; no namespace's name begins with a dot.
const FILE: &str = ".panics";
/// Runs in a row that may end by a panic before the trees are doubted.
const RUNS_MAX: u32 = 2;
/// A run that lives this long has overcome what the ones before it died of.
const OVERCOME_AFTER: Duration = Duration::from_secs(60);

/// The note of a data directory.
#[derive(Debug)]
pub(crate) struct Panics {
    file: PathBuf,
    runs: u32,
}

impl Panics {
    /// Reads the note, and has every panic of this process write it.
    pub(crate) fn watch(data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let note = fs::read_to_string(&file).unwrap_or_default();
        let runs = note.trim().parse().unwrap_or(0_u32);
        let (noted, tell) = (file.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            // Nobody could be told that it failed.
            let _ = fs::write(&noted, runs.saturating_add(1).to_string());
            tell(panic);
        }));
        Self { file, runs }
    }

    /// Whether the runs before this one call for new trees. The row then begins anew.
    pub(crate) fn doubt_trees(&self) -> bool {
        let doubt = self.runs >= RUNS_MAX;
        if doubt {
            tracing::error!(
                runs = self.runs,
                "runs in a row ended by a panic: trees are made anew"
            );
            self.forget();
        }
        doubt
    }

    /// Takes the note back once this run has lived long enough.
    pub(crate) async fn forget_later(self) {
        tokio::time::sleep(OVERCOME_AFTER).await;
        self.forget();
    }

    fn forget(&self) {
        let _ = fs::remove_file(&self.file);
    }
}
