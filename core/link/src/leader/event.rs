//! What a leader asks of its driver.

#[cfg(doc)]
use super::Leader;
use crate::close::CloseReason;
use crate::cursor::Cursor;
use crate::messages::Role;
use core::fmt;
use unison_base::{Hlc, Lsn, NamespaceName};

/// Something for the leader's driver to do or to know.
#[derive(Clone, PartialEq, Eq)]
pub enum LeaderEvent<'a> {
    /// A follower introduced itself. Answer with [`Leader::accept`] or [`Leader::dismiss`]; nothing
    /// else happens before.
    Hello {
        /// Its name.
        node: &'a str,
        /// Its token, empty when it has none.
        token: &'a str,
        /// What it does with the records.
        role: Role,
        /// Protocol version that both speak.
        protocol: u16,
    },
    /// It wants a namespace, for the first time or again, from another place. Judge the cursor
    /// with [`judge`](crate::judge), then [`Leader::answer`].
    Follow {
        /// The follower's number for it.
        namespace: u32,
        /// Its name.
        name: NamespaceName,
        /// What the follower has.
        cursor: Cursor,
    },
    /// It holds more than before.
    Ack {
        /// The namespace.
        namespace: u32,
        /// Newest record durable there.
        durable: Lsn,
        /// Newest record its readers see.
        applied: Lsn,
    },
    /// It is alive.
    Beat {
        /// Its hybrid clock.
        hlc: Hlc,
    },
    /// Transmit what is left and close the connection.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

/// Without the token.
impl fmt::Debug for LeaderEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { node, role, protocol, .. } => f
                .debug_struct("Hello")
                .field("node", node)
                .field("role", role)
                .field("protocol", protocol)
                .finish_non_exhaustive(),
            Self::Follow { namespace, name, cursor } => {
                f.debug_tuple("Follow").field(namespace).field(name).field(cursor).finish()
            }
            Self::Ack { namespace, durable, applied } => {
                f.debug_tuple("Ack").field(namespace).field(durable).field(applied).finish()
            }
            Self::Beat { hlc } => f.debug_tuple("Beat").field(hlc).finish(),
            Self::Close { reason } => f.debug_tuple("Close").field(reason).finish(),
        }
    }
}
