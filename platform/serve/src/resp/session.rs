//! What one connection has chosen, and how its commands are carried out.

use std::sync::{Arc, Weak};

use unison_base::Lsn;
use unison_linux::store::{Namespace, Reader};
use unison_resp::output::{Output, Protocol};
use unison_resp::parse::Command;
use unison_resp::refusal::{is_browser, shown, unknown_command, wrong_arguments};
use unison_resp::table::{self, Kind, Spec};
use unison_resp::transactions::Watched;

use super::clients::Client;
use super::run::Run;
use super::server::Shared;
use super::table::{Act, act_of};
use crate::DEFAULT_NAMESPACE;
use crate::budget::Share;

/// What the table names: everything a command can do.
pub(super) mod act {
    pub(in crate::resp) use super::changes::{append, decrement, increment};
    pub(in crate::resp) use super::connection::{
        auth, echo, flush, hello, ping, quit, reset, select, time,
    };
    pub(in crate::resp) use super::expiry::{expire, get_and_expire, persist};
    pub(in crate::resp) use super::hashes::{
        hdel, hexists, hget, hgetall, hkeys, hlen, hmget, hmset, hscan, hset, hstrlen, hvals,
    };
    pub(in crate::resp) use super::introspection::{client, config};
    pub(in crate::resp) use super::listening::{
        psubscribe, pubsub, punsubscribe, subscribe, unsubscribe,
    };
    pub(in crate::resp) use super::reads::{
        count, exists, get, getrange, keys, kind_of, mget, strlen, ttl,
    };
    pub(in crate::resp) use super::scan::scan;
    pub(in crate::resp) use super::transaction::{discard, multi, unwatch, watch};
    pub(in crate::resp) use super::writes::{
        del, getdel, getset, mset, publish, set, setex, setnx,
    };
    pub(in crate::resp) use unison_resp::describe::command;
}

mod changes;
mod connection;
mod expiry;
mod hashes;
mod info;
mod introspection;
mod later;
mod listening;
mod looking;
mod reads;
mod scan;
mod transaction;
mod writes;

pub(super) use changes::Plan;
pub(super) use later::Later;
use listening::Listening;
pub(super) use looking::Look;
use transaction::Multi;

/// Puts a write into the run.
pub(super) type Queue = for<'b> fn(&Command<'_, 'b>, &mut Run<'b>) -> Result<(), Instead>;
/// Answers a command that needs nothing but its words.
pub(super) type Say = fn(&Command<'_, '_>, &mut Output);
/// Answers a command about the connection.
pub(super) type Reply = fn(&mut Session, &Command<'_, '_>);

/// What happens instead of joining the run.
pub(super) enum Instead {
    /// An error, without its code `ERR`.
    Refuse(String),
    /// It has to look before it writes.
    Change(Plan),
    /// There is nothing to be done for it: it answers 0 in its turn.
    Zero,
}

/// What remains to be done for a command, after the run before it is finished.
pub(super) enum Rest {
    /// An error, with its code.
    Refuse(String),
    /// The number 0.
    Zero,
    /// Everything.
    Act(Act),
}

/// One connection's state.
pub(super) struct Session {
    pub(super) server: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) namespace: Arc<Namespace>,
    /// The chosen namespace was dropped.
    gone: bool,
    pub(super) output: Output,
    /// The output's part of what the replies of all transactions may hold, once they are many.
    pub(super) replies: Share,
    /// Newest record this connection wrote: what `WAIT` waits for.
    last_written: Lsn,
    /// Channels that it listens to.
    listening: Listening,
    /// Commands that wait for `EXEC`, between `MULTI` and that.
    multi: Option<Multi>,
    /// Keys that must not change until the next `EXEC`.
    watched: Watched,
    /// The namespace that they are in.
    watched_in: Weak<Namespace>,
    /// The connection ends after the replies.
    pub(super) closing: bool,
}

impl Session {
    /// A new connection's state, or `None` when the default namespace does not exist.
    pub(super) fn new(server: Arc<Shared>, client: Arc<Client>) -> Option<Self> {
        let namespace = server.node.store.namespace(DEFAULT_NAMESPACE)?;
        let mut session = Self {
            listening: Listening::new(&server),
            replies: server.node.replies.share(),
            server,
            client,
            namespace,
            gone: false,
            output: Output::default(),
            last_written: Lsn::ZERO,
            multi: None,
            watched: Watched::default(),
            watched_in: Weak::new(),
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
            self.refuse_transaction();
            return Some(self.unknown(command));
        };
        if let Some(refusal) = self.refusal(spec, command) {
            self.refuse_transaction();
            return Some(Rest::Refuse(refusal));
        }
        if self.multi.is_some() && !spec.is_never_queued() {
            self.queue(spec, command);
            return None;
        }
        match act_of(spec.verb) {
            Act::Queue(queue) => match queue(command, run) {
                Ok(()) => None,
                Err(Instead::Refuse(why)) => Some(Rest::Refuse(format!("ERR {why}"))),
                Err(Instead::Change(plan)) => Some(Rest::Act(Act::Change(plan))),
                Err(Instead::Zero) => Some(Rest::Zero),
            },
            Act::Say(_) | Act::Now(_) | Act::Look(_) if run.is_empty() => {
                self.answer(act_of(spec.verb), command);
                None
            }
            act => Some(Rest::Act(act)),
        }
    }

    /// Does what `begin` left.
    pub(super) async fn complete(&mut self, command: &Command<'_, '_>, rest: Rest) {
        match rest {
            Rest::Refuse(why) => self.output.error(&why),
            Rest::Zero => self.output.integer(0),
            Rest::Act(Act::Change(plan)) => self.change(plan, command).await,
            Rest::Act(Act::LookAside(look)) => self.look_aside(look, command).await,
            Rest::Act(Act::Later(later)) => self.wait_for(later, command).await,
            Rest::Act(act) => self.answer(act, command),
        }
    }

    /// Answers what neither waits nor writes.
    fn answer(&mut self, act: Act, command: &Command<'_, '_>) {
        match act {
            Act::Say(_) if self.answers_look_like_messages() => {
                connection::ping_among_messages(command, &mut self.output);
            }
            Act::Say(say) => say(command, &mut self.output),
            Act::Now(reply) => reply(self, command),
            Act::Look(look) => self.look(look, command),
            Act::Queue(_) | Act::Change(_) | Act::LookAside(_) | Act::Later(_) => {}
        }
    }

    /// A panic took the answers that waited: the connection has no known state.
    fn answers_are_lost(&mut self, protocol: Protocol) {
        self.output.protocol = protocol;
        self.output.err("the answer was given up");
        self.closing = true;
    }

    /// Stages the run, waits for its acknowledgement and answers it.
    pub(super) async fn finish(&mut self, run: &mut Run<'_>) {
        if run.is_empty() {
            return;
        }
        if let Some(newest) =
            run.finish(&self.namespace, &self.server.audience, &mut self.output).await
        {
            self.last_written = newest;
        }
    }

    /// Why a known command is not carried out, as an error with its code.
    fn refusal(&self, spec: &Spec, command: &Command<'_, '_>) -> Option<String> {
        if !spec.takes(command.len()) {
            return Some(wrong_arguments(spec));
        }
        if self.answers_look_like_messages() && !spec.is_allowed_while_subscribed() {
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

    /// Whether its client, which has subscribed in RESP2, takes every answer for a message.
    fn answers_look_like_messages(&self) -> bool {
        !self.listening.is_empty() && self.output.protocol == Protocol::Two
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
