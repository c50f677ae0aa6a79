//! `shell`: commands for a hub or an edge, typed at a prompt or read from a script.

mod commands;
mod complete;
mod error;
mod history;
mod output;
mod prompt;
mod run;
mod script;
mod session;
mod words;

pub(crate) use error::ShellError;

use crate::client::Client;
use clap::Args;
use output::{Output, Style};
use script::Script;
use session::Session;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Nothing is tried again by itself: who types sees at once what is wrong.
const PATIENCE: Duration = Duration::ZERO;

/// Arguments of `shell`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  hub-node shell
  hub-node shell --to http://127.0.0.1:4100 -c 'get sensor:1'
  hub-node shell --json -c 'scan sensor: --limit 0' > sensors.jsonl
  hub-node shell --keep-going < commands.txt

`help` in the shell lists its commands. A script stops at the first failure, with exit code 1.")]
pub(crate) struct ShellArguments {
    /// The node to talk to, a hub or an edge
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    to: String,
    /// The namespace to begin in
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Run these commands and exit: `put k v; get k`
    #[arg(short = 'c', long, value_name = "COMMANDS")]
    command: Option<String>,
    /// Answer with an object a line
    #[arg(long)]
    json: bool,
    /// Leave the answers to writes out
    #[arg(long)]
    quiet: bool,
    /// In a script, go on behind a failure; the exit code is 1 all the same
    #[arg(long)]
    keep_going: bool,
}

/// Runs the command.
pub(crate) fn shell(arguments: &ShellArguments) -> Result<(), ShellError> {
    let client = Client::new(&arguments.to, &arguments.namespace, PATIENCE);
    let output = Output::new(Box::new(io::stdout()), style(arguments.json), arguments.quiet);
    let mut session = Session::new(client, output);
    let outcome = match &arguments.command {
        Some(text) => script(&mut session, arguments, |script| script.text(text.as_bytes())),
        None if io::stdin().is_terminal() => {
            greet(&mut session)?;
            prompt::prompt(&mut session)
        }
        None => script(&mut session, arguments, |script| script.lines(io::stdin().lock())),
    };
    match outcome {
        Err(error) if error.is_end_of_output() => Ok(()),
        outcome => outcome,
    }
}

fn script(
    session: &mut Session,
    arguments: &ShellArguments,
    run: impl FnOnce(&mut Script<'_>) -> Result<session::Flow, ShellError>,
) -> Result<(), ShellError> {
    let mut script = Script::new(session, arguments.keep_going);
    match run(&mut script) {
        Ok(_) => script.finish(),
        Err(error) => {
            // The first failure is the one to tell.
            let _ = script.finish();
            Err(error)
        }
    }
}

fn style(json: bool) -> Style {
    match json {
        true => Style::Json,
        false if io::stdout().is_terminal() => Style::Tables,
        false => Style::Lines,
    }
}

/// Says where one is, or why one is nowhere yet.
fn greet(session: &mut Session) -> Result<(), ShellError> {
    let base = session.client.base().to_owned();
    let greeting = match session.client.get::<run::Status>("status") {
        Ok(status) => status.greeting(&base),
        Err(error) => ShellError::from(error).to_string(),
    };
    Ok(session
        .output
        .sentence(&format!("{greeting}\n`help` teaches, Tab completes, Ctrl-D leaves"))?)
}
