//! The edge: follows a hub and answers locally, also while the hub is away.
//!
//! A library, so that the hub's quickstart can run edges without a second program on the path.

#![forbid(unsafe_code)]

mod run;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use unison_serve::config::{self, EdgeConfig, EdgeSettings};
use unison_serve::process::{ProcessError, print_line};

/// Follows a hub, keeps the same log, and answers reads locally.
#[derive(Parser, Debug)]
#[command(name = "edge-node", version, about, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit codes: 0 asked to stop, 1 failed while running, 2 usage or \
                        configuration, 3 the data cannot be served.")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: EdgeSettings,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Follow a hub and serve (what happens without a command)
    Run(Box<EdgeSettings>),
    /// Read a configuration file and show what would be used
    CheckConfig {
        /// The file
        file: PathBuf,
    },
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        None => run_with(arguments.settings),
        Some(Command::Run(settings)) => run_with(*settings),
        Some(Command::CheckConfig { file }) => check(file),
    };
    exit_code(outcome)
}

/// Follows and serves until asked to stop.
///
/// # Errors
/// The configuration or the data cannot be used, or following came to an end.
pub fn run_with(settings: EdgeSettings) -> Result<(), ProcessError> {
    run::run(EdgeConfig::resolve(settings)?)
}

fn check(file: PathBuf) -> Result<(), ProcessError> {
    let file = config::as_file(&EdgeConfig::check(file)?)?;
    print_line(format_args!("{}", file.trim_end()));
    Ok(())
}

fn exit_code(outcome: Result<(), ProcessError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edge-node: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
