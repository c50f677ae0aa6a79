//! What a client is told whose command is not carried out: the same text on every platform.

use crate::output::Output;
use crate::parse::Command;
use crate::table::Spec;
use alloc::format;
use alloc::string::String;
use core::fmt::Display;

/// What a client is told that wants no replies, or some only.
pub const REPLIES_ALWAYS: &str = "every command is answered: CLIENT REPLY ON is all there is";

/// Most bytes of a client's word that an error shows.
const SHOWN_BYTES_MAX: usize = 128;

/// Why a node that follows a hub takes no write. Over RESP it stands behind `READONLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node only reads; write to the hub whose link is {hub}")]
pub struct ReadOnly<H: Display> {
    /// Where to write.
    pub hub: H,
}

/// The refusal of a caller beyond the most that are served, as it goes over the line.
#[must_use]
pub fn too_many_callers(limit: usize) -> String {
    format!("-ERR max number of clients reached, the limit is {limit} connections\r\n")
}

/// The refusal of a command with too few or too many arguments, with its code.
#[must_use]
pub fn wrong_arguments(spec: &Spec) -> String {
    format!("ERR wrong number of arguments for '{}' command", spec.name)
}

/// The refusal of a command that there is not, with its code.
#[must_use]
pub fn unknown_command(command: &Command<'_, '_>) -> String {
    let arguments: String =
        command.arguments_from(1).take(3).map(|word| format!("'{}' ", shown(word))).collect();
    let name = shown(command.argument(0));
    format!("ERR unknown command '{name}', with args beginning with: {arguments}")
}

/// Whether this is what a browser sends when a page makes it talk to this port: it is not to be
/// listened to any longer.
#[must_use]
pub fn is_browser(command: &Command<'_, '_>) -> bool {
    let name = command.argument(0);
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Refuses a command whose subcommand there is not among `known`, in small letters, or which has too
/// few or too many arguments for it.
pub fn refuse_subcommand(output: &mut Output, command: &Command<'_, '_>, known: &[&str]) {
    let (of, name) = (shown(command.argument(0)), shown(command.argument(1)));
    match known.iter().find(|known| name.eq_ignore_ascii_case(known)) {
        Some(known) => output.err(format_args!(
            "wrong number of arguments for '{}|{known}' command",
            of.to_ascii_lowercase()
        )),
        None => output.err(format_args!(
            "unknown subcommand '{name}'. {} has {}.",
            of.to_ascii_uppercase(),
            known.join(" ").to_ascii_uppercase()
        )),
    }
}

/// Bytes of a client as an error shows them: not too many, on one line.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(start).replace(char::is_control, ".")
}

#[cfg(test)]
mod tests {
    use super::{ReadOnly, shown};
    use alloc::string::ToString;

    #[test]
    fn the_hub_is_named() {
        let text = ReadOnly { hub: "10.0.2.2:4003" }.to_string();
        assert_eq!(text, "this node only reads; write to the hub whose link is 10.0.2.2:4003");
    }

    #[test]
    fn what_a_client_said_stays_on_one_line_and_short() {
        assert_eq!(shown(b"a\r\nb\0"), "a..b.");
        assert_eq!(shown(&[b'x'; 1_000]).len(), 128);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }
}
