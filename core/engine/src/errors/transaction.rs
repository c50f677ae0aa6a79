//! Why a transaction does not go on.

use unison_base::limits::INDEX_ENTRY_BYTES;

/// Why a transaction cannot go on, or begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// There is no such transaction, or it ended long ago.
    #[error("there is no such transaction")]
    Unknown,
    /// A transaction with this identity is open.
    #[error("a transaction with this identity is open")]
    Exists,
    /// The operation needs a transaction, and none is named.
    #[error("the operation is for a transaction, and none is named")]
    Missing,
    /// It was committed.
    #[error("the transaction was committed")]
    Committed,
    /// It was aborted.
    #[error("the transaction was aborted")]
    Aborted,
    /// It took too long, and was aborted.
    #[error("the transaction timed out and was aborted")]
    TimedOut,
    /// A condition of its commit did not hold, and it was aborted.
    #[error("a condition of the transaction did not hold and it was aborted")]
    Conflict,
    /// Its node stopped, or a record of it could not be written: nothing of it happens.
    #[error("the node stopped or could not write a record of the transaction; it is aborted")]
    Failed,
    /// It changes too much.
    #[error(
        "a transaction takes at most {limit} bytes in the index (each key, column or chunk its key \
         and {INDEX_ENTRY_BYTES} bytes), with this operation it would take {bytes}"
    )]
    TooLarge {
        /// What it would take.
        bytes: usize,
        /// Most that it may take.
        limit: usize,
    },
    /// Too many are open.
    #[error("at most {limit} transactions of a namespace are open at a time")]
    TooMany {
        /// Most open transactions.
        limit: usize,
    },
    /// All open ones together change too much; it may go on when others have ended.
    #[error("open transactions of a namespace take at most {limit} bytes in the index together")]
    Full {
        /// Most that all may take.
        limit: usize,
    },
    /// Those of all namespaces of the node together change too much; it may go on when others have ended.
    #[error(
        "open transactions of all namespaces take at most {limit} bytes in the index together \
         (transactions-size)"
    )]
    NodeFull {
        /// Most that all may take.
        limit: usize,
    },
    /// Messages are deleted and trimmed outside of transactions.
    #[error("a transaction publishes messages, it does not delete or trim them")]
    Topics,
    /// A large object is longer than the limit.
    #[error("a large object has at most {limit} bytes")]
    ObjectBytes {
        /// Most bytes of a large object.
        limit: u64,
    },
}
