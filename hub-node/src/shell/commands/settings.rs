//! Commands for what holds for topics.

use crate::client::{All, KeepLast};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand, Debug)]
pub(in crate::shell) enum SettingsCommand {
    /// Show what holds
    Show,
    /// Set how long messages live that no rule says it for
    #[command(after_help = "Examples:
  settings ttl 7d
  settings ttl never")]
    Ttl {
        /// 90s, 1h, never
        time: String,
    },
    /// Set or remove a rule for the topics that a filter finds
    #[command(after_help = "Examples:
  settings rule site/7/# --ttl 1h --keep-last 100
  settings rule site/+/log --ttl never --keep-last all
  settings rule site/+/log --remove
What is not given stays as it is. Of rules that find the same topic the one with the longest
prefix counts.")]
    Rule(RuleArguments),
    /// Set how messages are stored
    #[command(after_help = "Examples:
  settings compression lz4
  settings compression none")]
    Compression { how: CompressionName },
    /// Set how messages are encrypted at rest; the hub needs a key
    #[command(after_help = "Examples:
  settings encryption chacha20poly1305
  settings encryption none
The keys of namespaces come from the file that `hub-node serve --keys-file` names.")]
    Encryption { how: EncryptionName },
}

#[derive(Args, Clone, Debug)]
pub(in crate::shell) struct RuleArguments {
    /// Topics: + is one level, # the rest
    pub(in crate::shell) filter: String,
    #[command(flatten)]
    pub(in crate::shell) change: RuleChange,
}

/// What happens to a rule: at least one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub(in crate::shell) struct RuleChange {
    /// How long messages live: 90s, 1h, never
    #[arg(long, value_name = "TIME")]
    pub(in crate::shell) ttl: Option<String>,
    /// How many messages of each topic are there, or `all`
    #[arg(long, value_name = "COUNT", value_parser = keep_last)]
    pub(in crate::shell) keep_last: Option<KeepLast>,
    /// Take the rule away
    #[arg(long, conflicts_with_all = ["ttl", "keep_last"])]
    pub(in crate::shell) remove: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::shell) enum CompressionName {
    None,
    Lz4,
}

impl CompressionName {
    /// As the node calls it.
    pub(in crate::shell) const fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::shell) enum EncryptionName {
    None,
    #[value(name = "chacha20poly1305")]
    ChaCha20Poly1305,
}

impl EncryptionName {
    /// As the node calls it.
    pub(in crate::shell) const fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ChaCha20Poly1305 => "chacha20poly1305",
        }
    }
}

/// A word that is no number of messages.
#[derive(Debug, thiserror::Error)]
#[error("a number of messages, or `all`")]
struct NoCount;

fn keep_last(word: &str) -> Result<KeepLast, NoCount> {
    match word {
        "all" => Ok(KeepLast::All(All::All)),
        count => count.parse().map(KeepLast::Count).map_err(|_| NoCount),
    }
}
