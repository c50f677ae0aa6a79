//! Settings of topics.

/// Why settings of topics are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Too many rules.
    #[error("topics have at most {limit} rules, these are {rules}")]
    Rules {
        /// Rules of the settings.
        rules: usize,
        /// Most rules.
        limit: usize,
    },
    /// Too long filters.
    #[error("the filters of all rules have at most {limit} bytes together, these have {bytes}")]
    Bytes {
        /// Bytes of all filters.
        bytes: usize,
        /// Most bytes of all filters.
        limit: usize,
    },
    /// A message cannot live for no time.
    #[error("a time to live is above zero")]
    Ttl,
    /// Too many messages to keep, or none.
    #[error("a rule keeps the newest 1 to {limit} messages of a topic, or all of them")]
    KeepLast {
        /// Most messages that a rule keeps.
        limit: u32,
    },
    /// Two rules with the same filter.
    #[error("two rules have the same filter")]
    Twice,
}
