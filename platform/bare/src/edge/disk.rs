//! The disk: opened, watched, and opened again when it failed.

use super::config::EdgeConfig;
use super::event::{DiskError, Event};
use super::follow::Follow;
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::medium::{Medium, MediumError, Opened, Wanted};
use alloc::sync::Arc;
use unison_ports::IoError;

/// Shortest and longest pause before a disk that failed is opened again.
const REOPEN_MS_MIN: u64 = 1_000;
const REOPEN_MS_MAX: u64 = 60_000;

/// What is known of the disk.
#[derive(Debug)]
pub(crate) enum DiskState {
    /// Nothing yet.
    Unopened,
    Missing,
    Refused(DiskError),
    /// It failed, and is opened again then.
    Failed {
        error: IoError,
        retry_at_ms: u64,
    },
    Open,
}

/// When the disk failed last, and how long the pause after that was.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at_ms: u64,
    pause_ms: u64,
}

/// What came of looking after the disk.
pub(super) enum Tended<D: BlockDevice> {
    /// It is open and can be used.
    Ready,
    /// It was opened just now.
    Opened(Medium<D>),
    /// It cannot be used.
    Unusable(Wake),
}

/// The disk of a node.
#[derive(Debug)]
pub(super) struct Disk<D> {
    device: Option<Arc<D>>,
    state: DiskState,
    failure: Option<Failure>,
}

impl<D: BlockDevice> Disk<D> {
    pub(super) const fn new(device: Option<Arc<D>>) -> Self {
        Self { device, state: DiskState::Unopened, failure: None }
    }

    pub(super) const fn state(&self) -> &DiskState {
        &self.state
    }

    /// Opens the disk when that is due, and looks whether it can still be trusted.
    pub(super) fn tend(
        &mut self,
        config: &EdgeConfig,
        follow: Option<&mut Follow<D>>,
        now_ms: u64,
        tell: &mut dyn FnMut(Event),
    ) -> Tended<D> {
        match self.state {
            DiskState::Open => {
                let failed = follow.and_then(|follow| follow.disk_failure());
                failed.map_or(Tended::Ready, |error| self.failed(error, now_ms, tell))
            }
            DiskState::Missing | DiskState::Refused(_) => Tended::Unusable(Wake::At(u64::MAX)),
            DiskState::Failed { retry_at_ms, .. } if now_ms < retry_at_ms => {
                Tended::Unusable(Wake::At(retry_at_ms))
            }
            DiskState::Failed { .. } | DiskState::Unopened => {
                // Reads went on until here. Nothing may write to a disk behind its opening.
                follow.into_iter().for_each(Follow::close_all);
                self.open(config, now_ms, tell)
            }
        }
    }

    fn open(&mut self, config: &EdgeConfig, now_ms: u64, tell: &mut dyn FnMut(Event)) -> Tended<D> {
        let Some(device) = &self.device else {
            self.state = DiskState::Missing;
            tell(Event::DiskMissing);
            return Tended::Unusable(Wake::Now);
        };
        match open(device, config) {
            Ok((medium, opened)) => {
                self.state = DiskState::Open;
                tell(Event::DiskOpened { formatted: opened.formatted });
                Tended::Opened(medium)
            }
            Err(DiskError::Medium(MediumError::Io(error))) => self.failed(error, now_ms, tell),
            Err(error) => {
                self.state = DiskState::Refused(error.clone());
                tell(Event::DiskRefused { error });
                Tended::Unusable(Wake::Now)
            }
        }
    }

    /// Takes note of a failure, which is told once. The pause grows while it comes again and again.
    fn failed(&mut self, error: IoError, now_ms: u64, tell: &mut dyn FnMut(Event)) -> Tended<D> {
        let again = self.failure.filter(|before| {
            now_ms.saturating_sub(before.at_ms) <= before.pause_ms.saturating_add(REOPEN_MS_MAX)
        });
        if again.is_none() {
            tell(Event::DiskFailed { error });
        }
        let longer_ms = |before: Failure| before.pause_ms.saturating_mul(2).min(REOPEN_MS_MAX);
        let pause_ms = again.map_or(REOPEN_MS_MIN, longer_ms);
        self.failure = Some(Failure { at_ms: now_ms, pause_ms });
        let retry_at_ms = now_ms.saturating_add(pause_ms);
        self.state = DiskState::Failed { error, retry_at_ms };
        Tended::Unusable(Wake::At(retry_at_ms))
    }
}

fn open<D: BlockDevice>(
    device: &Arc<D>,
    config: &EdgeConfig,
) -> Result<(Medium<D>, Opened), DiskError> {
    let wanted = Wanted::new(&config.namespaces).map_err(DiskError::Wanted)?;
    Medium::open(Arc::clone(device), &wanted).map_err(DiskError::Medium)
}
