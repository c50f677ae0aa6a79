//! A follower's thread that ends is never missed: the process ends with it.

use crate::health::{FollowState, LinkHealth};
use crate::shutdown::Shutdown;
use std::sync::Arc;

/// Dropped when the thread ends, however it ends. Unless it was asked to, nothing follows any more:
/// the node says so and begins its end.
pub(super) struct Ending {
    pub(super) health: Arc<LinkHealth>,
    pub(super) shutdown: Shutdown,
    pub(super) hub: String,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if self.shutdown.has_begun() && !panicked {
            return;
        }
        let reason = if panicked { "a panic, see the log" } else { "a failure, see the log" };
        let reason = format!("{reason}; start this node again");
        tracing::error!(hub = self.hub, reason, "following has stopped");
        self.health.update_upstream(&self.hub, |upstream| {
            upstream.connected = false;
            for followed in upstream.namespaces.values_mut() {
                followed.state = FollowState::Stopped { reason: reason.clone() };
            }
        });
        self.shutdown.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use crate::health::LinkHealth;
    use crate::shutdown::Shutdown;
    use std::sync::Arc;

    /// What a node says and whether it ends after a thread with the guard has ended.
    fn after(thread: impl FnOnce(&Shutdown) + Send + 'static) -> (Vec<String>, bool) {
        let (health, shutdown) = (Arc::new(LinkHealth::default()), Shutdown::default());
        health.update_upstream("hub:4003", |upstream| {
            upstream.namespaces.entry("default".to_owned()).or_default();
        });
        let ending = Ending {
            health: Arc::clone(&health),
            shutdown: shutdown.clone(),
            hub: "hub:4003".to_owned(),
        };
        let ended = std::thread::spawn(move || {
            let ending = ending;
            thread(&ending.shutdown);
        });
        let _ = ended.join();
        (health.obstacles(), shutdown.has_begun())
    }

    #[test]
    fn a_thread_that_ends_unasked_ends_the_node_and_says_so() {
        let (panicked, ends) = after(|_| panic!("planted"));
        assert!(ends && panicked[0].contains("has stopped following hub:4003: a panic"));
        let (failed, ends) = after(|_| ());
        assert!(ends && failed[0].contains("has stopped following hub:4003: a failure"));
        let (asked, _) = after(Shutdown::begin);
        assert!(!asked[0].contains("stopped"), "{asked:?}");
    }
}
