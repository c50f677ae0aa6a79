//! Events as a person reads them.

use super::fault::Fault;
use super::link::{ConnectionId, Direction};
use std::fmt;
use unison_base::Lsn;

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Story {
    /// The process is up.
    Started { appended: Lsn, checkpoint: Lsn },
    /// The process is gone.
    Ended(&'static str),
    /// A fault, and what it struck.
    Struck(Fault, String),
    /// A connection was made.
    Connected(ConnectionId),
    /// No connection could be made.
    NotConnected,
    /// The follower has closed its side.
    HungUp(ConnectionId),
    /// The leader has closed its side.
    Dismissed(ConnectionId),
    /// Bytes came.
    Received(ConnectionId, Direction, usize),
    /// Clients have written.
    Wrote(Lsn),
    /// The hub has acknowledged.
    Acknowledged(Lsn),
    /// A follower holds records.
    Holds { appended: Lsn, durable: Lsn, applied: Lsn },
    /// A flush has ended.
    Flushed,
    /// Anything else.
    Said(String),
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { appended, checkpoint } => {
                write!(f, "starts with log up to {appended}, tree up to {checkpoint}")
            }
            Self::Ended(how) => write!(f, "{how}"),
            Self::Struck(fault, what) => write!(f, "** {fault:?} {what}"),
            Self::Connected(id) => write!(f, "connected, #{id}"),
            Self::NotConnected => f.write_str("not connected"),
            Self::HungUp(id) => write!(f, "hangs up #{id}"),
            Self::Dismissed(id) => write!(f, "ends #{id}"),
            Self::Received(id, direction, bytes) => {
                write!(f, "receives {bytes} bytes on #{id} {direction:?}")
            }
            Self::Wrote(lsn) => write!(f, "takes writes up to {lsn}"),
            Self::Acknowledged(lsn) => write!(f, "acknowledges up to {lsn}"),
            Self::Holds { appended, durable, applied } => {
                write!(f, "holds {appended}, durable {durable}, visible {applied}")
            }
            Self::Flushed => f.write_str("has flushed"),
            Self::Said(what) => f.write_str(what),
        }
    }
}
