//! Child processes that do not outlive their test.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A child whose output is read line by line and which is killed when dropped.
#[derive(Debug)]
pub struct Chatty {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Chatty {
    /// Starts it with its output piped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("output is piped"));
        Self { child, output }
    }

    /// The next whole line; `None` at the end of its output. A line that a kill cut is dropped.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// SIGKILL, then everything it had still said.
    pub fn kill(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let rest = std::iter::from_fn(|| self.line()).collect();
        let _ = self.child.wait();
        rest
    }
}

impl Drop for Chatty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
