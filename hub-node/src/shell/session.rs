//! One user's place: a node, a namespace, and where answers go.

use super::commands::{Command, parse};
use super::error::ShellError;
use super::output::Output;
use super::run;
use super::words::Words;
use crate::client::{Client, Transaction};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Leave,
}

/// A transaction that was begun.
pub(super) struct Open {
    pub(super) transaction: Transaction,
    /// A command of a script failed in it: then it must not be committed.
    pub(super) failed: bool,
}

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
    /// The transaction that writes go to.
    pub(super) open: Option<Open>,
    /// Set by Ctrl-C while a command runs.
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Session {
    pub(super) fn new(client: Client, output: Output) -> Self {
        Self { client, output, open: None, interrupted: Arc::default() }
    }

    /// Runs one command.
    pub(super) fn execute(&mut self, words: Words) -> Result<Flow, ShellError> {
        let command = match parse(words) {
            Ok(command) => command,
            Err(help) if !help.use_stderr() => {
                self.output.text(&help.to_string())?;
                return Ok(Flow::Continue);
            }
            Err(error) => return Err(error.into()),
        };
        self.interrupted.store(false, Ordering::Release);
        if matches!(command, Command::Exit) {
            return Ok(Flow::Leave);
        }
        run::run(self, command)?;
        Ok(Flow::Continue)
    }

    /// Ends what is open. A script that ends so has failed.
    pub(super) fn leave(&mut self) -> Result<(), ShellError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        open.transaction.abort()?;
        Err(ShellError::NotCommitted)
    }
}

/// Fails once Ctrl-C was pressed: for commands that go on for long.
pub(super) fn check(interrupted: &AtomicBool) -> Result<(), ShellError> {
    if interrupted.load(Ordering::Acquire) { Err(ShellError::Stopped) } else { Ok(()) }
}
