//! What an import leaves out, and why.

use std::fmt;
use unison_base::limits::{KEY_MAX, VALUE_MAX};

/// Something that is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Its key or its path, printable.
    pub(super) name: String,
    /// Why.
    pub(super) reason: SkipReason,
}

/// Why something is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// A link: what it leads to may lie anywhere.
    Link,
    /// A pipe, a socket, a device.
    NoFile,
    /// A file name that is not UTF-8.
    Name,
    /// The key or the value is above its limit.
    Limits,
    /// The node does not take it.
    Refused {
        /// In its own words.
        message: String,
    },
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.name)?;
        match &self.reason {
            SkipReason::Link => write!(f, "a symbolic link"),
            SkipReason::NoFile => write!(f, "no regular file"),
            SkipReason::Name => write!(f, "the name is not UTF-8; import it with --jsonl"),
            SkipReason::Limits => {
                write!(f, "a key has 1 to {KEY_MAX} bytes, a value at most {VALUE_MAX}")
            }
            SkipReason::Refused { message } => write!(f, "the node does not take it: {message}"),
        }
    }
}
