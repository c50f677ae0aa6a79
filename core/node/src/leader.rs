//! A leader's session with one follower: cursors on logs feed the link's state machine.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::{
    Answer, ByeReason, CloseReason, Cursor, Leader, LeaderConfig, LeaderEvent, Refusal, Role,
    RunHead, RunRange, SealRange, SendError, Transmit, Verdict, judge, messages::Served,
};
use unison_ports::SegmentStore;
use unison_walfs::{Bound, LogCursor, LogReader, ReadError, Slice, Step};

/// Whether a follower may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Welcome,
    /// It may not, or not now.
    Dismiss {
        /// Why.
        reason: ByeReason,
        /// When to try again, milliseconds.
        retry_after_ms: u32,
    },
}

/// A namespace that can be followed.
#[derive(Clone, Debug)]
pub struct ServedNamespace<S: SegmentStore> {
    /// Identity of its log.
    pub log_id: LogId,
    /// Its log.
    pub log: LogReader<S>,
    /// Size of its new segments, bytes.
    pub segment_bytes: u64,
}

/// What a leader has to offer.
pub trait Source<S: SegmentStore> {
    /// Decides on a follower that says hello.
    fn admit(&self, node: &str, token: &str, role: Role) -> Admission;

    /// The namespace of that name, if there is one that this follower may follow.
    fn namespace(&self, name: &NamespaceName) -> Option<ServedNamespace<S>>;

    /// Identity of the log that the namespace of that name has now; `None` when there is none. Cheap:
    /// asked whenever a record has become durable.
    fn log_id(&self, name: &NamespaceName) -> Option<LogId>;

    /// The follower is no longer served this namespace, because it is gone or has another log. It
    /// asks again by itself.
    fn withdrawn(&self, name: &NamespaceName);

    /// Takes note of how far a follower is.
    fn acknowledged(&self, name: &NamespaceName, durable: Lsn, applied: Lsn);
}

/// What the driver of a connection does next.
#[derive(Debug)]
pub enum Outgoing<S: SegmentStore> {
    /// Send so many bytes of the buffer.
    Bytes(usize),
    /// Send the head, then the frames, with nothing in between.
    Run {
        /// Bytes before the frames.
        head: RunHead,
        /// Whole frames, as they lie in the segment.
        frames: Slice<S>,
    },
    /// Send these bytes.
    Head(RunHead),
    /// Nothing before the next bytes, durable record or timeout.
    Idle,
    /// Everything is said.
    Close,
}

struct Feed<S: SegmentStore> {
    name: NamespaceName,
    served: ServedNamespace<S>,
    cursor: LogCursor<S>,
}

/// One accepted connection.
pub struct LeaderSession<S: SegmentStore> {
    link: Leader,
    feeds: BTreeMap<u32, Feed<S>>,
}

/// An event without the borrow of the machine that made it.
enum Asked {
    Admission(Admission),
    Follow { namespace: u32, name: NamespaceName, cursor: Cursor },
    Acknowledged { namespace: u32, durable: Lsn, applied: Lsn },
    Closed(CloseReason),
    Nothing,
}

impl<S: SegmentStore> LeaderSession<S> {
    /// A session for a connection that was just accepted.
    #[must_use]
    pub fn new(config: LeaderConfig, now_ms: u64) -> Self {
        Self { link: Leader::new(config, now_ms), feeds: BTreeMap::new() }
    }

    /// The state machine: for bytes, time and figures.
    pub fn link(&mut self) -> &mut Leader {
        &mut self.link
    }

    /// The namespaces it serves, by their numbers on this connection.
    pub fn namespaces(&self) -> impl Iterator<Item = (u32, &NamespaceName)> {
        self.feeds.iter().map(|(&number, feed)| (number, &feed.name))
    }

    /// Answers everything that the received bytes ask. `Some` says that the connection is to be
    /// closed, once what is left is sent.
    pub fn step(&mut self, source: &impl Source<S>) -> Option<CloseReason> {
        loop {
            match next_event(&mut self.link, source)? {
                Asked::Admission(Admission::Welcome) => self.link.accept(),
                Asked::Admission(Admission::Dismiss { reason, retry_after_ms }) => {
                    self.link.dismiss(reason, retry_after_ms);
                }
                Asked::Follow { namespace, name, cursor } => {
                    let answer = self.follow(namespace, name, &cursor, source);
                    self.link.answer(namespace, answer);
                }
                Asked::Acknowledged { namespace, durable, applied } => {
                    if let Some(feed) = self.feeds.get(&namespace) {
                        source.acknowledged(&feed.name, durable, applied);
                    }
                }
                Asked::Closed(reason) => return Some(reason),
                Asked::Nothing => {}
            }
        }
    }

    fn follow(
        &mut self,
        namespace: u32,
        name: NamespaceName,
        cursor: &Cursor,
        source: &impl Source<S>,
    ) -> Answer {
        self.feeds.remove(&namespace);
        let Some(served) = source.namespace(&name) else {
            return Answer::Refuse(Refusal::UnknownNamespace);
        };
        let (first, durable) = (served.log.first(), served.log.durable());
        let frame_at = |lsn| served.log.locate(lsn).ok().map(|at| (at.position, at.crc));
        let from = match judge(cursor, served.log_id, first, durable, frame_at) {
            Verdict::Serve { from } => from,
            Verdict::Refuse(refusal) => return Answer::Refuse(refusal),
        };
        let segment_bytes = served.segment_bytes;
        let answer = Served { log: served.log_id, first, durable, segment_bytes };
        match served.log.cursor(from, Bound::Durable) {
            Ok(cursor) => {
                self.feeds.insert(namespace, Feed { name, served, cursor });
                Answer::Serve(answer)
            }
            Err(error) => Answer::Refuse(refusal(error, from)),
        }
    }

    /// Looks at how far the logs have become durable, and whether they are still there. Call it
    /// whenever one has become durable, was dropped or was made.
    pub fn durable_moved(&mut self, source: &impl Source<S>) {
        let mut withdrawn = Vec::new();
        for (&namespace, feed) in &self.feeds {
            if source.log_id(&feed.name) == Some(feed.served.log_id) {
                self.link.durable(namespace, feed.served.log.durable());
            } else {
                source.withdrawn(&feed.name);
                withdrawn.push(namespace);
            }
        }
        for namespace in withdrawn {
            self.refuse(namespace, Refusal::UnknownNamespace);
        }
    }

    /// The next thing to send. Ask only when everything before it is gone: what gathers in the
    /// meantime goes out as one run. `out` holds at least
    /// [`TRANSMIT_BYTES_MIN`](unison_link::TRANSMIT_BYTES_MIN).
    pub fn poll_transmit(&mut self, now_ms: u64, out: &mut [u8]) -> Outgoing<S> {
        loop {
            match self.link.poll_transmit(now_ms, out) {
                Transmit::Bytes(bytes) => return Outgoing::Bytes(bytes),
                Transmit::Idle => return Outgoing::Idle,
                Transmit::Close => return Outgoing::Close,
                Transmit::Run { namespace, from, bytes_max } => {
                    if let Some(outgoing) = self.read(namespace, from, bytes_max) {
                        return outgoing;
                    }
                }
            }
        }
    }

    fn read(&mut self, namespace: u32, from: Lsn, bytes_max: usize) -> Option<Outgoing<S>> {
        let step = match self.feeds.get_mut(&namespace) {
            Some(feed) => feed.next(from, bytes_max),
            None => Ok(None),
        };
        let sent = match step {
            Ok(None) => {
                self.link.nothing_to_send(namespace);
                return None;
            }
            Ok(Some(Step::Seal { segment, offset, next_bytes })) => {
                let seal = SealRange { segment, offset, next_segment_bytes: next_bytes };
                self.link.seal(namespace, &seal).map(Outgoing::Head)
            }
            Ok(Some(Step::Run { segment, offset, first, count, segment_bytes, frames })) => {
                let bytes = u32::try_from(frames.len()).unwrap_or(u32::MAX);
                let range = RunRange { segment, offset, first, count, segment_bytes, bytes };
                self.link.run(namespace, &range).map(|head| Outgoing::Run { head, frames })
            }
            Err(error) => {
                self.refuse(namespace, refusal(error, from));
                return None;
            }
        };
        match sent {
            Ok(outgoing) => Some(outgoing),
            Err(SendError::TooLarge { bytes, .. }) => {
                self.refuse(namespace, Refusal::RecordTooLarge { bytes: u64::from(bytes) });
                None
            }
            Err(_) => {
                self.refuse(namespace, Refusal::NotReady);
                None
            }
        }
    }

    fn refuse(&mut self, namespace: u32, refusal: Refusal) {
        self.feeds.remove(&namespace);
        self.link.answer(namespace, Answer::Refuse(refusal));
    }
}

impl<S: SegmentStore> Feed<S> {
    /// The next run or seal. The cursor is where the follower is, unless a run was refused there.
    fn next(&mut self, from: Lsn, bytes_max: usize) -> Result<Option<Step<S>>, ReadError> {
        if self.cursor.position_lsn() != from {
            self.cursor = self.served.log.cursor(from, Bound::Durable)?;
        }
        self.cursor.next_run(bytes_max)
    }
}

fn next_event<S: SegmentStore>(link: &mut Leader, source: &impl Source<S>) -> Option<Asked> {
    Some(match link.poll_event()? {
        LeaderEvent::Hello { node, token, role, .. } => {
            Asked::Admission(source.admit(node, token, role))
        }
        LeaderEvent::Follow { namespace, name, cursor } => {
            Asked::Follow { namespace, name, cursor }
        }
        LeaderEvent::Ack { namespace, durable, applied } => {
            Asked::Acknowledged { namespace, durable, applied }
        }
        LeaderEvent::Beat { .. } => Asked::Nothing,
        LeaderEvent::Close { reason } => Asked::Closed(reason),
    })
}

/// What a follower is told when the log cannot be read at `from`.
fn refusal(error: ReadError, from: Lsn) -> Refusal {
    match error {
        ReadError::BehindRetention { first } => Refusal::BehindRetention { first },
        ReadError::Gap { .. } | ReadError::Corrupt { .. } => Refusal::Damaged { lsn: from },
        _ => Refusal::NotReady,
    }
}
