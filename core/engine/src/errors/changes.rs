//! Errors of reading events.

use unison_base::{Lsn, Position};
use unison_ports::IoError;

/// Why no further event can be told. Except after [`Io`](Self::Io) a watcher has missed something, or
/// would: it reads the state anew and watches from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesError {
    /// Retention took the next event's record.
    #[error("retention has passed: the log begins at LSN {first}")]
    Retired {
        /// The oldest record there is.
        first: Lsn,
    },
    /// Damage took records; watching may go on behind them.
    #[error("LSNs {from} to {to} are damaged")]
    Gap {
        /// First record that is missing.
        from: Lsn,
        /// Last record that is missing.
        to: Lsn,
    },
    /// The record that was looked at last is no longer in the log: another history took its place, or
    /// the node that was asked before was ahead.
    #[error(
        "the record at LSN {from} is not the one that was seen: the log's history is another one"
    )]
    Rewritten {
        /// The newest record that was seen.
        from: Lsn,
    },
    /// The next event's record is damaged.
    #[error("damaged frame at {at}")]
    Corrupt {
        /// Where.
        at: Position,
    },
    /// The name of a topic cannot be read.
    #[error("the name of a topic cannot be read: {0}")]
    Topic(super::ReadError),
    /// The medium failed; the same may be read again.
    #[error("the medium failed: {0}")]
    Io(IoError),
}

impl From<unison_walfs::ReadError> for ChangesError {
    fn from(error: unison_walfs::ReadError) -> Self {
        use unison_walfs::ReadError::{Absent, Ahead, BehindRetention, Corrupt, Gap, Io};
        match error {
            BehindRetention { first } => Self::Retired { first },
            Gap { from, to } => Self::Gap { from, to },
            Ahead { last } => Self::Rewritten { from: last },
            Corrupt { at } | Absent { at } => Self::Corrupt { at },
            Io(error) => Self::Io(error),
        }
    }
}
