//! What one caller has chosen, and how its commands are carried out.

use super::{CALLERS_MAX, Service};
use crate::block::BlockDevice;
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use unison_base::NamespaceName;
use unison_base::limits::VALUE_MAX;
use unison_resp::greeting::{self, Wish};
use unison_resp::output::{Output, Protocol};
use unison_resp::parse::{Command, INLINE_BYTES_MAX};
use unison_resp::refusal::{
    REPLIES_ALWAYS, ReadOnly, is_browser, refuse_subcommand, shown, unknown_command,
    wrong_arguments,
};
use unison_resp::table::{self, Kind, Verb};
use unison_resp::{describe, glob};

mod info;
mod reads;

use reads::Refused;

/// Longest name a caller may give itself, bytes.
const NAME_MAX: usize = 64;
/// What `CLIENT` has here.
const CLIENT_SUBCOMMANDS: [&str; 7] =
    ["getname", "id", "no-evict", "no-touch", "reply", "setinfo", "setname"];

/// One caller's state.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) output: Output,
    /// The connection ends after the replies.
    pub(super) closing: bool,
    /// The namespace that was chosen; the first one when none was.
    chosen: Option<NamespaceName>,
    name: String,
}

impl Session {
    /// Carries a command out and answers it.
    pub(super) fn carry_out<D: BlockDevice>(
        &mut self,
        command: &Command<'_, '_>,
        service: &mut Service<'_, '_, D>,
    ) {
        if command.is_empty() {
            return;
        }
        let Some(spec) = table::find(command.argument(0)) else {
            self.closing |= is_browser(command);
            return self.output.error(&unknown_command(command));
        };
        if !spec.takes(command.len()) {
            return self.output.error(&wrong_arguments(spec));
        }
        match spec.kind {
            Kind::Connection => self.about_the_connection(spec.verb, command, service),
            Kind::Write => {
                let why = ReadOnly { hub: service.view.hub() };
                self.output.error(&format!("READONLY {why}"));
            }
            Kind::Read => self.read(spec.verb, command, service),
        }
    }

    fn namespace<D: BlockDevice>(&self, service: &Service<'_, '_, D>) -> Option<NamespaceName> {
        self.chosen.clone().or_else(|| service.view.config.namespaces.first().cloned())
    }

    fn about_the_connection<D: BlockDevice>(
        &mut self,
        verb: Verb,
        command: &Command<'_, '_>,
        service: &Service<'_, '_, D>,
    ) {
        match verb {
            Verb::Ping if command.len() == 1 => self.output.simple("PONG"),
            Verb::Ping if command.len() > 2 => {
                self.output.err("wrong number of arguments for 'ping' command");
            }
            Verb::Ping | Verb::Echo => self.output.bulk(command.argument(1)),
            Verb::Quit => {
                self.output.ok();
                self.closing = true;
            }
            Verb::Auth if command.len() > 3 => self.output.err("syntax error"),
            Verb::Select | Verb::Auth => match self.choose(command.argument(1), service) {
                Ok(()) => self.output.ok(),
                Err(why) => self.output.err(why),
            },
            Verb::Reset => {
                (self.chosen, self.name) = (None, String::new());
                self.output.protocol = Protocol::Two;
                self.output.simple("RESET");
            }
            Verb::Hello => self.hello(command, service),
            Verb::Command => describe::command(command, &mut self.output),
            Verb::Client => self.client(command),
            Verb::Config => self.config(command, service),
            Verb::Info => {
                let text = info::text(self, command, service);
                self.output.verbatim(&text);
            }
            Verb::Time => self.time(service),
            Verb::Subscribe
            | Verb::Unsubscribe
            | Verb::PatternSubscribe
            | Verb::PatternUnsubscribe
            | Verb::PubSub => {
                self.output.err("this node tells of no changes; listen at its hub");
            }
            Verb::Multi | Verb::Exec | Verb::Discard | Verb::Unwatch => {
                self.output.err(Refused::Transactions);
            }
            // Nobody follows this node.
            _ => self.output.integer(0),
        }
    }

    /// `0` is the first namespace, any other word is a name.
    fn choose<D: BlockDevice>(
        &mut self,
        name: &[u8],
        service: &Service<'_, '_, D>,
    ) -> Result<(), String> {
        let known = &service.view.config.namespaces;
        let found = match name {
            b"0" => known.first(),
            name => known.iter().find(|known| known.as_str().as_bytes() == name),
        };
        let missing = || format!("namespace {} is not followed by this node", shown(name));
        self.chosen = Some(found.ok_or_else(missing)?.clone());
        Ok(())
    }

    fn hello<D: BlockDevice>(&mut self, command: &Command<'_, '_>, service: &Service<'_, '_, D>) {
        let protocol = match greeting::protocol(command, self.output.protocol) {
            Ok(protocol) => protocol,
            Err(why) => return self.output.error(why),
        };
        let granted = greeting::wishes(command, |wish| match wish {
            Wish::Name(name) => self.set_name(name),
            Wish::User(user) => self.choose(user, service),
        });
        match granted {
            Ok(()) => {
                self.output.protocol = protocol;
                greeting::greet(&mut self.output, "replica", 0);
            }
            Err(why) => self.output.err(why),
        }
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), String> {
        let printable = name.len() <= NAME_MAX && name.iter().all(u8::is_ascii_graphic);
        let refused =
            || format!("a client name is printable, without spaces, at most {NAME_MAX} bytes");
        self.name =
            printable.then(|| String::from_utf8_lossy(name).into_owned()).ok_or_else(refused)?;
        Ok(())
    }

    fn client(&mut self, command: &Command<'_, '_>) {
        let (subcommand, argument) =
            (command.argument(1).to_ascii_lowercase(), command.argument(2));
        match (subcommand.as_slice(), command.len()) {
            (b"id", 2) => self.output.integer(0),
            (b"getname", 2) if self.name.is_empty() => self.output.null(),
            (b"getname", 2) => self.output.bulk(self.name.as_bytes()),
            (b"setname", 3) => match self.set_name(argument) {
                Ok(()) => self.output.ok(),
                Err(why) => self.output.err(why),
            },
            (b"setinfo", 4) | (b"no-evict" | b"no-touch", 3) => self.output.ok(),
            (b"reply", 3) if argument.eq_ignore_ascii_case(b"on") => self.output.ok(),
            (b"reply", 3) => self.output.err(REPLIES_ALWAYS),
            _ => refuse_subcommand(&mut self.output, command, &CLIENT_SUBCOMMANDS),
        }
    }

    fn config<D: BlockDevice>(&mut self, command: &Command<'_, '_>, service: &Service<'_, '_, D>) {
        let subcommand = command.argument(1).to_ascii_lowercase();
        match (subcommand.as_slice(), command.len()) {
            (b"get", 3..) => {}
            (b"set" | b"rewrite" | b"resetstat", _) => {
                return self.output.err("settings are given when the node boots: boot arguments");
            }
            _ => return refuse_subcommand(&mut self.output, command, &["get"]),
        }
        let wanted = |name: &str| {
            let mut patterns = command.arguments_from(2);
            patterns.any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
        };
        let mut settings = settings(service);
        settings.retain(|(name, _)| wanted(name));
        self.output.map(settings.len());
        for (name, value) in settings {
            self.output.bulk(name.as_bytes());
            self.output.bulk(value.as_bytes());
        }
    }

    fn time<D: BlockDevice>(&mut self, service: &Service<'_, '_, D>) {
        let Some(wall_ms) = service.view.wall_ms() else {
            return self
                .output
                .err("this node has no clock, and its hub has not said the time yet");
        };
        self.output.array(2);
        self.output.bulk((wall_ms / 1_000).to_string().as_bytes());
        self.output.bulk((wall_ms % 1_000 * 1_000).to_string().as_bytes());
    }
}

/// What is true of this server, under the names Redis has for it.
fn settings<D: BlockDevice>(service: &Service<'_, '_, D>) -> Vec<(&'static str, String)> {
    let config = service.view.config;
    Vec::from([
        ("appendfsync", "always".to_owned()),
        ("appendonly", "yes".to_owned()),
        ("databases", config.namespaces.len().to_string()),
        ("maxclients", CALLERS_MAX.to_string()),
        ("maxmemory", service.view.heap.figures().budget.to_string()),
        ("maxmemory-policy", "noeviction".to_owned()),
        ("port", config.resp.unwrap_or_default().to_string()),
        ("proto-inline-max-len", INLINE_BYTES_MAX.to_string()),
        ("proto-max-bulk-len", VALUE_MAX.to_string()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ])
}
