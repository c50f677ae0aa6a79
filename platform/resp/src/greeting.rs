//! `HELLO`: which protocol is spoken, and with whom.

use crate::COMPATIBLE_VERSION;
use crate::output::{Output, Protocol};
use crate::parse::Command;
use crate::refusal::shown;
use alloc::borrow::ToOwned;
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

/// The protocol that a `HELLO` asks for; `None` for one that there is not.
#[must_use]
pub fn protocol(command: &Command<'_, '_>, present: Protocol) -> Option<Protocol> {
    match command.argument(1) {
        _ if command.len() == 1 => Some(present),
        b"2" => Some(Protocol::Two),
        b"3" => Some(Protocol::Three),
        _ => None,
    }
}

/// Answers a protocol that there is not.
pub fn unknown_protocol(output: &mut Output) {
    output.error("NOPROTO unsupported protocol version");
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
                let password = options.next();
                password.ok_or_else(|| "syntax error in HELLO option 'auth'".to_owned())?;
                grant(Wish::User(user))?;
            }
            _ => return Err(format!("syntax error in HELLO option '{}'", shown(option))),
        }
    }
    Ok(())
}

/// Answers a `HELLO`: `role` as Redis calls it, `id` of the connection.
pub fn greet(output: &mut Output, role: &str, id: u64) {
    output.map(7);
    for (name, value) in [
        ("server", "unisondb"),
        ("version", COMPATIBLE_VERSION),
        ("mode", "standalone"),
        ("role", role),
    ] {
        output.bulk(name.as_bytes());
        output.bulk(value.as_bytes());
    }
    output.bulk(b"proto");
    output.integer(if output.protocol == Protocol::Three { 3 } else { 2 });
    output.bulk(b"id");
    output.count(id);
    output.bulk(b"modules");
    output.array(0);
}
