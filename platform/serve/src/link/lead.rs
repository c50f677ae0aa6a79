//! Serving followers: one task a connection, woken by bytes, by durable records and by time.

use super::Epoch;
use super::outbox::Outbox;
use super::source::StoreSource;
use crate::health::LinkHealth;
use crate::listen::{Gate, Place};
use crate::shutdown::Shutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use unison_base::Hlc;
use unison_link::{ByeReason, CloseReason, LeaderConfig, NodeId};
use unison_linux::store::Store;
use unison_linux::{FileStore, SystemClock};
use unison_node::LeaderSession;
use unison_ports::Clock as _;

/// When a follower that finds the node full or stopping is to come back, milliseconds.
const RETRY_AFTER_MS: u32 = 1_000;
/// How long a follower may take to receive what is left when a connection ends.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);
/// How often the time is looked at while a follower takes no bytes.
const LOOK_UP: Duration = Duration::from_millis(200);

/// What leading needs beside a listener.
#[derive(Clone, Debug)]
pub struct LeadOptions {
    /// This node's name.
    pub node: NodeId,
    /// Most followers at a time.
    pub followers_max: usize,
}

/// What every connection shares.
#[derive(Clone)]
struct Shared {
    store: Arc<Store>,
    health: Arc<LinkHealth>,
    shutdown: Shutdown,
    config: LeaderConfig,
    durable: watch::Receiver<()>,
}

/// Accepts followers until the end begins.
pub async fn lead(
    listener: TcpListener,
    store: Arc<Store>,
    health: Arc<LinkHealth>,
    shutdown: Shutdown,
    options: LeadOptions,
) {
    let (moved, durable) = watch::channel(());
    store.on_durable(move |_| {
        moved.send_replace(());
    });
    let gate = Gate::new(options.followers_max, shutdown.clone());
    let config = LeaderConfig::new(options.node);
    let shared = Shared { store, health, shutdown, config, durable };
    let full = shared.clone();
    gate.accept(
        listener,
        move |stream, peer, place| serve(stream, peer, place, shared.clone()),
        move |stream| refuse(stream, full.clone()),
    )
    .await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, place: Place, shared: Shared) {
    match Connection::new(Some(peer), shared).run(stream).await {
        Ok(()) => tracing::info!(%peer, "follower left"),
        Err(error) => tracing::info!(%peer, %error, "follower lost"),
    }
    drop(place);
}

/// Says that there is no room, so that the follower knows when to come back.
async fn refuse(stream: TcpStream, shared: Shared) {
    let mut connection = Connection::new(stream.peer_addr().ok(), shared);
    connection.session.link().dismiss(ByeReason::Busy, RETRY_AFTER_MS);
    // It is turned away anyhow; whether it hears why is up to the network.
    let _ = connection.run(stream).await;
}

struct Connection {
    session: LeaderSession<FileStore>,
    source: StoreSource,
    shutdown: Shutdown,
    durable: watch::Receiver<()>,
    epoch: Epoch,
    outbox: Outbox,
    /// When a connection that is ending is given up, whatever is still to be sent.
    given_up_at: Option<Instant>,
}

/// What ended a wait.
enum Woken {
    Received(usize),
    Sent(usize),
    Durable,
    Timeout,
    Ending,
}

impl Connection {
    fn new(peer: Option<SocketAddr>, shared: Shared) -> Self {
        let epoch = Epoch::now();
        Self {
            session: LeaderSession::new(shared.config, epoch.now_ms()),
            source: StoreSource::new(shared.store, shared.health, peer),
            shutdown: shared.shutdown,
            durable: shared.durable,
            epoch,
            outbox: Outbox::new(),
            given_up_at: None,
        }
    }

    async fn run(mut self, stream: TcpStream) -> io::Result<()> {
        let (mut reader, mut writer) = stream.into_split();
        loop {
            if let Some(reason) = self.session.step(&self.source) {
                self.ending(reason)?;
            }
            self.session.durable_moved(&self.source);
            // A follower on a board has no other clock than this.
            self.session.link().set_hlc(Hlc::from_millis(SystemClock::default().wall_ms()));
            if !self.outbox.fill(&mut self.session, self.epoch.now_ms()) {
                return writer.shutdown().await;
            }
            match self.wait(&mut reader, &mut writer).await? {
                Woken::Received(0) => return Ok(()),
                Woken::Received(bytes) => self.session.link().received(bytes, self.epoch.now_ms()),
                Woken::Sent(bytes) => {
                    self.outbox.sent(bytes);
                    self.look_at_the_time()?;
                }
                Woken::Durable | Woken::Timeout => self.look_at_the_time()?,
                Woken::Ending => {
                    self.session.link().dismiss(ByeReason::Shutdown, RETRY_AFTER_MS);
                }
            }
        }
    }

    /// A peer that is gone takes nothing more; any other one has a while to take what is left.
    fn ending(&mut self, reason: CloseReason) -> io::Result<()> {
        tracing::debug!(%reason, "the link closes");
        if matches!(reason, CloseReason::Dead | CloseReason::Stalled) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        self.given_up_at = Some(Instant::now() + CLOSING_PATIENCE);
        Ok(())
    }

    fn look_at_the_time(&mut self) -> io::Result<()> {
        if self.given_up_at.is_some_and(|at| at <= Instant::now()) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the end was not taken in time"));
        }
        self.session.link().handle_timeout(self.epoch.now_ms());
        Ok(())
    }

    /// When to look at the time although nothing comes. What is overdue because bytes before it are
    /// still to be sent becomes no sooner possible by waking for it at once.
    fn deadline(&mut self) -> Instant {
        let due = Instant::from_std(self.epoch.at(self.session.link().poll_timeout()));
        match self.given_up_at {
            Some(at) => at,
            None if self.outbox.holds_bytes() => due.max(Instant::now() + LOOK_UP),
            None => due,
        }
    }

    /// Bytes that have come go first, so that a timeout is the peer's silence and not our own
    /// slowness.
    async fn wait(
        &mut self,
        reader: &mut OwnedReadHalf,
        writer: &mut OwnedWriteHalf,
    ) -> io::Result<Woken> {
        let deadline = self.deadline();
        let space = self.session.link().space();
        let (readable, sending) = (!space.is_empty(), self.outbox.holds_bytes());
        tokio::select! {
            biased;
            read = reader.read(space), if readable => read.map(Woken::Received),
            sent = self.outbox.send(writer), if sending => sent.map(Woken::Sent),
            () = self.shutdown.begun(), if !self.outbox.closing => {
                self.outbox.closing = true;
                Ok(Woken::Ending)
            }
            _ = self.durable.changed() => Ok(Woken::Durable),
            () = tokio::time::sleep_until(deadline) => Ok(Woken::Timeout),
        }
    }
}

#[cfg(test)]
mod tests;
