//! What one connection has chosen, and how its commands are carried out.

use std::sync::Arc;

use unison_base::Lsn;
use unison_linux::store::{Namespace, Reader};
use unison_resp::output::{Output, Protocol};
use unison_resp::parse::Command;
use unison_resp::refusal::{is_browser, shown, unknown_command, wrong_arguments};
use unison_resp::table::{self, Kind, Spec};

use super::clients::Client;
use super::run::Run;
use super::server::Shared;
use super::table::{Act, act_of};
use crate::DEFAULT_NAMESPACE;

/// What the table names: everything a command can do.
pub(super) mod act {
    pub(in crate::resp) use super::connection::{
        auth, command, echo, flush, hello, ping, quit, reset, select, time,
    };
    pub(in crate::resp) use super::hashes::{
        hdel, hexists, hget, hmget, hmset, hscan, hset, hstrlen,
    };
    pub(in crate::resp) use super::introspection::{client, config};
    pub(in crate::resp) use super::listening::{
        psubscribe, pubsub, punsubscribe, subscribe, unsubscribe,
    };
    pub(in crate::resp) use super::reads::{exists, get, getrange, kind_of, mget, strlen, ttl};
    pub(in crate::resp) use super::scan::scan;
    pub(in crate::resp) use super::writes::{del, getdel, getset, mset, set, setex, setnx};
}

mod connection;
mod expiry;
mod hashes;
mod info;
mod introspection;
mod later;
mod listening;
mod reads;
mod scan;
mod writes;

pub(super) use later::Later;
use listening::Listening;

/// Puts a write into the run.
pub(super) type Queue = for<'b> fn(&Command<'_, 'b>, &mut Run<'b>) -> Result<(), Instead>;
/// Answers a command.
pub(super) type Reply = fn(&mut Session, &Command<'_, '_>);

/// What happens instead of joining the run.
pub(super) enum Instead {
    /// An error, without its code `ERR`.
    Refuse(String),
    /// It has to wait for something.
    Wait(Later),
}

/// What remains to be done for a command, after the run before it is finished.
pub(super) enum Rest {
    /// An error, with its code.
    Refuse(String),
    /// Answer it.
    Answer(Reply),
    /// Wait for it.
    Wait(Later),
}

/// One connection's state.
pub(super) struct Session {
    pub(super) server: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) namespace: Arc<Namespace>,
    /// The chosen namespace was dropped.
    gone: bool,
    pub(super) output: Output,
    /// Newest record this connection wrote: what `WAIT` waits for.
    last_written: Lsn,
    /// Channels that it listens to.
    listening: Listening,
    /// The connection ends after the replies.
    pub(super) closing: bool,
}

impl Session {
    /// A new connection's state, or `None` when the default namespace does not exist.
    pub(super) fn new(server: Arc<Shared>, client: Arc<Client>) -> Option<Self> {
        let namespace = server.node.store.namespace(DEFAULT_NAMESPACE)?;
        let mut session = Self {
            listening: Listening::new(&server),
            server,
            client,
            namespace,
            gone: false,
            output: Output::default(),
            last_written: Lsn::ZERO,
            closing: false,
        };
        session.choose(Arc::clone(&session.namespace));
        Some(session)
    }

    /// Reads of the chosen namespace, at this moment.
    fn reader(&self) -> Reader {
        self.namespace.reader()
    }

    /// Takes note of namespaces dropped or made anew since the last batch.
    pub(super) fn refresh(&mut self) {
        match self.server.node.store.namespace(self.namespace.name().as_str()) {
            Some(present) if Arc::ptr_eq(&present, &self.namespace) => self.gone = false,
            Some(present) => self.choose(present),
            None => self.gone = true,
        }
    }

    fn choose(&mut self, namespace: Arc<Namespace>) {
        self.client.say(|said| said.namespace = namespace.name().to_string());
        self.namespace = namespace;
        self.gone = false;
        self.last_written = Lsn::ZERO;
    }

    /// Carries a command out as far as that is possible without waiting. What is left has to be
    /// given to [`Session::complete`] once the run is finished.
    pub(super) fn begin<'b>(
        &mut self,
        command: &Command<'_, 'b>,
        run: &mut Run<'b>,
    ) -> Option<Rest> {
        if command.is_empty() {
            return None;
        }
        let Some(spec) = table::find(command.argument(0)) else {
            return Some(self.unknown(command));
        };
        if let Some(refusal) = self.refusal(spec, command) {
            return Some(Rest::Refuse(refusal));
        }
        match act_of(spec.verb) {
            Act::Queue(queue) => match queue(command, run) {
                Ok(()) => None,
                Err(Instead::Refuse(why)) => Some(Rest::Refuse(format!("ERR {why}"))),
                Err(Instead::Wait(later)) => Some(Rest::Wait(later)),
            },
            Act::Now(reply) if run.is_empty() => {
                reply(self, command);
                None
            }
            Act::Now(reply) => Some(Rest::Answer(reply)),
            Act::Later(later) => Some(Rest::Wait(later)),
        }
    }

    /// Does what `begin` left.
    pub(super) async fn complete(&mut self, command: &Command<'_, '_>, rest: Rest) {
        match rest {
            Rest::Refuse(why) => self.output.error(&why),
            Rest::Answer(reply) => reply(self, command),
            Rest::Wait(later) => self.wait_for(later, command).await,
        }
    }

    /// Stages the run, waits for its acknowledgement and answers it.
    pub(super) async fn finish(&mut self, run: &mut Run<'_>) {
        if run.is_empty() {
            return;
        }
        if let Some(newest) = run.finish(&self.namespace, &mut self.output).await {
            self.last_written = newest;
        }
    }

    /// Why a known command is not carried out, as an error with its code.
    fn refusal(&self, spec: &Spec, command: &Command<'_, '_>) -> Option<String> {
        if !spec.takes(command.len()) {
            return Some(wrong_arguments(spec));
        }
        if !self.listening.is_empty()
            && self.output.protocol == Protocol::Two
            && !spec.is_allowed_while_subscribed()
        {
            let name = spec.name;
            return Some(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            ));
        }
        if spec.kind == Kind::Connection {
            return None;
        }
        if self.gone {
            return Some(format!("ERR namespace {} was dropped", self.namespace.name()));
        }
        let writes = spec.kind == Kind::Write;
        let why = writes.then(|| self.server.node.read_only()).flatten()?;
        Some(format!("READONLY {why}"))
    }

    fn unknown(&mut self, command: &Command<'_, '_>) -> Rest {
        self.closing |= is_browser(command);
        Rest::Refuse(unknown_command(command))
    }

    fn set_protocol(&mut self, protocol: Protocol) {
        self.output.protocol = protocol;
        let number = if protocol == Protocol::Three { 3 } else { 2 };
        self.client.say(|said| said.protocol = number);
    }
}
