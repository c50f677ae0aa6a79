//! `CLIENT` and `CONFIG`.

use unison_base::limits::{NAMESPACES_MAX, VALUE_MAX};
use unison_linux::store::Durability;
use unison_resp::glob;
use unison_resp::parse::{COMMAND_BYTES_MAX, Command, INLINE_BYTES_MAX};
use unison_resp::refusal::{REPLIES_ALWAYS, refuse_subcommand};

use super::{Session, shown};
use crate::resp::clients::{UNPRINTABLE_NAME, shown_name};

pub(in crate::resp) fn client(session: &mut Session, command: &Command<'_, '_>) {
    let client = std::sync::Arc::clone(&session.client);
    let (subcommand, argument) = (command.argument(1).to_ascii_lowercase(), command.argument(2));
    match (subcommand.as_slice(), command.len()) {
        (b"id", 2) => session.output.count(client.id),
        (b"getname", 2) if client.said().name.is_empty() => session.output.null(),
        (b"getname", 2) => session.output.bulk(client.said().name.as_bytes()),
        (b"info", 2) => session.output.verbatim(&(client.line() + "\n")),
        (b"list", _) => session.output.verbatim(&session.server.clients.list()),
        (b"setname", 3) => set_name(session, argument),
        (b"setinfo", 4) => set_info(session, argument, command.argument(3)),
        (b"no-evict" | b"no-touch", 3) if is_switch(argument) => session.output.ok(),
        (b"no-evict" | b"no-touch", 3) => session.output.err("syntax error"),
        (b"reply", 3) if argument.eq_ignore_ascii_case(b"on") => session.output.ok(),
        (b"reply", 3) => session.output.err(REPLIES_ALWAYS),
        (b"tracking", 3..) if argument.eq_ignore_ascii_case(b"off") => session.output.ok(),
        (b"tracking", 3..) => session.output.err(NO_TRACKING),
        _ => refuse_subcommand(&mut session.output, command, &CLIENT_SUBCOMMANDS),
    }
}

const NO_TRACKING: &str = "clients are not told what to forget; SUBSCRIBE to __keyspace@0__:<key> tells them what was written";

const CLIENT_SUBCOMMANDS: [&str; 10] = [
    "getname", "id", "info", "list", "no-evict", "no-touch", "reply", "setinfo", "setname",
    "tracking",
];

fn is_switch(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"on") || word.eq_ignore_ascii_case(b"off")
}

fn set_name(session: &mut Session, name: &[u8]) {
    match shown_name(name) {
        Some(name) => {
            session.client.say(|said| said.name = name);
            session.output.ok();
        }
        None => session.output.err(UNPRINTABLE_NAME),
    }
}

fn set_info(session: &mut Session, attribute: &[u8], value: &[u8]) {
    let Some(value) = shown_name(value) else {
        return session.output.err("a library is named without spaces or special characters");
    };
    match attribute.to_ascii_lowercase().as_slice() {
        b"lib-name" => session.client.say(|said| said.library = value),
        b"lib-ver" => session.client.say(|said| said.library_version = value),
        other => {
            return session.output.err(format_args!("Unrecognized option '{}'", shown(other)));
        }
    }
    session.output.ok();
}

pub(in crate::resp) fn config(session: &mut Session, command: &Command<'_, '_>) {
    let subcommand = command.argument(1).to_ascii_lowercase();
    match (subcommand.as_slice(), command.len()) {
        (b"get", 3..) => config_get(session, command),
        // They are always on: a client that asks for them has them.
        (b"set", 4) if command.argument(2).eq_ignore_ascii_case(NOTIFICATIONS.as_bytes()) => {
            session.output.ok();
        }
        (b"set", 4..) | (b"rewrite" | b"resetstat", 2) => session.output.err(
            "settings are given when the server starts: flags, UNISON_ variables or the configuration file",
        ),
        _ => refuse_subcommand(&mut session.output, command, &["get", "set"]),
    }
}

fn config_get(session: &mut Session, command: &Command<'_, '_>) {
    let wanted = |name: &str| {
        command
            .arguments_from(2)
            .any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let mut settings = settings(session);
    settings.retain(|(name, _)| wanted(name));
    session.output.map(settings.len());
    for (name, value) in settings {
        session.output.bulk(name.as_bytes());
        session.output.bulk(value.as_bytes());
    }
}

/// The setting that switches keyspace notifications on in Redis.
const NOTIFICATIONS: &str = "notify-keyspace-events";

/// What is true of this server, under the names Redis has for it.
fn settings(session: &Session) -> Vec<(&'static str, String)> {
    let sync = match session.namespace.durability() {
        Durability::Always => "always",
        Durability::Interval { .. } => "everysec",
        Durability::Never => "no",
    };
    let server = &session.server;
    vec![
        ("appendfsync", sync.to_owned()),
        ("appendonly", "yes".to_owned()),
        ("client-query-buffer-limit", COMMAND_BYTES_MAX.to_string()),
        ("databases", NAMESPACES_MAX.to_string()),
        ("dir", server.node.store.data_dir().display().to_string()),
        ("maxclients", server.gate.limit().to_string()),
        ("maxmemory", "0".to_owned()),
        ("maxmemory-policy", "noeviction".to_owned()),
        (NOTIFICATIONS, "AKE".to_owned()),
        ("port", server.port.to_string()),
        ("proto-inline-max-len", INLINE_BYTES_MAX.to_string()),
        ("proto-max-bulk-len", VALUE_MAX.to_string()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ]
}
