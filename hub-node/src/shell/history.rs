//! Where typed lines are kept between two runs.

use super::complete::Completion;
use rustyline::Editor;
use rustyline::history::FileHistory;
use std::path::PathBuf;

/// The user's history; without a home there is none between two runs.
pub(super) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// `unisondb/shell-history` in the directory that the system has for such state.
    pub(super) fn of_user() -> Self {
        let state = absolute("XDG_STATE_HOME");
        let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
        Self { file: state.map(|state| state.join("unisondb").join("shell-history")) }
    }

    /// Reads what was kept. The first run finds nothing.
    pub(super) fn load(&self, editor: &mut Editor<Completion, FileHistory>) {
        let Some(file) = &self.file else { return };
        if let Some(directory) = file.parent() {
            // If it cannot be made, keeping lines fails, and says so once.
            let _ = std::fs::create_dir_all(directory);
        }
        if file.exists()
            && let Err(error) = editor.load_history(file)
        {
            eprintln!("the history in {} cannot be read: {error}", file.display());
        }
    }

    /// Keeps a line at once, so that a killed shell loses none.
    pub(super) fn add(&self, editor: &mut Editor<Completion, FileHistory>, line: &str) {
        let added = editor.add_history_entry(line).unwrap_or(false);
        if let (true, Some(file)) = (added, &self.file)
            && let Err(error) = editor.append_history(file)
        {
            eprintln!("the line is not kept in {}: {error}", file.display());
        }
    }
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
