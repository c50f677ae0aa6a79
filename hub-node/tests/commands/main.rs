//! The commands that move data and look at it, as a user runs them, on a real hub.

mod hub;
mod inspect;
mod shell;
mod transactions;
mod transfer;

use std::process::{Command, Output};

/// The program under test.
fn hub_node() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hub-node"))
}

/// Exit code, output and errors as text.
fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
