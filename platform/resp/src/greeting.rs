//! `HELLO`: which protocol is spoken, and with whom.

use crate::COMPATIBLE_VERSION;
use crate::output::{Output, Protocol};
use crate::parse::{Command, number};
use crate::refusal::shown;
use alloc::format;
use alloc::string::String;

/// What a `HELLO` asks beside the protocol, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'b> {
    /// `SETNAME`: the client is called so.
    Name(&'b [u8]),
    /// `AUTH`: this user, which names a namespace.
    User(&'b [u8]),
}

/// The protocol that a `HELLO` asks for.
///
/// # Errors
/// There is no such protocol: what to answer, with its code.
pub fn protocol(command: &Command<'_, '_>, present: Protocol) -> Result<Protocol, &'static str> {
    match (command.len(), number(command.argument(1))) {
        (1, _) => Ok(present),
        (_, Some(2)) => Ok(Protocol::Two),
        (_, Some(3)) => Ok(Protocol::Three),
        (_, Some(_)) => Err("NOPROTO unsupported protocol version"),
        (_, None) => Err("ERR Protocol version is not an integer or out of range"),
    }
}

/// Goes through the options of a `HELLO`.
///
/// # Errors
/// What is wrong with an option, or what `grant` says.
pub fn wishes<'b>(
    command: &Command<'_, 'b>,
    mut grant: impl FnMut(Wish<'b>) -> Result<(), String>,
) -> Result<(), String> {
    let mut options = command.arguments_from(2);
    while let Some(option) = options.next() {
        match (option.to_ascii_lowercase().as_slice(), options.next()) {
            (b"setname", Some(name)) => grant(Wish::Name(name))?,
            (b"auth", Some(user)) => {
                options.next().ok_or_else(|| syntax_error(option))?;
                grant(Wish::User(user))?;
            }
            _ => return Err(syntax_error(option)),
        }
    }
    Ok(())
}

fn syntax_error(option: &[u8]) -> String {
    format!("Syntax error in HELLO option '{}'", shown(option))
}

/// Answers a `HELLO`: `role` as Redis calls it, `id` of the connection.
pub fn greet(output: &mut Output, role: &str, id: u64) {
    output.map(7);
    let words = |output: &mut Output, words: &[&str]| {
        words.iter().for_each(|word| output.bulk(word.as_bytes()));
    };
    words(output, &["server", "unisondb", "version", COMPATIBLE_VERSION, "proto"]);
    output.integer(if output.protocol == Protocol::Three { 3 } else { 2 });
    words(output, &["id"]);
    output.count(id);
    words(output, &["mode", "standalone", "role", role, "modules"]);
    output.array(0);
}
