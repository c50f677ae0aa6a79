//! Why a read is not answered.

use unison_engine::{ReadError, SealError, TopicError};

/// Why a read is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// A `%` that means nothing.
    #[error("a `%` has no two hexadecimal digits behind it")]
    Escape,
    /// A value that should be text.
    #[error("what is asked for is no UTF-8")]
    Text,
    /// A name in the query that this node does not know.
    #[error("on this node the query knows only {}", Names(known))]
    Query { known: &'static [&'static str] },
    #[error("`limit` is a whole number from 1 to {max}")]
    Limit { max: usize },
    #[error("`order` is newest or oldest")]
    Order,
    #[error("`cursor` is of no earlier answer")]
    Cursor,
    /// A filter that is none.
    #[error(transparent)]
    Filter(#[from] TopicError),
    #[error("this node does not follow such a namespace")]
    Namespace,
    #[error("there is no such large object")]
    Object,
    /// Memory may not suffice for it.
    #[error("an answer of {bytes} bytes is more than this node's free memory")]
    Room { bytes: usize },
    /// What is asked for cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Names with commas between them.
struct Names(&'static [&'static str]);

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut comma = "";
        for name in self.0 {
            write!(f, "{comma}{name}")?;
            comma = ", ";
        }
        Ok(())
    }
}

impl Refused {
    /// The status that it is answered with: the one that a node on Linux has for it.
    pub(super) const fn status(&self) -> &'static str {
        match self {
            Self::Namespace | Self::Object => "404 Not Found",
            Self::Room { .. } | Self::Read(ReadError::Seal(SealError::NoKey { .. })) => {
                "503 Service Unavailable"
            }
            Self::Read(
                ReadError::Streams { .. }
                | ReadError::Names { .. }
                | ReadError::Keys { .. }
                | ReadError::MessageSize { .. },
            ) => "413 Content Too Large",
            Self::Read(ReadError::KeyLength { .. } | ReadError::Topic(_)) => "400 Bad Request",
            Self::Read(_) => "500 Internal Server Error",
            _ => "400 Bad Request",
        }
    }
}
