//! Stopping: one signal that all servers see, and a count of what is still at work.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Handle of the process's end. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Shutdown {
    begun: Arc<watch::Sender<bool>>,
    working: Arc<watch::Sender<usize>>,
}

/// Something the end waits for; counts until it is dropped.
#[derive(Debug)]
pub struct Working(Arc<watch::Sender<usize>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self { begun: Arc::new(watch::Sender::new(false)), working: Arc::default() }
    }
}

impl Shutdown {
    /// Tells everyone to finish. Calling it again changes nothing.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Returns when the end has begun. May be dropped and called again.
    pub async fn begun(&self) {
        let mut begun = self.begun.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = begun.wait_for(|begun| *begun).await;
    }

    /// A token that keeps [`Shutdown::finished`] waiting.
    #[must_use]
    pub fn working(&self) -> Working {
        self.working.send_modify(|count| *count += 1);
        Working(Arc::clone(&self.working))
    }

    /// Waits until nothing is at work any more, at most `patience`. Returns what still is.
    pub async fn finished(&self, patience: Duration) -> usize {
        let mut working = self.working.subscribe();
        let idle = working.wait_for(|count| *count == 0);
        match tokio::time::timeout(patience, idle).await {
            Ok(_) => 0,
            Err(_) => *self.working.borrow(),
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// SIGTERM and SIGINT, kept from the moment they are listened for.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals from now on: before, one ends the process at once.
    ///
    /// # Errors
    /// The signals cannot be listened for.
    pub fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shutdown;
    use std::time::Duration;

    #[tokio::test]
    async fn the_end_waits_for_what_is_at_work_and_no_longer_than_its_patience() {
        let shutdown = Shutdown::default();
        let (first, second) = (shutdown.working(), shutdown.clone().working());
        assert!(!shutdown.has_begun());
        shutdown.begin();
        shutdown.begun().await;
        drop(first);
        assert_eq!(shutdown.finished(Duration::from_millis(10)).await, 1);
        drop(second);
        assert_eq!(shutdown.finished(Duration::from_secs(60)).await, 0);
    }
}
