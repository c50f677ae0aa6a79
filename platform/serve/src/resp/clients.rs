//! The connections there are, for `CLIENT LIST` and `CLIENT INFO`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::DEFAULT_NAMESPACE;

/// Longest name a client may give itself or its library, bytes.
const NAME_MAX: usize = 256;

/// What a client is told whose name cannot be shown.
pub(super) const UNPRINTABLE_NAME: &str =
    "Client names cannot contain spaces, newlines or special characters.";

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    peer: SocketAddr,
    since: Instant,
    last_ms: AtomicU64,
    said: Mutex<Said>,
}

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) library: String,
    pub(super) library_version: String,
    pub(super) namespace: String,
    pub(super) protocol: u8,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Clients {
    next: AtomicU64,
    present: Mutex<BTreeMap<u64, Arc<Client>>>,
}

impl Clients {
    /// Takes a connection in.
    pub(super) fn enter(&self, peer: SocketAddr) -> Arc<Client> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client {
            id,
            peer,
            since: Instant::now(),
            last_ms: AtomicU64::new(0),
            said: Mutex::new(Said { protocol: 2, ..Said::default() }),
        });
        lock(&self.present).insert(id, Arc::clone(&client));
        client
    }

    /// Forgets a connection.
    pub(super) fn leave(&self, client: &Client) {
        lock(&self.present).remove(&client.id);
    }

    /// One line for each connection, oldest first.
    pub(super) fn list(&self) -> String {
        lock(&self.present).values().map(|client| client.line() + "\n").collect()
    }
}

impl Client {
    /// Takes note that commands came.
    pub(super) fn active(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    pub(super) fn said(&self) -> Said {
        lock(&self.said).clone()
    }

    pub(super) fn say(&self, change: impl FnOnce(&mut Said)) {
        change(&mut lock(&self.said));
    }

    /// The connection as `CLIENT LIST` shows it: only fields that clients of Redis 7 know, and numbers
    /// where they read numbers, for they give up on anything else.
    pub(super) fn line(&self) -> String {
        let age = self.since.elapsed();
        let last = self.last_ms.load(Ordering::Relaxed);
        let idle = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).saturating_sub(last);
        let said = self.said();
        format!(
            "id={} addr={} name={} age={} idle={} flags=N db={} user={} resp={} lib-name={} lib-ver={}",
            self.id,
            self.peer,
            said.name,
            age.as_secs(),
            idle / 1_000,
            number_of(&said.namespace).map_or(-1, i64::from),
            said.namespace,
            said.protocol,
            said.library,
            said.library_version,
        )
    }
}

/// The number that Redis has for a namespace: 0 for the default one, and a number that is its name.
pub(super) fn number_of(namespace: &str) -> Option<u32> {
    if namespace == DEFAULT_NAMESPACE { Some(0) } else { namespace.parse().ok() }
}

/// A name as `CLIENT LIST` can show it: printable, without spaces, not too long.
pub(super) fn shown_name(name: &[u8]) -> Option<String> {
    let printable = name.len() <= NAME_MAX && name.iter().all(u8::is_ascii_graphic);
    printable.then(|| String::from_utf8_lossy(name).into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
