//! Why a connection has to be closed.

use crate::reason::ByeReason;
use crate::wire::WireError;

/// Why a machine gives a connection up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Nothing was heard for three intervals.
    #[error("the peer is silent")]
    Dead,
    /// A message began and did not come to its end in time.
    #[error("a message of the peer did not arrive whole")]
    Stalled,
    /// The peer's bytes are no messages, or out of place.
    #[error("{0}")]
    Wire(WireError),
    /// The peer said goodbye.
    #[error("the peer ended the connection: {0}")]
    Bye(ByeReason),
    /// This node said goodbye.
    #[error("this node ended the connection: {0}")]
    Ours(ByeReason),
    /// No protocol version in common.
    #[error("no protocol version in common with the peer")]
    Version,
    /// The peer acknowledged what was never sent to it.
    #[error("the peer acknowledged what it was not sent")]
    FalseAck,
    /// The peer asked for more namespaces than one connection may have, or with a false number.
    #[error("the peer asked for more namespaces than a connection may have")]
    TooManyNamespaces,
    /// Three runs in a row were refused at the same place.
    #[error("three runs in a row were refused at the same place")]
    BadRuns,
}

impl CloseReason {
    /// What the peer is told; `None` when it has gone or has said goodbye itself.
    pub(crate) const fn farewell(self) -> Option<ByeReason> {
        match self {
            Self::Dead | Self::Stalled | Self::Bye(_) => None,
            Self::Wire(WireError::Check { .. }) | Self::BadRuns => Some(ByeReason::Damaged),
            Self::Wire(_) | Self::FalseAck | Self::TooManyNamespaces => Some(ByeReason::Protocol),
            Self::Version => Some(ByeReason::Version),
            Self::Ours(reason) => Some(reason),
        }
    }
}
