//! Listening, and accepting no more connections than the limit.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Address;
use crate::shutdown::{Shutdown, Working};

/// Pause after the system refused to hand out a connection, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--{flag}: cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The flag that gives the address.
    pub flag: &'static str,
    /// The address.
    pub address: Address,
    /// What the system says.
    pub source: io::Error,
}

/// Opens the listener that `flag` asks for.
///
/// # Errors
/// The host is not known, or the port is taken or not allowed: names the flag and the address.
pub async fn listen(flag: &'static str, address: &Address) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind((address.host.as_str(), address.port)).await;
    bound.map_err(|source| ListenError { flag, address: address.clone(), source })
}

/// A connection's place among those allowed; free again when dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _working: Working,
}

/// What an accept loop needs beside its listener.
#[derive(Clone, Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    limit: usize,
    shutdown: Shutdown,
}

impl Gate {
    /// A gate for `limit` connections at a time.
    #[must_use]
    pub fn new(limit: usize, shutdown: Shutdown) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(limit)), limit, shutdown }
    }

    /// Most connections at a time.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Connections at present.
    #[must_use]
    pub fn open(&self) -> usize {
        self.limit.saturating_sub(self.places.available_permits())
    }

    /// Accepts until the end begins. Each connection gets its own task of `serve`; one above the
    /// limit gets `refuse`, which must be quick.
    pub async fn accept<S, R>(
        &self,
        listener: TcpListener,
        serve: impl Fn(TcpStream, SocketAddr, Place) -> S,
        refuse: impl Fn(TcpStream) -> R,
    ) where
        S: Future<Output = ()> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let working = self.shutdown.working();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.begun() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &serve, &refuse),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Whoever waits for the end may count on the address being free.
        drop(listener);
        drop(working);
    }

    fn admit<S, R>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        serve: &impl Fn(TcpStream, SocketAddr, Place) -> S,
        refuse: &impl Fn(TcpStream) -> R,
    ) where
        S: Future<Output = ()> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        // Small answers must not wait for more to come; a socket that refuses is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            tokio::spawn(refuse(stream));
            return;
        };
        let place = Place { _permit: permit, _working: self.shutdown.working() };
        tokio::spawn(serve(stream, peer, place));
    }
}

/// The peer gave up before it was accepted: nothing is wrong with the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::listen;
    use crate::config::Address;

    #[tokio::test]
    async fn a_port_in_use_names_the_flag_and_the_address() {
        let first = listen("http", &Address::loopback(0)).await.unwrap();
        let address = Address::loopback(first.local_addr().unwrap().port());
        let message = listen("resp", &address).await.unwrap_err().to_string();
        assert!(message.starts_with(&format!("--resp: cannot listen on {address}: ")), "{message}");
        assert!(message.contains("in use"), "{message}");
    }
}
