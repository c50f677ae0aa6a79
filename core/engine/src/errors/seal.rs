//! Messages that cannot be opened.

use crate::seal::KeyId;
use unison_base::Lsn;

/// Why a compressed or sealed message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// This node has no master key for it.
    #[error(
        "no key for epoch {epoch} of the namespace: its messages are sealed, and the master key \
         {key} that opens them is not among those of this node"
    )]
    NoKey {
        /// The epoch that it was sealed in.
        epoch: u64,
        /// The check value of the master key that is needed.
        key: KeyId,
    },
    /// The key of the epoch is not in the log, or is damaged.
    #[error("the key of epoch {epoch} is missing or damaged")]
    Epoch {
        /// The epoch.
        epoch: u64,
    },
    /// It is not what was sealed there, or was sealed for another topic, place or time.
    #[error("the message {lsn}-{index} is not what was sealed")]
    Altered {
        /// LSN of the record that committed it.
        lsn: Lsn,
        /// Which message of that record.
        index: u32,
    },
    /// What was compressed is no message.
    #[error("the message {lsn}-{index} cannot be unfolded")]
    Body {
        /// LSN of the record that committed it.
        lsn: Lsn,
        /// Which message of that record.
        index: u32,
    },
}
