//! `MULTI`, `EXEC` and what belongs to them.

use std::sync::Arc;

use unison_resp::parse::Command;
use unison_resp::table::Spec;
use unison_resp::transactions::{NESTED, Queue, WATCH_INSIDE, Watched};

use super::Session;
use crate::budget::{INPUT_BYTES_MAX, Share};

mod exec;
mod execution;
mod replies;

/// So many bytes of queued commands are not counted among those of all connections.
const UNCOUNTED_BYTES: usize = 16 << 10;

/// Commands between `MULTI` and `EXEC`.
pub(super) struct Multi {
    queue: Queue,
    /// Their part of what all connections may hold, once they are many.
    share: Share,
}

impl Multi {
    /// Nothing of it will happen, and nothing of it is kept.
    fn refuse(&mut self) {
        self.queue.refuse();
        self.share.resize(0);
    }
}

impl Session {
    /// Takes note, between `MULTI` and `EXEC`, that a command was refused.
    pub(super) fn refuse_transaction(&mut self) {
        if let Some(multi) = &mut self.multi {
            multi.refuse();
        }
    }

    /// Keeps a command until `EXEC`.
    pub(super) fn queue(&mut self, spec: &'static Spec, command: &Command<'_, '_>) {
        let Some(multi) = &mut self.multi else { return };
        if let Err(refusal) = multi.queue.add(spec, command) {
            multi.refuse();
            return self.output.err(refusal);
        }
        let bytes = multi.queue.held_bytes();
        let counted = if bytes > UNCOUNTED_BYTES { bytes } else { 0 };
        if !multi.share.resize(counted) {
            multi.refuse();
            return self.output.err(format_args!(
                "the commands in flight are above the limit of {INPUT_BYTES_MAX} bytes (input); try again"
            ));
        }
        self.output.simple("QUEUED");
    }

    /// Ends a transaction without an answer, and watches nothing any more.
    pub(super) fn forget_transaction(&mut self) {
        (self.multi, self.watched) = (None, Watched::default());
    }
}

pub(in crate::resp) fn multi(session: &mut Session, _: &Command<'_, '_>) {
    if session.multi.is_some() {
        return session.output.err(NESTED);
    }
    let node = &session.server.node;
    // The log has to take it without waiting for a second segment to be made.
    let half = usize::try_from(node.store.segment_bytes() / 2).unwrap_or(usize::MAX);
    session.multi = Some(Multi { queue: Queue::new(half), share: node.input.share() });
    session.output.ok();
}

pub(in crate::resp) fn discard(session: &mut Session, _: &Command<'_, '_>) {
    if session.multi.is_none() {
        return session.output.err("DISCARD without MULTI");
    }
    session.forget_transaction();
    session.output.ok();
}

pub(in crate::resp) fn watch(session: &mut Session, command: &Command<'_, '_>) {
    if session.multi.is_some() {
        return session.output.err(WATCH_INSIDE);
    }
    let reader = session.reader().held();
    if session.watched.is_empty() {
        session.watched_in = Arc::downgrade(&session.namespace);
    }
    for key in command.arguments_from(1) {
        match session.watched.add(&reader, key) {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return session.output.err(refusal),
            Err(error) => return session.output.err(error),
        }
    }
    session.output.ok();
}

pub(in crate::resp) fn unwatch(session: &mut Session, _: &Command<'_, '_>) {
    session.watched = Watched::default();
    session.output.ok();
}
