//! Clients that people have, in Python: scripts below `clients/`, run by the Python that `ci/setup` put
//! beside the build (`clients/requirements.txt` says what it has).
//!
//! A script gets the addresses of the nodes as its arguments. It ends with 0, or says what is wrong on
//! the standard error output and ends with anything else.

use crate::process::Chatty;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command that runs a script of `clients/`.
///
/// # Panics
/// The Python of `ci/setup` is not there.
#[must_use]
pub fn command(script: &str, arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let mut command = Command::new(python());
    command.arg("-u").arg(script).args(arguments);
    command
}

/// Runs a script to its end; returns what it printed.
///
/// # Panics
/// It failed, with what it said.
#[must_use]
pub fn run(script: &str, arguments: &[&str]) -> String {
    let output = command(script, arguments).output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Starts a script whose output is read line by line: for tests that do something meanwhile.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn start(script: &str, arguments: &[&str]) -> Chatty {
    Chatty::start(command(script, arguments))
}

/// The Python of the target directory that this test was built in.
fn python() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut places = own.ancestors().map(|place| place.join("clients/bin/python3"));
    places.find(|python| python.exists()).expect("the Python clients are missing: run ci/setup")
}
