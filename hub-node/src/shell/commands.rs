//! What can be typed. The help that it prints is written here, and every example in it is parsed by
//! a test.

mod settings;

pub(super) use settings::{RuleArguments, SettingsCommand};

use super::words::Words;
use crate::client::{Condition, Scope, Watched};
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Keys, values and rows of a hub or an edge.
#[derive(Parser, Debug)]
#[command(multicall = true, disable_help_flag = true, subcommand_value_name = "COMMAND")]
#[command(override_usage = "COMMAND [ARGUMENT]... [; COMMAND ...]")]
#[command(after_help = "A first look:
  put sensor:1 21.5
  get sensor:1
  scan sensor:
  row put door-7 state=open lock=off
  row get door-7

Words with spaces or semicolons go in quotes; \"\\xff\" in double quotes is a byte.
Every answer to a write names its version; --if-version and its kind make a write conditional.
`help COMMAND` shows examples of one command. Ctrl-D leaves.")]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Put a value
    #[command(after_help = "Examples:
  put sensor:1 21.5
  put greeting \"two\\nlines\" --if-absent
  put sensor:1 22 --if-version 17
  put session:9 open --ttl 90s")]
    Put {
        key: Bytes,
        #[arg(allow_hyphen_values = true)]
        value: Bytes,
        /// How long it lives: 90s, 1h
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Show the value of a key
    #[command(after_help = "Examples:
  get sensor:1
  get sensor:1 --required")]
    Get {
        key: Bytes,
        /// A key that is absent is a failure
        #[arg(long)]
        required: bool,
    },
    /// Delete keys, all of them or none
    #[command(after_help = "Examples:
  del sensor:1
  del sensor:1 sensor:2
  del sensor:1 --if-version 17")]
    Del {
        #[arg(required = true)]
        keys: Vec<Bytes>,
        #[command(flatten)]
        when: When,
    },
    /// List keys and values in order
    #[command(after_help = "Examples:
  scan
  scan sensor: --limit 10 --reverse
  scan --start a --end b --limit 0")]
    Scan(ScanArguments),
    /// Rows: columns that merge
    #[command(subcommand)]
    Row(RowCommand),
    /// Large objects: files of any size
    #[command(subcommand)]
    Lob(ObjectCommand),
    /// Publish a message to a topic
    #[command(after_help = "Examples:
  publish site/3/door open
  publish site/3/door open --ttl 1h --retain")]
    Publish(PublishArguments),
    /// List messages of topics, the oldest first
    #[command(after_help = "Examples:
  messages
  messages site/+/door --limit 10")]
    Messages(ListArguments),
    /// List the names of topics
    #[command(after_help = "Examples:
  topics
  topics site/#")]
    Topics(ListArguments),
    /// Settings of topics: how long messages live, how many, how they are stored
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Begin a transaction: writes wait until `commit`
    #[command(after_help = "Examples:
  begin; put a 1; row put door-7 state=open; publish site/7/door open; commit
  begin; lob put map ./map.tiles; put map:version 7 --if-version 12; commit
Reads see what was there before. A condition is compared at once and again at the commit.")]
    Begin,
    /// Make the writes since `begin` visible, all of them
    Commit,
    /// Forget the writes since `begin`
    Abort,
    /// Show changes as they happen, until Ctrl-C
    #[command(after_help = "Examples:
  watch
  watch sensor: --values
  watch --models row,topic --count 10
  watch --topic site/+/door --since 0")]
    Watch(WatchArguments),
    /// List the node's namespaces
    Namespaces,
    /// Go to another namespace
    #[command(after_help = "Examples:
  use default")]
    Use { namespace: String },
    /// Make a namespace
    #[command(after_help = "Examples:
  create measurements")]
    Create { namespace: String },
    /// Drop a namespace with all it holds
    #[command(after_help = "Examples:
  drop measurements --yes")]
    Drop {
        namespace: String,
        /// All data of it is gone for good
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Limit the disk of a namespace, or end the limit with `none`
    #[command(after_help = "Examples:
  quota measurements 64GiB
  quota measurements none")]
    Quota { namespace: String, size: String },
    /// Show the node: role, namespaces, followers or upstream, what is wrong
    Status,
    /// Go to another node
    #[command(after_help = "Examples:
  connect http://127.0.0.1:4100")]
    Connect { url: String },
    /// Leave
    #[command(alias = "quit")]
    Exit,
}

#[derive(Subcommand, Debug)]
pub(super) enum RowCommand {
    /// Set columns of a row, leave its others
    #[command(after_help = "Examples:
  row put door-7 state=open lock=off
  row put door-7 \"note=two words\" --if-absent")]
    Put {
        row: Bytes,
        /// NAME=VALUE
        #[arg(required = true, value_parser = OsStringValueParser::new().try_map(column))]
        columns: Vec<(String, Vec<u8>)>,
        #[command(flatten)]
        when: When,
    },
    /// Show columns of a row: all, or those named
    #[command(after_help = "Examples:
  row get door-7
  row get door-7 state lock")]
    Get {
        row: Bytes,
        columns: Vec<String>,
        /// A row that is absent is a failure
        #[arg(long)]
        required: bool,
    },
    /// Delete a row, or the named columns of it
    #[command(after_help = "Examples:
  row del door-7
  row del door-7 lock --if-version 17")]
    Del {
        row: Bytes,
        columns: Vec<String>,
        #[command(flatten)]
        when: When,
    },
    /// List rows in order, a line for each column
    #[command(after_help = "Examples:
  row scan
  row scan door- --limit 10")]
    Scan(ScanArguments),
}

#[derive(Subcommand, Debug)]
pub(super) enum ObjectCommand {
    /// Put a file; an upload that breaks off leaves nothing
    #[command(after_help = "Examples:
  lob put map ./map.tiles
  lob put map ./map.tiles --if-absent")]
    Put {
        key: Bytes,
        file: PathBuf,
        #[command(flatten)]
        when: When,
    },
    /// Write an object into a file
    #[command(after_help = "Examples:
  lob get map ./map.tiles")]
    Get { key: Bytes, file: PathBuf },
    /// Delete an object
    #[command(after_help = "Examples:
  lob del map")]
    Del {
        key: Bytes,
        #[command(flatten)]
        when: When,
    },
    /// List objects in order
    #[command(after_help = "Examples:
  lob list
  lob list maps/ --limit 10")]
    List(ListArguments),
}

#[derive(Args, Clone, Debug)]
pub(super) struct PublishArguments {
    pub(super) topic: String,
    #[arg(allow_hyphen_values = true)]
    pub(super) payload: Bytes,
    /// How long it lives: 90s, 1h
    #[arg(long, value_name = "TIME")]
    pub(super) ttl: Option<String>,
    /// Keep it as the topic's retained message
    #[arg(long)]
    pub(super) retain: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct WatchArguments {
    /// What keys begin with
    prefix: Option<Bytes>,
    /// Of kv, row, lob, topic, with commas
    #[arg(long, value_name = "MODELS")]
    models: Option<String>,
    /// Topics: + is one level, # the rest
    #[arg(long, value_name = "FILTER")]
    topic: Option<String>,
    /// Begin behind this version, or event; 0 for all there is
    #[arg(long, value_name = "VERSION")]
    since: Option<String>,
    /// Show values too
    #[arg(long)]
    values: bool,
    /// How many, then it ends
    #[arg(long, value_name = "COUNT")]
    pub(super) count: Option<u64>,
}

impl WatchArguments {
    pub(super) fn watched(&self) -> Watched {
        Watched {
            prefix: self.prefix.as_ref().map(|prefix| prefix.0.clone()).unwrap_or_default(),
            models: self.models.clone(),
            topic: self.topic.clone(),
            since: self.since.clone(),
            values: self.values,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(super) struct ListArguments {
    /// What is listed: a prefix of keys, or a filter of topics
    pub(super) what: Option<Bytes>,
    /// How many at most; 0 is all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
}

impl ListArguments {
    /// How many at most; nothing for all.
    pub(super) fn limit(&self) -> Option<u64> {
        (self.limit > 0).then_some(self.limit)
    }
}

/// A key or a value: any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl From<OsString> for Bytes {
    fn from(word: OsString) -> Self {
        Self(word.into_vec())
    }
}

/// What must hold for a write to happen.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(super) struct When {
    /// Only if it is not there
    #[arg(long)]
    if_absent: bool,
    /// Only if it is there
    #[arg(long)]
    if_present: bool,
    /// Only if it still has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

impl When {
    pub(super) fn is_given(&self) -> bool {
        self.condition() != Condition::Always
    }

    pub(super) fn condition(&self) -> Condition {
        match self {
            Self { if_absent: true, .. } => Condition::Absent,
            Self { if_present: true, .. } => Condition::Present,
            Self { if_version: Some(version), .. } => Condition::Version(*version),
            _ => Condition::Always,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(super) struct ScanArguments {
    /// What keys begin with
    prefix: Option<Bytes>,
    /// The first key
    #[arg(long, value_name = "KEY")]
    start: Option<Bytes>,
    /// The key before which it ends
    #[arg(long, value_name = "KEY")]
    end: Option<Bytes>,
    /// From the last to the first
    #[arg(long)]
    reverse: bool,
    /// How many at most; 0 is all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
}

impl ScanArguments {
    /// How many at most; nothing for all.
    pub(super) fn limit(&self) -> Option<u64> {
        (self.limit > 0).then_some(self.limit)
    }

    pub(super) fn scope(&self) -> Scope {
        let bytes = |word: &Option<Bytes>| word.as_ref().map(|word| word.0.clone());
        Scope {
            prefix: bytes(&self.prefix).unwrap_or_default(),
            start: bytes(&self.start),
            end: bytes(&self.end),
            reverse: self.reverse,
        }
    }
}

/// A word that sets no column.
#[derive(Debug, thiserror::Error)]
#[error("a column is written NAME=VALUE, with a name that is text")]
struct NoColumn;

/// `NAME=VALUE`; the value may be any bytes.
fn column(word: OsString) -> Result<(String, Vec<u8>), NoColumn> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').ok_or(NoColumn)?;
    let (name, value) =
        (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default());
    let name = std::str::from_utf8(name).map_err(|_| NoColumn)?;
    Ok((name.to_owned(), value.to_vec()))
}

/// The command that words stand for.
pub(super) fn parse(words: Words) -> Result<Command, clap::Error> {
    let words = words.into_iter().map(OsString::from_vec);
    Line::try_parse_from(words).map(|line| line.command)
}

#[cfg(test)]
mod tests;
