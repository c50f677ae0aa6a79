//! Commands about the connection itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Session, introspection::COMPATIBLE_VERSION, shown};
use crate::DEFAULT_NAMESPACE;
use crate::resp::clients::shown_name;
use crate::resp::output::Protocol;
use crate::resp::parse::Command;

pub(in crate::resp) fn ping(session: &mut Session, command: &Command<'_, '_>) {
    match command.len() {
        1 => session.output.simple("PONG"),
        2 => session.output.bulk(command.argument(1)),
        _ => session.output.err("wrong number of arguments for 'ping' command"),
    }
}

pub(in crate::resp) fn echo(session: &mut Session, command: &Command<'_, '_>) {
    session.output.bulk(command.argument(1));
}

pub(in crate::resp) fn quit(session: &mut Session, _: &Command<'_, '_>) {
    session.output.ok();
    session.closing = true;
}

pub(in crate::resp) fn time(session: &mut Session, _: &Command<'_, '_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    session.output.array(2);
    session.output.bulk(now.as_secs().to_string().as_bytes());
    session.output.bulk(now.subsec_micros().to_string().as_bytes());
}

pub(in crate::resp) fn flush(session: &mut Session, _: &Command<'_, '_>) {
    let name = session.namespace.name();
    session.output.err(format_args!(
        "refused: every follower would lose its data too; to drop the namespace, DELETE /api/v1/{name} over HTTP"
    ));
}

/// `SELECT 0` is the namespace that always exists; any other number or name is the name itself.
pub(in crate::resp) fn select(session: &mut Session, command: &Command<'_, '_>) {
    let name = command.argument(1);
    choose(session, if name == b"0" { DEFAULT_NAMESPACE.as_bytes() } else { name });
}

/// `AUTH namespace`, or `AUTH namespace password` as clients send it who are given a user. The
/// password is not looked at: this names a namespace and proves no identity.
pub(in crate::resp) fn auth(session: &mut Session, command: &Command<'_, '_>) {
    match command.len() {
        2 | 3 => choose(session, command.argument(1)),
        _ => session.output.err("syntax error"),
    }
}

fn choose(session: &mut Session, name: &[u8]) {
    match find(session, name) {
        Ok(()) => session.output.ok(),
        Err(why) => session.output.err(why),
    }
}

fn find(session: &mut Session, name: &[u8]) -> Result<(), String> {
    let store = &session.server.node.store;
    let found = std::str::from_utf8(name).ok().and_then(|name| store.namespace(name));
    let missing =
        || format!("namespace {} does not exist; POST /api/v1 over HTTP makes it", shown(name));
    session.choose(found.ok_or_else(missing)?);
    Ok(())
}

pub(in crate::resp) fn reset(session: &mut Session, _: &Command<'_, '_>) {
    session.set_protocol(Protocol::Two);
    session.client.say(|said| said.name.clear());
    match find(session, DEFAULT_NAMESPACE.as_bytes()) {
        Ok(()) => session.output.simple("RESET"),
        Err(why) => session.output.err(why),
    }
}

/// `HELLO [2 | 3] [AUTH user password] [SETNAME name]`.
pub(in crate::resp) fn hello(session: &mut Session, command: &Command<'_, '_>) {
    let protocol = match command.argument(1) {
        _ if command.len() == 1 => session.output.protocol,
        b"2" => Protocol::Two,
        b"3" => Protocol::Three,
        _ => return session.output.error("NOPROTO unsupported protocol version"),
    };
    if let Err(why) = hello_options(session, command) {
        return session.output.err(why);
    }
    session.set_protocol(protocol);
    let (id, role) = (session.client.id, session.server.redis_role());
    let output = &mut session.output;
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
    output.integer(if protocol == Protocol::Three { 3 } else { 2 });
    output.bulk(b"id");
    output.count(id);
    output.bulk(b"modules");
    output.array(0);
}

fn hello_options(session: &mut Session, command: &Command<'_, '_>) -> Result<(), String> {
    let mut options = command.arguments_from(2);
    while let Some(option) = options.next() {
        match (option.to_ascii_lowercase().as_slice(), options.next()) {
            (b"setname", Some(name)) => {
                let name = shown_name(name).ok_or("a client name is printable, without spaces")?;
                session.client.say(|said| said.name = name);
            }
            (b"auth", Some(user)) => {
                options.next().ok_or("syntax error in HELLO option 'auth'")?;
                find(session, user)?;
            }
            _ => return Err(format!("syntax error in HELLO option '{}'", shown(option))),
        }
    }
    Ok(())
}

pub(in crate::resp) use super::describe::command;
