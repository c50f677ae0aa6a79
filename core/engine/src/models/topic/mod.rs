//! Topics: messages in the order of time, under names with levels.
//!
//! A topic or a pattern has an id, assigned through the log, and its messages are one stream: a range
//! of keys in the order of time, which is the order of LSNs. What a topic shows is its own stream and
//! those of the patterns that find it, merged when it is read. A trim is a lower bound of a stream,
//! an expiry a filter, so neither rewrites anything.

pub(crate) mod key;
pub(crate) mod name;
pub(crate) mod number;
pub(crate) mod patterns;
pub(crate) mod settings;
pub(crate) mod trie;
pub(crate) mod walk;

#[cfg(test)]
mod tests;
