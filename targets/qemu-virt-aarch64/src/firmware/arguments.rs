//! Boot arguments that are for the board; all others are the node's.

use crate::firmware::machine::ARGUMENTS_MAX;
use heapless::String;

/// What the board's arguments begin with.
const PREFIX: &str = "board.";

/// Boot arguments, taken apart.
pub(crate) struct Arguments {
    /// Those for the node, with a blank between them.
    pub(crate) node: String<ARGUMENTS_MAX>,
    /// When a test wants a panic, milliseconds after the start.
    #[cfg(feature = "provoke-panic")]
    pub(crate) panic_after_ms: Option<u64>,
}

/// An argument of the board that it does not know, or whose value it does not understand.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the boot argument '{0}' is not known to this board, or its value is no number")]
pub(crate) struct Unknown<'a>(&'a str);

/// Takes the board's arguments out.
pub(crate) fn parse(all: &str) -> Result<Arguments, Unknown<'_>> {
    let mut arguments = Arguments {
        node: String::new(),
        #[cfg(feature = "provoke-panic")]
        panic_after_ms: None,
    };
    for argument in all.split_ascii_whitespace() {
        match argument.strip_prefix(PREFIX) {
            Some(ours) => arguments.take(ours).ok_or(Unknown(argument))?,
            None => arguments.pass(argument).map_err(|_| Unknown(argument))?,
        }
    }
    Ok(arguments)
}

impl Arguments {
    /// Never fails: it is not longer than what it was taken from.
    fn pass(&mut self, argument: &str) -> core::fmt::Result {
        use core::fmt::Write;
        let blank = if self.node.is_empty() { "" } else { " " };
        write!(self.node, "{blank}{argument}")
    }

    #[cfg(feature = "provoke-panic")]
    fn take(&mut self, argument: &str) -> Option<()> {
        let seconds = argument.strip_prefix("panic-after=")?.parse::<u64>().ok()?;
        self.panic_after_ms = Some(seconds.saturating_mul(1_000));
        Some(())
    }

    #[cfg(not(feature = "provoke-panic"))]
    fn take(&mut self, _argument: &str) -> Option<()> {
        None
    }
}
