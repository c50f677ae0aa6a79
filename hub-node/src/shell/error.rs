//! Why a command failed, and what to do about it.

use super::words::WordError;
use crate::client::ClientError;
use std::io;

/// A command failed, or the shell itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// What was typed has no words.
    #[error(transparent)]
    Words(#[from] WordError),
    /// What was typed is no command.
    #[error("{}", usage(.0))]
    Usage(#[from] clap::Error),
    /// The exchange with the node.
    #[error("{error}{advice}", error = .0, advice = advice(.0))]
    Client(#[from] ClientError),
    /// A condition is about one entry.
    #[error("a condition goes with one key, not with {keys}")]
    ConditionOfMany {
        /// How many keys were given.
        keys: usize,
    },
    /// An object has no condition within a transaction.
    #[error("within a transaction a large object has no condition")]
    ConditionOfObject,
    /// There is one already, or the command leads away from it.
    #[error("a transaction is open: `commit` or `abort` it first")]
    TransactionOpen,
    /// There is nothing to commit or to abort.
    #[error("no transaction is open; `begin` opens one")]
    NoTransaction,
    /// A command in it failed, and the script went on.
    #[error("a command of the transaction failed, so it was aborted")]
    TransactionFailed,
    /// It was open at the end.
    #[error("the transaction was not committed, so it was aborted")]
    NotCommitted,
    /// Nothing is there, and `--required` was given.
    #[error("there is no {what} {key:?}")]
    Absent {
        /// What kind of thing.
        what: &'static str,
        /// Its key, made printable.
        key: String,
    },
    /// A file of this machine.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: std::path::PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Answers cannot be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// The script cannot be read.
    #[error("cannot read the script: {0}")]
    Script(#[source] io::Error),
    /// A line of the script is too long.
    #[error("line {line} of the script is above the limit of {limit} bytes")]
    TooLong {
        /// Counted from 1.
        line: u64,
        /// Most bytes of a line.
        limit: u64,
    },
    /// A command of a script.
    #[error("line {line}: {source}")]
    At {
        /// Counted from 1.
        line: u64,
        /// What happened.
        source: Box<ShellError>,
    },
    /// A script that went on behind errors.
    #[error("{failures} commands failed")]
    Several {
        /// How many, more than one.
        failures: u64,
    },
    /// The same, behind one error.
    #[error("a command failed")]
    One,
    /// The terminal.
    #[error("the terminal: {0}")]
    Terminal(#[from] rustyline::error::ReadlineError),
    /// Ctrl-C.
    #[error("stopped")]
    Stopped,
}

impl ShellError {
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Whether nobody reads the answers any more: no failure, as in `scan | head`.
    pub(super) fn is_end_of_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What clap says, without its prefix.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let more = "For more information, try 'help'.";
    text.replace(more, "`help` lists the commands.").trim_end().to_owned()
}

/// The next step, where there is one that the node's own words do not name.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Exchange(_) => {
            "; start a hub with `hub-node serve`, or go to a node with `connect http://HOST:PORT`"
        }
        ClientError::Refused { status: 404, .. } => {
            "; `namespaces` lists what there is, `create NAME` makes one"
        }
        ClientError::Refused { status: 412, .. } => {
            "; read it again and write with --if-version of what you read"
        }
        ClientError::Refused { status: 421, .. } => "; `connect` to the hub to write",
        _ => "",
    }
}
