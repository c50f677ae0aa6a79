//! What wakes the watchers of one namespace.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use unison_linux::store::Namespace;

use super::Watchers;
use super::parts::{Form, Parts};

/// How far beats are apart for each watcher: about twice what it costs to tell one, so that telling takes
/// half of one core's time at most, and what comes meanwhile is told with one write each.
const PAUSE_PER_WATCHER: Duration = Duration::from_micros(20);
/// Up to here nobody waits, for a timer is no finer.
const PAUSE_MIN: Duration = Duration::from_millis(3);
const PAUSE_MAX: Duration = Duration::from_millis(25);

/// The beat of one namespace.
#[derive(Debug)]
pub(super) struct Beat {
    namespace: Weak<Namespace>,
    /// Whether this was the last one.
    beats: watch::Sender<bool>,
    /// Of each form that somebody listens to.
    parts: Mutex<Vec<Weak<Parts>>>,
}

impl Beat {
    /// Has the namespace tell, and a task wake whoever listens. The task ends with the namespace or
    /// the node.
    pub(super) fn start(watchers: &Arc<Watchers>, namespace: &Arc<Namespace>) -> Arc<Self> {
        let beat = Arc::new(Self {
            namespace: Arc::downgrade(namespace),
            beats: watch::Sender::new(false),
            parts: Mutex::default(),
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

    /// The parts of a form: those that others with the same one have.
    pub(super) fn parts(&self, form: Form) -> Arc<Parts> {
        let mut known = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|parts| parts.strong_count() > 0);
        let same = known.iter().filter_map(Weak::upgrade).find(|parts| parts.form == form);
        same.unwrap_or_else(|| {
            let parts = Arc::new(Parts::new(form));
            known.push(Arc::downgrade(&parts));
            parts
        })
    }

    /// How long to wait before the next beat, so that more is told with it.
    fn pause(&self) -> Duration {
        let watchers = u32::try_from(self.beats.receiver_count()).unwrap_or(u32::MAX);
        let pause = PAUSE_PER_WATCHER.saturating_mul(watchers);
        if pause < PAUSE_MIN { Duration::ZERO } else { pause.min(PAUSE_MAX) }
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
        let pause = beat.pause();
        if !pause.is_zero() {
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.begun() => {}
            }
        }
    }
}
