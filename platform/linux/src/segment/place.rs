//! Where a segment's file is, and its descriptor while one is open.

use super::io::io_error;
use rustix::fs::{Mode, OFlags, open};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unison_ports::IoError;

/// Path and descriptor of one handle. The store moves it along when it renames the file.
#[derive(Debug)]
pub(crate) struct Place(Mutex<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    kept: Option<Arc<OwnedFd>>,
    removed: bool,
}

/// A place held still while the store renames or removes its file.
pub(crate) struct Held<'a>(MutexGuard<'a, State>);

impl Place {
    pub(crate) fn new(path: PathBuf, kept: Option<OwnedFd>) -> Arc<Self> {
        let kept = kept.map(Arc::new);
        Arc::new(Self(Mutex::new(State { path, kept, removed: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The descriptor that is kept, else one that the caller closes by dropping it.
    pub(super) fn open_for_reading(&self) -> Result<Arc<OwnedFd>, IoError> {
        let state = self.state();
        match &state.kept {
            Some(kept) => Ok(Arc::clone(kept)),
            None => open_at(&state.path, OFlags::RDONLY).map(Arc::new),
        }
    }

    /// A descriptor that stays open until [`close`](Self::close).
    pub(super) fn keep_open_for_writing(&self) -> Result<Arc<OwnedFd>, IoError> {
        let mut state = self.state();
        if let Some(kept) = &state.kept {
            return Ok(Arc::clone(kept));
        }
        let opened = Arc::new(open_at(&state.path, OFlags::RDWR)?);
        state.kept = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Closes the descriptor unless it is the only way to the file.
    pub(super) fn close(&self) {
        let mut state = self.state();
        if !state.removed {
            state.kept = None;
        }
    }

    /// Keeps everybody from opening the path until the result is dropped.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held(self.state())
    }
}

impl Held<'_> {
    /// The file has another path now.
    pub(crate) fn moved(&mut self, path: &Path) {
        self.0.path = path.to_path_buf();
    }

    /// Opens the file if it is not, because its path is about to go.
    pub(crate) fn keep(&mut self) -> Result<(), IoError> {
        if self.0.kept.is_none() {
            let path = &self.0.path;
            let opened = open_at(path, OFlags::RDWR).or_else(|_| open_at(path, OFlags::RDONLY))?;
            self.0.kept = Some(Arc::new(opened));
        }
        Ok(())
    }

    /// The path is gone; the descriptor is all there is.
    pub(crate) fn removed(&mut self) {
        self.0.removed = true;
    }
}

fn open_at(path: &Path, flags: OFlags) -> Result<OwnedFd, IoError> {
    let flags = flags | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| open(path, flags, Mode::empty())).map_err(io_error)
}
