//! The host's side: makes a tape of what a real hub says, and reads what the firmware left.

mod check;
mod hub;
mod image;

use anyhow::{Result, bail};
use std::env::args;

/// Runs the command of the arguments.
pub(crate) fn main() -> Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tape", tape] => hub::record(tape),
        ["check", medium] => check::check(medium),
        _ => bail!("usage: unison-cortex-m tape FILE | check MEDIUM"),
    }
}
