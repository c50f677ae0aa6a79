//! The log: segments, frames, recovery, readers, retention.
