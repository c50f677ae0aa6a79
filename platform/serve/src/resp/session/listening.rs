//! `SUBSCRIBE` and its relatives.

use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;

use unison_engine::{ChangeFilter, ChangeId, Reached};
use unison_resp::glob;
use unison_resp::parse::Command;
use unison_resp::refusal::refuse_subcommand;
use unison_resp::subscriptions::{Sort, Subscriptions};

use super::Session;
use crate::resp::audience::Audience;
use crate::resp::server::Shared;
use crate::watch::{Ended, Watcher};

/// What one connection listens to. The cursor is there while it listens to anything.
pub(super) struct Listening {
    audience: Arc<Audience>,
    subscriptions: Subscriptions,
    watcher: Option<Watcher>,
}

impl Listening {
    pub(super) fn new(server: &Shared) -> Self {
        let audience = Arc::clone(&server.audience);
        Self { audience, subscriptions: Subscriptions::default(), watcher: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watcher.is_none()
    }

    /// Stops without an answer.
    pub(super) fn clear(&mut self) {
        for sort in [Sort::Channel, Sort::Pattern] {
            self.subscriptions.names(sort).for_each(|name| self.audience.leave(sort, name));
        }
        (self.subscriptions, self.watcher) = (Subscriptions::default(), None);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Session {
    /// Returns when something may have happened on a channel.
    pub(in crate::resp) async fn beat(&mut self) {
        match &mut self.listening.watcher {
            Some(watcher) => watcher.beat().await,
            None => pending().await,
        }
    }

    /// Puts messages into the output, about as many as `bytes` holds. Whoever cannot be told of what
    /// comes next gets an error as the last thing.
    pub(in crate::resp) fn tell(&mut self, bytes: usize) -> Result<Reached, Ended> {
        let Self { listening, output, .. } = self;
        let Listening { watcher: Some(watcher), subscriptions, .. } = listening else {
            return Ok(Reached::End);
        };
        let told = watcher.look(&mut |change| {
            subscriptions.tell(change, output);
            if output.bytes().len() < bytes {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        if let Err(ended) = &told
            && *ended != Ended::Shutdown
        {
            watcher.count_end(ended);
            output.err(ended);
            listening.clear();
        }
        told
    }

    fn begin_listening(&mut self, sort: Sort, command: &Command<'_, '_>) {
        let from = self.namespace.reader().applied();
        if self.listening.watcher.is_none() {
            let watchers = &self.server.node.watchers;
            let (filter, behind) = (ChangeFilter::default(), ChangeId::whole(from));
            match watchers.watch(&self.namespace, filter, behind) {
                Ok(watcher) => self.listening.watcher = Some(watcher),
                Err(error) => return self.output.err(error),
            }
        }
        let Listening { audience, subscriptions, .. } = &mut self.listening;
        for name in command.arguments_from(1) {
            match subscriptions.add(sort, name, from, &mut self.output) {
                Ok(true) => audience.enter(sort, name),
                Ok(false) => {}
                Err(error) => self.output.err(error),
            }
        }
        self.stop_if_idle();
    }

    fn end_listening(&mut self, sort: Sort, command: &Command<'_, '_>) {
        let Listening { audience, subscriptions, .. } = &mut self.listening;
        let mut names: Vec<Vec<u8>> = command.arguments_from(1).map(<[u8]>::to_vec).collect();
        if names.is_empty() {
            names = subscriptions.names(sort).map(<[u8]>::to_vec).collect();
        }
        if names.is_empty() {
            subscriptions.answer_none(sort, &mut self.output);
        }
        for name in &names {
            if subscriptions.remove(sort, name, &mut self.output) {
                audience.leave(sort, name);
            }
        }
        self.stop_if_idle();
    }

    fn stop_if_idle(&mut self) {
        if self.listening.subscriptions.is_empty() {
            self.listening.watcher = None;
        }
    }
}

pub(in crate::resp) fn subscribe(session: &mut Session, command: &Command<'_, '_>) {
    session.begin_listening(Sort::Channel, command);
}

pub(in crate::resp) fn psubscribe(session: &mut Session, command: &Command<'_, '_>) {
    session.begin_listening(Sort::Pattern, command);
}

pub(in crate::resp) fn unsubscribe(session: &mut Session, command: &Command<'_, '_>) {
    session.end_listening(Sort::Channel, command);
}

pub(in crate::resp) fn punsubscribe(session: &mut Session, command: &Command<'_, '_>) {
    session.end_listening(Sort::Pattern, command);
}

pub(in crate::resp) fn pubsub(session: &mut Session, command: &Command<'_, '_>) {
    let audience = Arc::clone(&session.server.audience);
    let output = &mut session.output;
    let subcommand = command.argument(1).to_ascii_lowercase();
    match (subcommand.as_slice(), command.len()) {
        (b"channels", 2 | 3) => {
            let pattern = if command.len() == 3 { command.argument(2) } else { b"*" };
            let names = audience.names(Sort::Channel, |name| glob::matches(pattern, name));
            output.array(names.len());
            names.iter().for_each(|name| output.bulk(name));
        }
        (b"numpat", 2) => output.count(audience.names(Sort::Pattern, |_| true).len() as u64),
        (b"numsub", _) => {
            output.array(2 * (command.len() - 2));
            for name in command.arguments_from(2) {
                output.bulk(name);
                output.count(audience.count(Sort::Channel, name) as u64);
            }
        }
        _ => refuse_subcommand(output, command, &["channels", "numpat", "numsub"]),
    }
}
