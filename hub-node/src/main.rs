//! The hub: takes writes and feeds edges.

#![forbid(unsafe_code)]

mod client;
mod inspect;
mod quickstart;
mod serve;
mod shell;
mod transfer;

use clap::{Parser, Subcommand};
use quickstart::QuickstartArguments;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use transfer::{ExportArguments, ImportArguments};
use unison_serve::config::{self, EdgeSettings, HubConfig, HubSettings};
use unison_serve::process::{ProcessError, print_line};
use unison_serve::shutdown::StopSignals;

/// Takes writes, keeps them in one log, and feeds edges with it.
#[derive(Parser, Debug)]
#[command(name = "hub-node", version, about, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit codes: 0 asked to stop, 1 failed while running, 2 usage or \
                        configuration, 3 the data cannot be served.")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: HubSettings,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve (what happens without a command)
    Serve(Box<HubSettings>),
    /// Start a hub and edges, feed them real files, compare every value
    Quickstart(QuickstartArguments),
    /// Put a directory or JSON Lines into a namespace
    Import(ImportArguments),
    /// Write a namespace into a directory or JSON Lines
    Export(ExportArguments),
    /// Ask and write by hand, or by a script
    Shell(shell::ShellArguments),
    /// Look at a log's segments without changing anything
    #[command(subcommand)]
    Wal(WalCommand),
    /// Read a configuration file and show what would be used
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Follow a hub, as edge-node does
    #[command(hide = true)]
    Edge(Box<EdgeSettings>),
}

#[derive(Subcommand, Debug)]
enum WalCommand {
    /// Per segment: header, records, LSNs, and what recovery would do
    ///
    /// Every record is verified. A node trusts the sealed segments that its tree already holds, so
    /// it finds damage there later, when somebody reads it.
    Inspect(inspect::InspectArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Serve(Box::new(arguments.settings)));
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hub-node: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// What goes to stderr, and the exit code that goes with it.
struct Failure {
    message: String,
    code: u8,
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        Self { message: error.to_string(), code: error.exit_code() }
    }
}

fn failed<E: std::fmt::Display>(error: E) -> Failure {
    Failure { message: error.to_string(), code: 1 }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => {
            Ok(serve::serve(HubConfig::resolve(*settings).map_err(ProcessError::from)?)?)
        }
        Command::Edge(settings) => Ok(edge_node::run_with(*settings)?),
        Command::CheckConfig { file } => {
            let config = HubConfig::check(file).map_err(ProcessError::from)?;
            let file = config::as_file(&config).map_err(ProcessError::from)?;
            print_line(format_args!("{}", file.trim_end()));
            Ok(())
        }
        Command::Import(arguments) => transfer::import(&arguments).map_err(failed),
        Command::Export(arguments) => transfer::export(&arguments).map_err(failed),
        Command::Shell(arguments) => shell::shell(&arguments).map_err(failed),
        Command::Wal(WalCommand::Inspect(arguments)) => inspect::inspect(&arguments)
            .map_err(|error| Failure { message: error.to_string(), code: error.exit_code() }),
        Command::Quickstart(arguments) => {
            quickstart::quickstart(&arguments, &stop_flag()).map_err(failed)
        }
    }
}

/// Returns when a signal asks to stop. The end of the terminal counts too: what a command has
/// started does not outlive it.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stop = StopSignals::listen()?;
    tokio::select! {
        _ = stop.next() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// A flag that a signal sets: for commands that run on plain threads.
fn stop_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(asked_to_stop()).is_ok()
        {
            set.store(true, Ordering::Release);
        }
    });
    flag
}
