//! What wakes the watchers of one namespace.

use std::sync::{Arc, Weak};

use tokio::sync::{Notify, watch};
use unison_linux::store::Namespace;

use super::Watchers;

/// The beat of one namespace.
#[derive(Debug)]
pub(super) struct Beat {
    namespace: Weak<Namespace>,
    /// Whether this was the last one.
    beats: watch::Sender<bool>,
}

impl Beat {
    /// Has the namespace tell, and a task wake whoever listens. The task ends with the namespace or
    /// the node.
    pub(super) fn start(watchers: &Arc<Watchers>, namespace: &Arc<Namespace>) -> Arc<Self> {
        let beat = Arc::new(Self {
            namespace: Arc::downgrade(namespace),
            beats: watch::Sender::new(false),
        });
        let due = Arc::new(Notify::new());
        let (bell, of) = (Bell(Arc::clone(&due)), Arc::downgrade(&beat));
        namespace.on_applied(move || {
            if of.upgrade().is_some_and(|beat| beat.beats.receiver_count() > 0) {
                bell.0.notify_one();
            }
        });
        tokio::spawn(run(Arc::clone(watchers), Arc::clone(&beat), due));
        beat
    }

    pub(super) fn is_of(&self, namespace: &Arc<Namespace>) -> bool {
        std::ptr::eq(self.namespace.as_ptr(), Arc::as_ptr(namespace))
    }

    pub(super) fn listen(&self) -> watch::Receiver<bool> {
        self.beats.subscribe()
    }
}

/// What the namespace rings; also, for the last time, when it is gone itself.
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn run(watchers: Arc<Watchers>, beat: Arc<Beat>, due: Arc<Notify>) {
    let shutdown = watchers.shutdown.clone();
    loop {
        let ends = tokio::select! {
            () = due.notified() => false,
            () = shutdown.begun() => true,
        };
        let namespace = beat.namespace.upgrade();
        let gone = ends || !namespace.is_some_and(|namespace| watchers.is_present(&namespace));
        if gone {
            watchers.forget(&beat);
        }
        beat.beats.send_replace(gone);
        #[cfg(feature = "zeromq")]
        watchers.any.send_replace(());
        if gone {
            return;
        }
    }
}
