//! A follower's session: link events become calls on replicas, their progress becomes acks.

use crate::replica::{Replica, ReplicaError};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::{Hlc, NamespaceName};
use unison_engine::ApplyError;
use unison_link::{
    CloseReason, Divergence, FollowerConfig, FollowerEvent, HeapFollower, Lag, LogEnd,
    NamespaceError, Refusal, RunFault, RunRange,
};

/// Receive buffer to begin with; it grows to the configured most when a large record needs it.
const RECEIVE_BYTES: usize = 64 << 10;

/// What a step found that its driver wants to log or to act on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stepped {
    /// Runs of a namespace will come.
    Serving {
        /// The namespace's number.
        namespace: u32,
    },
    /// The leader does not serve it now; it is asked for again by itself.
    Waiting {
        /// The namespace's number.
        namespace: u32,
        /// Why.
        reason: Refusal,
    },
    /// A run was refused by the link's own checks and is asked for again.
    BadRun {
        /// The namespace's number.
        namespace: u32,
        /// Which check failed.
        fault: RunFault,
    },
    /// The logs differ. What is above the common part was set aside, and the rest is fetched.
    SetAside {
        /// The namespace's number.
        namespace: u32,
        /// How they differ.
        why: Divergence,
    },
    /// A replica could not take what came. It is asked for again, after a pause where the replica
    /// itself is in trouble.
    Replica {
        /// The namespace's number.
        namespace: u32,
        /// Why.
        error: ReplicaError,
    },
    /// Send what is left, then close the connection.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

/// One upstream and the replicas that follow it. Lives across reconnects.
#[derive(Debug)]
pub struct FollowerSession<R> {
    link: HeapFollower,
    replicas: Vec<R>,
    /// Namespaces with records that are applied and not yet committed.
    dirty: BTreeSet<u32>,
    /// Namespaces whose replica could not say where its log ends: what the link knows of it may be
    /// wrong.
    unplaced: BTreeSet<u32>,
    /// A run of which its replica has not taken everything.
    begun: Option<Begun>,
    leader_clock: Option<Hlc>,
}

/// A run of a namespace.
type Begun = (u32, RunRange);

impl<R: Replica> FollowerSession<R> {
    /// A session that is not connected. `None` when the configuration's sizes contradict each
    /// other.
    #[must_use]
    pub fn new(config: FollowerConfig, seed: u64, now_ms: u64) -> Option<Self> {
        let link = HeapFollower::new(config, vec![0; RECEIVE_BYTES], Vec::new(), seed, now_ms)?;
        let (dirty, unplaced) = (BTreeSet::new(), BTreeSet::new());
        let (replicas, begun, leader_clock) = (Vec::new(), None, None);
        Some(Self { link, replicas, dirty, unplaced, begun, leader_clock })
    }

    /// Follows one more namespace. Returns its number.
    ///
    /// # Errors
    /// The outer error is the replica's, the inner one says that it cannot be followed.
    pub fn follow(
        &mut self,
        name: NamespaceName,
        replica: R,
    ) -> Result<Result<u32, NamespaceError>, ReplicaError> {
        let number = self.link.follow(name, replica.end()?);
        if number.is_ok() {
            self.replicas.push(replica);
        }
        Ok(number)
    }

    /// The state machine: for connecting, bytes, time and figures.
    pub fn link(&mut self) -> &mut HeapFollower {
        &mut self.link
    }

    /// The replicas by their numbers.
    #[must_use]
    pub fn replicas(&self) -> &[R] {
        &self.replicas
    }

    /// The replicas, for their flushes and other jobs.
    pub fn replicas_mut(&mut self) -> &mut [R] {
        &mut self.replicas
    }

    /// The leader's hybrid clock, when a beat has told it since this was last asked: what time it is
    /// on a board that has no clock of its own.
    pub fn leader_clock(&mut self) -> Option<Hlc> {
        self.leader_clock.take()
    }

    /// Takes the replicas out, to close them.
    #[must_use]
    pub fn into_replicas(self) -> Vec<R> {
        self.replicas
    }

    /// How far behind a namespace is.
    #[must_use]
    pub fn lag(&self, namespace: u32, now_ms: u64) -> Option<Lag> {
        self.link.lag(namespace, now_ms)
    }

    /// Whether a replica has not taken all of a run yet. Then call [`step`](Self::step) again soon, and
    /// neither read nor tell the link that a connection began: the rest of the run lies where received
    /// bytes do. A replica that was opened again takes no rest of a run: tell by
    /// [`restart`](Self::restart), not past this session.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.begun.is_some()
    }

    /// Does everything that the received bytes ask for: applies all runs at hand, commits once,
    /// acknowledges; it stops at a run that a replica takes in parts. `tell` hears what happened.
    /// Returns false when the connection is to be closed.
    pub fn step(&mut self, now_ms: u64, wall_ms: u64, tell: &mut dyn FnMut(Stepped)) -> bool {
        let open = self.take_events(now_ms, wall_ms, tell);
        let committed = self.commit(now_ms, tell);
        open && committed
    }

    /// A replica was opened again and its log ends there: it is asked for from there on. What it had not
    /// taken of a run is dropped, for a log that is empty takes records from anywhere.
    pub fn restart(&mut self, namespace: u32, end: LogEnd, now_ms: u64) {
        self.begun.take_if(|(begun, _)| *begun == namespace);
        self.unplaced.remove(&namespace);
        self.link.restart(namespace, end, now_ms);
    }

    fn take_events(&mut self, now_ms: u64, wall_ms: u64, tell: &mut dyn FnMut(Stepped)) -> bool {
        let mut open = self.go_on(now_ms, wall_ms, tell);
        while self.begun.is_none()
            && let Some(event) = self.link.poll_event()
        {
            let (namespace, outcome) = match event {
                FollowerEvent::Greeted { .. } => continue,
                FollowerEvent::Beat { hlc } => {
                    self.leader_clock = Some(hlc);
                    continue;
                }
                FollowerEvent::Welcome { namespace, served } => {
                    tell(Stepped::Serving { namespace });
                    let adopted = with(&mut self.replicas, namespace, |r| r.adopt(served.log));
                    (namespace, adopted.and_then(|()| self.place(namespace, now_ms)))
                }
                FollowerEvent::Run { namespace, range, frames } => {
                    self.dirty.insert(namespace);
                    let taken = take(&mut self.replicas, (namespace, range), frames, wall_ms);
                    (namespace, taken.map(|begun| self.begun = begun))
                }
                FollowerEvent::Seal { namespace, seal } => {
                    (namespace, with(&mut self.replicas, namespace, |r| r.seal(seal, wall_ms)))
                }
                FollowerEvent::Waiting { namespace, reason } => {
                    tell(Stepped::Waiting { namespace, reason });
                    continue;
                }
                FollowerEvent::BadRun { namespace, fault } => {
                    tell(Stepped::BadRun { namespace, fault });
                    continue;
                }
                FollowerEvent::Diverged { namespace, why } => {
                    (namespace, self.set_aside(namespace, why, now_ms, wall_ms, tell))
                }
                FollowerEvent::Close { reason } => {
                    tell(Stepped::Close { reason });
                    open = false;
                    continue;
                }
            };
            open &= self.resolved(namespace, outcome, (now_ms, wall_ms), tell);
        }
        open
    }

    /// Takes more of a run that was begun. False when the connection is to be closed.
    fn go_on(&mut self, now_ms: u64, wall_ms: u64, tell: &mut dyn FnMut(Stepped)) -> bool {
        let Some((namespace, range)) = self.begun.take() else { return true };
        self.dirty.insert(namespace);
        let frames = self.link.last_run(&range);
        let taken = take(&mut self.replicas, (namespace, range), frames, wall_ms);
        let outcome = taken.map(|begun| self.begun = begun);
        self.resolved(namespace, outcome, (now_ms, wall_ms), tell)
    }

    /// False when the connection is to be closed.
    fn resolved(
        &mut self,
        namespace: u32,
        outcome: Result<(), ReplicaError>,
        (now_ms, wall_ms): (u64, u64),
        tell: &mut dyn FnMut(Stepped),
    ) -> bool {
        let outcome = match outcome {
            // The leader vouches for the records, so the tree was made from others.
            Err(ReplicaError::Apply(ApplyError::Diverged { .. })) => {
                self.set_aside(namespace, Divergence::Frame, now_ms, wall_ms, tell)
            }
            outcome => outcome,
        };
        match outcome {
            Ok(()) => true,
            Err(error) => self.failed(namespace, error, now_ms, tell),
        }
    }

    fn set_aside(
        &mut self,
        namespace: u32,
        why: Divergence,
        now_ms: u64,
        wall_ms: u64,
        tell: &mut dyn FnMut(Stepped),
    ) -> Result<(), ReplicaError> {
        let set_aside = |replica: &mut R| replica.set_aside(why, wall_ms);
        let end = with(&mut self.replicas, namespace, set_aside)?;
        self.restart(namespace, end, now_ms);
        tell(Stepped::SetAside { namespace, why });
        Ok(())
    }

    /// Asks from where the log ends once its replica can tell again: a trouble in the middle of
    /// setting it aside may have left it shorter than the link knows, and a log that is empty takes
    /// records from anywhere.
    fn place(&mut self, namespace: u32, now_ms: u64) -> Result<(), ReplicaError> {
        if self.unplaced.contains(&namespace) {
            let end = with(&mut self.replicas, namespace, |replica| replica.end())?;
            self.restart(namespace, end, now_ms);
        }
        Ok(())
    }

    /// Asks again from where the replica's log really ends. Records that are refused may come
    /// right the next time on the same connection; a replica in trouble gets a pause.
    fn failed(
        &mut self,
        namespace: u32,
        error: ReplicaError,
        now_ms: u64,
        tell: &mut dyn FnMut(Stepped),
    ) -> bool {
        tell(Stepped::Replica { namespace, error });
        let Ok(end) = with(&mut self.replicas, namespace, |replica| replica.end()) else {
            self.unplaced.insert(namespace);
            self.link.unusable(namespace, now_ms);
            return false;
        };
        self.link.refused(namespace, end, now_ms);
        matches!(error, ReplicaError::Apply(ApplyError::Record { .. }))
    }

    fn commit(&mut self, now_ms: u64, tell: &mut dyn FnMut(Stepped)) -> bool {
        let mut open = true;
        for namespace in core::mem::take(&mut self.dirty) {
            match with(&mut self.replicas, namespace, Replica::commit) {
                Ok(progress) => {
                    let (durable, applied) = (progress.durable, progress.applied);
                    self.link.appended(namespace, durable, applied, now_ms);
                }
                Err(error) => {
                    tell(Stepped::Replica { namespace, error });
                    open = false;
                }
            }
        }
        open
    }
}

/// Gives a run to its replica; the run when it has not taken everything.
fn take<R: Replica>(
    replicas: &mut [R],
    (namespace, range): Begun,
    frames: &[u8],
    wall_ms: u64,
) -> Result<Option<Begun>, ReplicaError> {
    with(replicas, namespace, |replica| {
        replica.apply(range, frames, wall_ms)?;
        Ok(replica.has_more().then_some((namespace, range)))
    })
}

fn with<R, T>(
    replicas: &mut [R],
    namespace: u32,
    act: impl FnOnce(&mut R) -> Result<T, ReplicaError>,
) -> Result<T, ReplicaError> {
    let index = usize::try_from(namespace).map_err(|_| ReplicaError::Closed)?;
    replicas.get_mut(index).map_or(Err(ReplicaError::Closed), act)
}
