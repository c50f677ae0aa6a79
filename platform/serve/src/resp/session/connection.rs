//! Commands about the connection itself.

use std::time::{SystemTime, UNIX_EPOCH};

use unison_resp::greeting::{self, Wish};
use unison_resp::output::{Output, Protocol};
use unison_resp::parse::Command;

use super::{Session, shown};
use crate::DEFAULT_NAMESPACE;
use crate::resp::clients::{UNPRINTABLE_NAME, shown_name};

pub(in crate::resp) fn ping(command: &Command<'_, '_>, output: &mut Output) {
    match command.len() {
        1 => output.simple("PONG"),
        2 => output.bulk(command.argument(1)),
        _ => output.err("wrong number of arguments for 'ping' command"),
    }
}

/// `PING` where an answer has to look like a message.
pub(super) fn ping_among_messages(command: &Command<'_, '_>, output: &mut Output) {
    output.array(2);
    output.bulk(b"pong");
    output.bulk(command.argument(1));
}

pub(in crate::resp) fn echo(command: &Command<'_, '_>, output: &mut Output) {
    output.bulk(command.argument(1));
}

pub(in crate::resp) fn quit(session: &mut Session, _: &Command<'_, '_>) {
    session.output.ok();
    session.closing = true;
}

pub(in crate::resp) fn time(_: &Command<'_, '_>, output: &mut Output) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    output.array(2);
    output.bulk(now.as_secs().to_string().as_bytes());
    output.bulk(now.subsec_micros().to_string().as_bytes());
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
    let found = found.ok_or_else(missing)?;
    if !session.listening.is_empty() && found.name() != session.namespace.name() {
        return Err("unsubscribe first: channels are of the namespace chosen".to_owned());
    }
    if !session.watched.is_empty() && found.name() != session.namespace.name() {
        return Err("UNWATCH first: keys are watched in the namespace chosen".to_owned());
    }
    session.choose(found);
    Ok(())
}

pub(in crate::resp) fn reset(session: &mut Session, _: &Command<'_, '_>) {
    session.listening.clear();
    session.forget_transaction();
    session.set_protocol(Protocol::Two);
    session.client.say(|said| said.name.clear());
    match find(session, DEFAULT_NAMESPACE.as_bytes()) {
        Ok(()) => session.output.simple("RESET"),
        Err(why) => session.output.err(why),
    }
}

/// `HELLO [2 | 3] [AUTH user password] [SETNAME name]`.
pub(in crate::resp) fn hello(session: &mut Session, command: &Command<'_, '_>) {
    let protocol = match greeting::protocol(command, session.output.protocol) {
        Ok(protocol) => protocol,
        Err(why) => return session.output.error(why),
    };
    if let Err(why) = greeting::wishes(command, |wish| grant(session, wish)) {
        return session.output.err(why);
    }
    session.set_protocol(protocol);
    let (id, role) = (session.client.id, session.server.redis_role());
    greeting::greet(&mut session.output, role, id);
}

fn grant(session: &mut Session, wish: Wish<'_>) -> Result<(), String> {
    match wish {
        Wish::Name(name) => {
            let name = shown_name(name).ok_or(UNPRINTABLE_NAME)?;
            session.client.say(|said| said.name = name);
            Ok(())
        }
        Wish::User(user) => find(session, user),
    }
}
