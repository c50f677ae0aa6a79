//! Why a namespace is not served, and why a connection ends. Numbers on the wire are fixed; a
//! number of a newer peer is kept as it came.

use core::fmt;
use unison_base::Lsn;

/// How a follower's log differs from its leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Divergence {
    /// The leader's log is another one: made anew or restored.
    Log,
    /// The leader's frame at the cursor's LSN has another place or checksum.
    Frame,
    /// The follower holds records that the leader does not have.
    Ahead {
        /// The leader's newest durable record.
        durable: Lsn,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("the leader's log is another one"),
            Self::Frame => f.write_str("the leader has another record at the cursor"),
            Self::Ahead { durable } => write!(f, "the leader's log ends at {durable}"),
        }
    }
}

/// Why a leader does not serve a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No such namespace, yet.
    UnknownNamespace,
    /// This node may not follow it.
    NotAllowed,
    /// The leader is not ready, yet.
    NotReady,
    /// The records behind the cursor are gone.
    BehindRetention {
        /// The oldest record the leader has.
        first: Lsn,
    },
    /// The two logs are not the same.
    Diverged(Divergence),
    /// The leader's log is damaged there.
    Damaged {
        /// The first record it cannot read.
        lsn: Lsn,
    },
    /// A record does not fit what the follower can receive.
    RecordTooLarge {
        /// Bytes of its frame.
        bytes: u64,
    },
    /// A reason of a newer protocol.
    Other {
        /// Its number.
        code: u8,
        /// Its detail.
        detail: u64,
    },
}

impl Refusal {
    /// Number and detail on the wire.
    #[must_use]
    pub const fn encode(self) -> (u8, u64) {
        match self {
            Self::UnknownNamespace => (1, 0),
            Self::NotAllowed => (2, 0),
            Self::NotReady => (3, 0),
            Self::BehindRetention { first } => (4, first.0),
            Self::Diverged(Divergence::Log) => (5, 0),
            Self::Diverged(Divergence::Frame) => (6, 0),
            Self::Diverged(Divergence::Ahead { durable }) => (7, durable.0),
            Self::Damaged { lsn } => (8, lsn.0),
            Self::RecordTooLarge { bytes } => (9, bytes),
            Self::Other { code, detail } => (code, detail),
        }
    }

    /// The reason of a number and its detail.
    #[must_use]
    pub const fn decode(code: u8, detail: u64) -> Self {
        match code {
            1 => Self::UnknownNamespace,
            2 => Self::NotAllowed,
            3 => Self::NotReady,
            4 => Self::BehindRetention { first: Lsn(detail) },
            5 => Self::Diverged(Divergence::Log),
            6 => Self::Diverged(Divergence::Frame),
            7 => Self::Diverged(Divergence::Ahead { durable: Lsn(detail) }),
            8 => Self::Damaged { lsn: Lsn(detail) },
            9 => Self::RecordTooLarge { bytes: detail },
            code => Self::Other { code, detail },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNamespace => f.write_str("the leader has no such namespace"),
            Self::NotAllowed => f.write_str("this node may not follow the namespace"),
            Self::NotReady => f.write_str("the leader is not ready"),
            Self::BehindRetention { first } => write!(f, "the leader's log begins at {first}"),
            Self::Diverged(why) => write!(f, "the logs have diverged: {why}"),
            Self::Damaged { lsn } => write!(f, "the leader's log is damaged at {lsn}"),
            Self::RecordTooLarge { bytes } => write!(f, "a record of {bytes} bytes is too large"),
            Self::Other { code, detail } => write!(f, "reason {code} ({detail})"),
        }
    }
}

/// Why a node ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByeReason {
    /// The node stops or restarts.
    Shutdown,
    /// No protocol version in common.
    Version,
    /// The node or its token is not accepted.
    NotAllowed,
    /// Too many connections.
    Busy,
    /// The peer sent what it may not send.
    Protocol,
    /// Bytes changed on their way.
    Damaged,
    /// A reason of a newer protocol.
    Other(u8),
}

impl ByeReason {
    /// Number on the wire.
    #[must_use]
    pub const fn encode(self) -> u8 {
        match self {
            Self::Shutdown => 1,
            Self::Version => 2,
            Self::NotAllowed => 3,
            Self::Busy => 4,
            Self::Protocol => 5,
            Self::Damaged => 6,
            Self::Other(code) => code,
        }
    }

    /// The reason of a number.
    #[must_use]
    pub const fn decode(code: u8) -> Self {
        match code {
            1 => Self::Shutdown,
            2 => Self::Version,
            3 => Self::NotAllowed,
            4 => Self::Busy,
            5 => Self::Protocol,
            6 => Self::Damaged,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for ByeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("the peer stops"),
            Self::Version => f.write_str("no protocol version in common"),
            Self::NotAllowed => f.write_str("the peer does not accept this node"),
            Self::Busy => f.write_str("the peer has too many connections"),
            Self::Protocol => f.write_str("the protocol was not kept"),
            Self::Damaged => f.write_str("bytes changed on their way"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}
