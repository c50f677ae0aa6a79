//! One user's place: a node, a namespace, and where answers go.

use super::commands::{Command, parse};
use super::error::ShellError;
use super::output::Output;
use super::run;
use super::words::Words;
use crate::client::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Leave,
}

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
    /// Set by Ctrl-C while a command runs.
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Session {
    pub(super) fn new(client: Client, output: Output) -> Self {
        Self { client, output, interrupted: Arc::default() }
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
}

/// Fails once Ctrl-C was pressed: for commands that go on for long.
pub(super) fn check(interrupted: &AtomicBool) -> Result<(), ShellError> {
    if interrupted.load(Ordering::Acquire) { Err(ShellError::Stopped) } else { Ok(()) }
}
